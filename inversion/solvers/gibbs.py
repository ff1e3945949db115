"""Hierarchical inversion: sizes and lengths of the errors are sampled, the state integrated out."""
