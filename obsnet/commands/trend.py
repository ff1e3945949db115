"""``obsnet trend SERIES``."""

from __future__ import annotations

from obsnet.command import Shown, command
from obsnet.crosscheck.trend.options import TrendOptions

__all__ = ["trend"]


@command("obsnet.crosscheck.trend.options:TrendOptions")
def trend(options: TrendOptions) -> Shown:
    """Compare the trends of inventories and inversions, errors that years have in common taken as such."""
    from obsnet.crosscheck.trend.run import trend_files
    from obsnet.crosscheck.verdicts.lines import trend_lines

    table = trend_files(options)
    path = options.out / "trends.csv"
    return Shown(
        {"table": str(path), "trends": table.to_dict("records")},
        [*trend_lines(table), f"written: {path}"],
    )
