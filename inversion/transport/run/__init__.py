"""From observations and meteorology to footprints: plans, tasks, restart; forward runs."""
