"""Below the province: cities, plants, one enterprise."""
