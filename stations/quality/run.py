"""What ``obsnet station qc`` and ``budget`` do: read, judge or weigh, write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.work.isolated import apart
from stations.quality.budget import TermReport, apply_budget, load_budget
from stations.quality.met_join import join_met
from stations.quality.options import BudgetTable, QualityTable
from stations.quality.rules import RuleReport, RuleTable, apply_rules, compare_with_keeper, load_rules
from stations.readers import read, read_one
from stations.record.file import write_record

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Budgeted", "Judged", "compare_file", "judge_file", "weigh_file"]

UNCERTAINTIES = (
    "uncertainty",
    "uncertainty_measurement",
    "uncertainty_representation",
    "uncertainty_systematic",
)


@dataclass(frozen=True)
class Judged:
    """A record after its rules, the tables and what each rule found."""

    record: xr.Dataset
    tables: tuple[RuleTable, ...]
    reports: tuple[RuleReport, ...]

    @property
    def usable(self) -> int:
        """Rows that nothing has flagged."""
        return int((self.record["quality"].values == 0).sum())


@dataclass(frozen=True)
class Budgeted:
    """A record with its uncertainties, what each term weighs, and the medians of usable rows."""

    record: xr.Dataset
    reports: tuple[TermReport, ...]
    usable: int
    medians: dict[str, float]


def _opened(options: QualityTable) -> tuple[xr.Dataset, tuple[RuleTable, ...], dict[str, xr.Dataset]]:
    tables = tuple(load_rules(name) for name in options.rules)
    record = read_one(options)
    if options.met is not None:
        record = join_met(record, options.met, options.met_tolerance_minutes)
    others = {name: apart(read, path, record.attrs["species"]) for name, path in options.partners.items()}
    return record, tables, others


def judge_file(options: QualityTable) -> Judged:
    """Apply rule tables to a record and write it where asked."""
    record, tables, others = _opened(options)
    reports: list[RuleReport] = []
    for table in tables:
        record, found = apply_rules(record, table, others)
        reports += found
    if options.out is not None:
        write_record(record, options.out)
    return Judged(record, tables, tuple(reports))


def compare_file(options: QualityTable) -> dict[str, Any]:
    """Compare rules with the flags of a record's keeper; see `stations.quality.rules.compare_with_keeper`."""
    record, tables, others = _opened(options)
    return compare_with_keeper(record, tables, others)


def weigh_file(options: BudgetTable) -> Budgeted:
    """Give every row of a record its uncertainty and write it where asked."""
    table = load_budget(options.budget)
    record, reports = apply_budget(read_one(options), table)
    if options.out is not None:
        write_record(record, options.out)
    usable = record["quality"].values == 0
    medians = {name: _median(record[name].values[usable]) for name in UNCERTAINTIES}
    return Budgeted(record, tuple(reports), int(usable.sum()), medians)


def _median(values: np.ndarray) -> float:
    """Return the median of the values that are there; NaN where none is."""
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")
