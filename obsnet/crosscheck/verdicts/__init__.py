"""From a posterior and an inventory to the table of verdicts."""
