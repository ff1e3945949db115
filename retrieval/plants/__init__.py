"""Power plants and works: satellite rates beside stack monitors and fuel, year totals, sums, what a planned one shows."""
