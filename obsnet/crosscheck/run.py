"""From a posterior file and an inventory to the table of verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from obsnet.crosscheck.options import CrosscheckOptions

__all__ = ["crosscheck_files"]


def crosscheck_files(posterior: Path, inventory: str | Path, options: CrosscheckOptions, out: Path) -> Any:
    """Compare two files and write the table.

    Parameters
    ----------
    posterior : Path
        Posterior file.
    inventory : str or Path
        CSV or the name of a built-in inventory.
    options : CrosscheckOptions
        Limits and choices.
    out : Path
        CSV to write.

    Returns
    -------
    pandas.DataFrame
        See `table.compare`.
    """
    from obsnet.atomic import write_text
    from obsnet.crosscheck.table import compare, read_totals
    from obsnet.inventory.table import read_inventory
    from obsnet.work.isolated import apart

    totals = apart(read_totals, posterior, options.sector, options.period)
    table = compare(totals, read_inventory(inventory), rule=options.rule(), choices=options.choices())
    write_text(out, table.to_csv(index=False, float_format="%.6g"))
    return table
