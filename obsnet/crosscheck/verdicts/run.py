"""From a posterior file and an inventory to the table of verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from obsnet.crosscheck.verdicts.options import CrosscheckOptions

if TYPE_CHECKING:
    from obsnet.crosscheck.verdicts.table import Crosschecked

__all__ = ["BESIDE", "beside", "crosscheck_files"]

BESIDE = (
    "covariance",
    "statistics",
)  # tables that go with that of the verdicts; "bridge" where one was asked for


def beside(table: Path, what: str) -> Path:
    """Return the file of `what` that stands beside a table of verdicts: ``provinces_covariance.csv``."""
    return table.with_name(f"{table.stem}_{what}{table.suffix}")


def crosscheck_files(
    posterior: Path, inventory: str | Path, options: CrosscheckOptions, out: Path
) -> Crosschecked:
    """Compare two files and write what was found.

    Parameters
    ----------
    posterior : Path
        Posterior file.
    inventory : str or Path
        CSV or the name of a built-in inventory.
    options : CrosscheckOptions
        Limits and choices.
    out : Path
        CSV to write: the table of verdicts. Beside it go ``…_covariance.csv`` and ``…_statistics.csv``.

    Returns
    -------
    Crosschecked
    """
    from obsnet.atomic import write_text
    from obsnet.crosscheck.verdicts.table import check, read_totals
    from obsnet.inventory.table import read_inventory
    from obsnet.sheets import csv_text
    from obsnet.work.isolated import apart

    totals = apart(read_totals, posterior, options.sector, options.period)
    found = check(totals, read_inventory(inventory), rule=options.rule(), choices=options.choices())
    write_text(out, csv_text(found.table))
    write_text(beside(out, "covariance"), csv_text(found.covariance, index=True))
    write_text(beside(out, "statistics"), csv_text(found.statistics))
    beside(out, "bridge").unlink(missing_ok=True)  # one of other definitions
    if found.bridge is not None:
        write_text(beside(out, "bridge"), csv_text(found.bridge, float_format="%.10g"))
    return found
