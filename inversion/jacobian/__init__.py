"""What observations feel of fluxes: the sparse Jacobian on disk and in memory, and other systems' Jacobians."""
