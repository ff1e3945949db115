"""Records into the observation store, and the steps on the way."""

VERSION = 9  # of the algorithm; raise it with any change of numbers, see `obsnet.pipeline.Stage`
