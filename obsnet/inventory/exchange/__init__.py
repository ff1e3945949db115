"""Inventories in the forms that others read."""
