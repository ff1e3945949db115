"""How far an inventory may be off: IPCC approaches 1 and 2, key categories, recalculations."""
