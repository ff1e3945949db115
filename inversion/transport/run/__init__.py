"""From observations and meteorology to footprints: plans, tasks, restart; forward runs."""

VERSION = 7  # of the algorithm; raise it with any change of numbers, see `obsnet.pipeline.Stage`
