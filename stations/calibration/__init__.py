"""Raw readings to calibrated values: responses, tanks, targets, scales, goals."""
