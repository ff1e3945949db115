"""Many granules into the observation store."""

VERSION = 8  # of the algorithm; raise it with any change of numbers, see `obsnet.pipeline.Stage`
