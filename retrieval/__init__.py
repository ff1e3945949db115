"""Satellite columns: granules to observations, super-observations and maps."""

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name
