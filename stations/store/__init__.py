"""Records into the observation store, and the steps on the way."""

VERSION = 8  # of the algorithm; raise it with any change of numbers, see `obsnet.pipeline.Stage`
