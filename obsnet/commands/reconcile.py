"""``obsnet reconcile INVENTORY``."""

from __future__ import annotations

from obsnet.command import Shown, command
from obsnet.crosscheck.reconcile.options import ReconcileOptions

__all__ = ["reconcile"]


@command("obsnet.crosscheck.reconcile.options:ReconcileOptions")
def reconcile(options: ReconcileOptions) -> Shown:
    """Make one best estimate of regions, their nation and an inversion, and point at the number that is off."""
    from obsnet.crosscheck.reconcile.run import reconcile_files
    from obsnet.crosscheck.verdicts.lines import reconciled_lines, statistics_lines

    found = reconcile_files(options)
    data = {
        "table": str(options.out / "reconciled.csv"),
        "reconciled": found.table.to_dict("records"),
        "statistics": found.statistics.to_dict("records"),
    }
    lines = [*reconciled_lines(found.table), *statistics_lines(found.statistics)]
    return Shown(data, [*lines, f"written: {data['table']}"])
