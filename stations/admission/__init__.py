"""Whether a station meets a network's requirements."""
