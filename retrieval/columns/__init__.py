"""Column algebra: pressure weights, vertical remapping, the observation operator of a column."""
