"""Twin experiments: truths drawn from the prior, and whether the stated uncertainty covers them."""
