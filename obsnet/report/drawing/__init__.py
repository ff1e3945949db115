"""Pictures of a report: fonts, shapes of regions, maps, spreads."""
