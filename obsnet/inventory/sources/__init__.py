"""Other inventories beside ours: read, checked for breaks and zeroes, compared."""
