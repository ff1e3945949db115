"""A small Eulerian tracer model with its exact adjoint, for tests and twin experiments."""
