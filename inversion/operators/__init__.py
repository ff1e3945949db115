"""Linear operators on plain arrays: covariances and their kernels, products with a Jacobian, normal equations."""
