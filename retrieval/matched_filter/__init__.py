"""Matched filters: enhancements of a gas from the radiances of imaging spectrometers."""
