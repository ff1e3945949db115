"""``obsnet invert``, ``osse`` and ``design``, and their pipeline stages; nothing is computed here."""
