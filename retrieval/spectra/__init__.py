"""Spectra from files: one value for a sounding, whatever the instrument."""
