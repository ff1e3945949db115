"""``obsnet crosscheck POSTERIOR INVENTORY``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from obsnet.command import Flag, Shown, command
from obsnet.crosscheck.verdicts.options import CrosscheckOptions
from obsnet.language import WRITTEN, InLanguage

__all__ = ["CrosscheckCommand", "crosscheck"]


class CrosscheckCommand(CrosscheckOptions, InLanguage):
    """Two files, and how they are compared."""

    posterior: Annotated[Path, Flag(positional=True)] = Field(description="posterior.nc of `obsnet invert`")
    inventory: Annotated[str, Flag(positional=True)] = Field(
        description="CSV of totals, or a built-in inventory such as ceads-2019"
    )
    out: Path | None = Field(None, description="folder for provinces.csv; by default beside the posterior")


@command("obsnet.commands.crosscheck:CrosscheckCommand")
def crosscheck(options: CrosscheckCommand) -> Shown:
    """Test an inventory region by region: consistent, inconsistent, not decided or not testable."""
    from obsnet.crosscheck.verdicts.lines import statistics_lines, table_lines
    from obsnet.crosscheck.verdicts.run import BESIDE, beside, crosscheck_files

    target = (options.out or options.posterior.parent) / "provinces.csv"
    found = crosscheck_files(options.posterior, options.inventory, options, target)
    covariance = {"regions": list(found.covariance.index), "values": found.covariance.to_numpy().tolist()}
    data = {
        "table": str(target),
        "provinces": found.table.to_dict("records"),
        "covariance": covariance,
        "statistics": found.statistics.to_dict("records"),
    }
    written = [target, *(beside(target, what) for what in BESIDE)]
    if found.bridge is not None:
        data["bridge"] = found.bridge.to_dict("records")
        written.append(beside(target, "bridge"))
    lines = [
        *table_lines(found.table, options.language),
        *statistics_lines(found.statistics, options.language),
    ]
    return Shown(data, [*lines, *(WRITTEN.said(options.language).format(path=path) for path in written)])
