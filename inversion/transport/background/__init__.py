"""What the air held before it came."""
