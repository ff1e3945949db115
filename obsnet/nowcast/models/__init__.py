"""How emissions go on: paths of draws from what is known."""
