"""From the tables of a case file to a solved problem on disk."""

VERSION = 5  # of the algorithm; raise it with any change of numbers, see `obsnet.pipeline.Stage`
