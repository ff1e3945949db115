"""Bottom-up: provincial totals with their source, edition and uncertainty."""
