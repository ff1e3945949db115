"""Others' inversions through the same regions: readers of their files, their totals, how far they differ."""
