"""``obsnet station``, and its pipeline stage."""
