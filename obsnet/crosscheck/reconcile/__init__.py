"""One best estimate from an inventory, its nation and an inversion that do not agree, and where the fault lies."""
