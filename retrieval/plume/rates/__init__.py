"""From a plume to an emission rate: coordinates along it, methods, error budget, reasons to reject."""
