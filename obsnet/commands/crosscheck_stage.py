"""The pipeline stage ``[crosscheck]``, and what the command shares with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import Field

from obsnet.config import Options
from obsnet.pipeline import Case, Stage, StageResult

__all__ = ["STAGE", "CrosscheckOptions", "crosscheck_files"]


class CrosscheckOptions(Options):
    """The table ``[crosscheck]`` of a case."""

    inventory: str = Field(description="CSV relative to the case file, or a built-in one such as ceads-2019")
    posterior: str = Field("posterior.nc", description="posterior file, relative to the run's outputs")
    sector: str | None = Field(None, description="sector of the inversion that the inventory is of")
    period: int | None = Field(None, ge=0, description="index of the inversion's period")
    year: str | None = Field(None, description="period of the inventory")
    uncertainty: float | None = Field(
        None, gt=0, le=3, description="relative sd where the inventory states none"
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="rate of false alarms")
    power: float = Field(0.80, gt=0.5, lt=1, description="power at the minimum detectable discrepancy")
    detectable: float = Field(0.30, gt=0, description="testable up to this minimum detectable discrepancy")
    out: str = Field("provinces.csv", description="table, relative to the run's outputs")


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
    from obsnet.crosscheck.table import compare, read_totals
    from obsnet.crosscheck.verdict import Rule
    from obsnet.inventory.table import read_inventory
    from obsnet.store import write_text

    totals = read_totals(posterior, options.sector, options.period)
    table = compare(
        totals,
        read_inventory(inventory),
        rule=Rule(options.alpha, options.power, options.detectable),
        year=options.year,
        uncertainty=options.uncertainty,
    )
    write_text(out, table.to_csv(index=False, float_format="%.6g"))
    return table


def _inputs(options: CrosscheckOptions, case: Case) -> Iterable[Path]:
    return [case.out / options.posterior, case.beside(options.inventory)]


def _run(options: CrosscheckOptions, case: Case) -> StageResult:
    path = case.beside(options.inventory)
    inventory = path if path.exists() else options.inventory
    out = case.out / options.out
    table = crosscheck_files(case.out / options.posterior, inventory, options, out)
    return StageResult((out,), {"verdicts": dict(zip(table["region"], table["verdict"], strict=True))})


STAGE = Stage(
    "crosscheck",
    options=CrosscheckOptions,
    run=_run,
    needs=("invert",),
    inputs=_inputs,
    tables=("obsnet.inventory:tables",),
)
