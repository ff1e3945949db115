"""The diagnostics page of an inversion."""
