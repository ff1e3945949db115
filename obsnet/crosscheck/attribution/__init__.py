"""Which sectors the change of a region's total belongs to, two ways, and how much of that the observations say."""
