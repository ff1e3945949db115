"""The pipeline stage ``[crosscheck]``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from obsnet.case_check import later
from obsnet.crosscheck.verdicts.options import CrosscheckTable
from obsnet.errors import ObsnetError
from obsnet.pipeline import Case, Stage, StageResult

__all__ = ["STAGE"]

# 2: masses such as 10⁴ t and tons of an inventory weigh what they say
# 3: regions that are not told apart are tested as a sum too; covariance of all that is tested;
#    z, E_n, chi-square of all regions, requirement lines; a covariance that is none is refused
# 4: periods in Chinese beside the English ones; infinite limits are empty cells
VERSION = 5


def _inputs(options: CrosscheckTable, case: Case) -> Iterable[Path]:
    files = [case.beside(text) for text in (*options.groups, *options.bridge.lines)]
    return [case.out / options.posterior, case.beside(options.inventory), *(f for f in files if f.is_file())]


def _run(options: CrosscheckTable, case: Case) -> StageResult:
    from obsnet.crosscheck.verdicts.run import BESIDE, beside, crosscheck_files

    path = case.beside(options.inventory)
    inventory = path if path.exists() else options.inventory
    out = case.out / options.out

    def found(texts: list[str]) -> list[str]:
        return [str(f) if (f := case.beside(text)).is_file() else text for text in texts]

    bridge = options.bridge.model_copy(update={"lines": found(options.bridge.lines)})
    options = options.model_copy(update={"groups": found(options.groups), "bridge": bridge})
    table = crosscheck_files(case.out / options.posterior, inventory, options, out).table
    tables = [beside(out, what) for what in (*BESIDE, "bridge")]
    return StageResult(
        (out, *(t for t in tables if t.exists())),
        summary={
            **table.loc[table["kind"] == "region", "verdict"].value_counts().to_dict(),
            "verdicts": dict(zip(table["region"], table["verdict"], strict=True)),
        },
    )


def _check(options: CrosscheckTable, case: Case, before: tuple[str, ...]) -> Iterable[str | ObsnetError]:
    from obsnet.crosscheck.verdicts.table import check, read_totals
    from obsnet.inventory.table import read_inventory
    from obsnet.work.isolated import apart

    path = case.beside(options.inventory)
    inventory = read_inventory(path if path.exists() else options.inventory)
    yield f"{options.inventory}: {len(inventory)} rows, {', '.join(sorted(set(map(str, inventory['gas']))))}"
    posterior = case.out / options.posterior
    if not posterior.exists():
        yield later(posterior, before)
        return
    try:
        totals = apart(read_totals, posterior, options.sector, options.period)
        check(totals, inventory, rule=options.rule(), choices=options.choices())
    except ObsnetError as error:  # the run may make another one
        yield f"with {posterior.name} as it is now: {error}"


STAGE = Stage(
    "crosscheck",
    options=CrosscheckTable,
    run=_run,
    needs=("invert",),
    inputs=_inputs,
    version=VERSION,
    tables=("obsnet.inventory:tables", "obsnet.crosscheck:tables"),
    check=_check,
)
