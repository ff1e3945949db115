"""Many granules into the observation store."""
