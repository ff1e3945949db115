"""Transport and inversion: observations to gridded fluxes with their covariance."""

__obsnet__ = True  # `obsnet doctor` tells this package from another of the same name
