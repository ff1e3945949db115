"""Rapid estimates, power, forecasts."""
