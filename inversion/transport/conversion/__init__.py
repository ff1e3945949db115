"""Footprint files of any make into the sparse Jacobian."""

__all__ = ["VERSION"]

VERSION = 2  # rises whenever the same files give another Jacobian; 2: columns take no footprints of intakes
