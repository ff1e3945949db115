"""Tracer experiments: samples and releases from files, both directions of the particle model, the usual scores."""
