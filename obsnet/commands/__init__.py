"""``obsnet config``, ``run`` and ``doctor``."""
