"""Pictures of a record."""
