"""Level-3 maps of columns: bin means, local kriging, fixed-rank kriging, each with its uncertainty."""
