"""``obsnet ingest``, ``superobs``, ``grid``, ``validate``, ``bias``, and their pipeline stages."""
