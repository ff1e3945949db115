"""Optimal estimation: spectra and a forward model to states with their full error characterisation."""
