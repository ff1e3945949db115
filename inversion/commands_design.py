"""``obsnet design``."""
