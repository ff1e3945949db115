"""``obsnet osse``."""
