"""Footprint files of any make into the sparse Jacobian."""
