"""Records into the observation store, and the steps on the way."""
