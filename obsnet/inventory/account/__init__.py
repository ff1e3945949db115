"""An inventory from balances and activities: every number with its activity row and factor row."""
