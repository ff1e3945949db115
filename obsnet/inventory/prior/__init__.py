"""From a provincial table to a flux on a grid that sums to it."""
