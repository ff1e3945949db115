"""Level-3 maps of columns: bin means, local kriging, fixed-rank kriging, each with its uncertainty."""

VERSION = 6  # of the algorithm; raise it with any change of numbers, see `obsnet.pipeline.Stage`
