"""High-precision station records: every network's files to one defensible record."""

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name
