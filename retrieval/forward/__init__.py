"""Spectra under a clear sky: line lists, cross-section tables, light paths, line shapes, the model and its Jacobian."""
