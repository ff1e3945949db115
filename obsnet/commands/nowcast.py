"""``obsnet nowcast``: rapid estimates, electricity to carbon, forecasts, each with the error of its hindcasts."""

from __future__ import annotations

from obsnet.command import Group, Shown, command
from obsnet.nowcast.options import ForecastOptions, PowerOptions, RapidOptions

__all__ = ["app", "forecast", "power", "rapid"]

app = Group(
    "Rapid estimates, electricity to carbon, forecasts: each with the error that its hindcasts had.",
    {
        "rapid": "obsnet.commands.nowcast:rapid",
        "power": "obsnet.commands.nowcast:power",
        "forecast": "obsnet.commands.nowcast:forecast",
    },
)


@command("obsnet.nowcast.options:RapidOptions")
def rapid(options: RapidOptions) -> Shown:
    """Estimate a year from last years' inventories and what is known early."""
    from obsnet.nowcast.run import run_rapid

    return run_rapid(options)


@command("obsnet.nowcast.options:PowerOptions")
def power(options: PowerOptions) -> Shown:
    """Estimate the power sector from generation and the last known factor; put its shape on a prior."""
    from obsnet.nowcast.run import run_power

    return run_power(options)


@command("obsnet.nowcast.options:ForecastOptions")
def forecast(options: ForecastOptions) -> Shown:
    """Forecast by an ensemble; chances of targets and of a peak, warnings with their false alarms."""
    from obsnet.nowcast.run import run_forecast

    return run_forecast(options)
