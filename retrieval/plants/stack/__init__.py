"""What a plant's own monitors say: hourly records of stacks."""
