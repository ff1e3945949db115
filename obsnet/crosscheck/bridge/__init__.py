"""From what an inventory is of to what an inversion sees: an itemised bridge that closes to zero."""
