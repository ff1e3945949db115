"""One species at one station in memory and on disk, and what is known of names, sites and scales."""
