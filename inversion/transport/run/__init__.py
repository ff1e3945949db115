"""From observations and meteorology to footprints: plans, tasks, restart; forward runs."""

VERSION = 8  # of the algorithm; raise it with any change of numbers, see `obsnet.pipeline.Stage`
