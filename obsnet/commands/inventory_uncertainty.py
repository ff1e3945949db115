"""``obsnet inventory uncertainty``, ``keycategories``, ``recalculate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from obsnet.command import Flag, Shown, command
from obsnet.language import InLanguage

if TYPE_CHECKING:
    from obsnet.work.work import Work

__all__ = ["keycategories", "recalculate", "uncertainty"]

_TABLE = "category, gas, base, current, activity_uncertainty, factor_uncertainty (%, half-widths of 95 %)"


class UncertaintyOptions(InLanguage):
    """Which table."""

    file: Annotated[Path, Flag(positional=True)] = Field(description=_TABLE)
    draws: int = Field(
        0, ge=0, description="Monte Carlo draws beside error propagation (approach 2); 0 for none"
    )
    seed: int = Field(0, ge=0, description="of the draws")
    shape: Literal["normal", "lognormal"] = Field("normal", description="of every error in the draws")
    out: Path | None = Field(None, description="CSV of the table in the columns of IPCC Table 3.2")


@command("obsnet.commands.inventory_uncertainty:UncertaintyOptions", work=True)
def uncertainty(options: UncertaintyOptions, work: Work) -> Shown:
    """Propagate uncertainty as IPCC Table 3.2 (approach 1) and, with --draws, by Monte Carlo (approach 2)."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.notes import told
    from obsnet.inventory.uncertainty.approach1 import approach1_table, read_two_years
    from obsnet.inventory.uncertainty.montecarlo import two_year_draws
    from obsnet.inventory.uncertainty.report import uncertainty_data, uncertainty_lines

    work.refuse_shard("quantiles are of all draws")
    table = read_two_years(options.file)
    found = approach1_table(table)
    draws = options.model_dump(include={"draws", "seed", "shape"})
    drawn = two_year_draws(table, **draws, work=work) if options.draws else None
    notes = [*table.attrs["notes"], *found.notes, *write_if_asked(found.table, options.out, options.language)]
    lines = uncertainty_lines(found, drawn, options.language)
    return Shown(uncertainty_data(found, drawn), lines, told(notes, options.language))


class KeyOptions(InLanguage):
    """Which table, which approach."""

    file: Annotated[Path, Flag(positional=True)] = Field(description=_TABLE)
    approach: int = Field(1, ge=1, le=2, description="2 weights by uncertainty")
    share: float | None = Field(
        None, gt=0, le=1, description="cumulative share of key categories; 0.95, or 0.90 for approach 2"
    )
    out: Path | None = Field(None, description="CSV")


@command("obsnet.commands.inventory_uncertainty:KeyOptions")
def keycategories(options: KeyOptions) -> Shown:
    """Find the key categories by level and by trend."""
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.notes import told
    from obsnet.inventory.uncertainty.approach1 import read_two_years
    from obsnet.inventory.uncertainty.key import key_categories
    from obsnet.inventory.uncertainty.report import key_lines

    table = read_two_years(options.file)
    found = key_categories(table, options.approach, options.share)
    notes = [*table.attrs["notes"], *write_if_asked(found, options.out, options.language)]
    return Shown(found.to_dict("records"), key_lines(found, options.language), told(notes, options.language))


class RecalculateOptions(InLanguage):
    """Which editions."""

    old: Annotated[Path, Flag(positional=True)] = Field(
        description="inventory.csv of the old edition, or its folder"
    )
    new: Annotated[Path, Flag(positional=True)] = Field(
        description="inventory.csv of the new edition, or its folder"
    )
    out: Path | None = Field(None, description="CSV")


@command("obsnet.commands.inventory_uncertainty:RecalculateOptions")
def recalculate(options: RecalculateOptions) -> Shown:
    """List what changed between two editions, by activity and by factor where both have a trace."""
    from obsnet.inventory.account.report import read_edition
    from obsnet.inventory.books import write_if_asked
    from obsnet.inventory.uncertainty.recalculation import recalculated
    from obsnet.inventory.uncertainty.report import recalculation_lines

    (old, old_trace), (new, new_trace) = read_edition(options.old), read_edition(options.new)
    found = recalculated(old, new, old_trace, new_trace)
    notes = write_if_asked(found, options.out, options.language)
    return Shown(found.to_dict("records"), recalculation_lines(found, options.language), notes)
