"""``obsnet footprints``, and its pipeline stage; nothing is computed here."""
