"""Rapid estimates, power-sector carbon from generation, forecasts: none without the error its hindcasts had."""
