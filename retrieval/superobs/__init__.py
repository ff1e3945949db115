"""Many soundings as one."""
