"""Where and when particles are released."""
