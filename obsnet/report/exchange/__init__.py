"""A posterior in the layouts that others read."""
