"""Quality control from a table of rules: flags are added, never taken away, and every rule says how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from obsnet.config import Options, validate
from obsnet.errors import ConfigError, nearest
from obsnet.kind_tables import find_table, read_kinds
from obsnet.schema import Quality
from stations.quality.kinds import KINDS
from stations.quality.rows import Found, RuleRows, SkipRule
from stations.record.intakes import apart, label
from stations.record.series import USE

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "QualityRule",
    "RuleReport",
    "RuleTable",
    "apply_rules",
    "compare_with_keeper",
    "load_rules",
    "report_lines",
]

FOLDER = Path(__file__).with_name("rules")


class RuleCommon(Options):
    """What every rule may say."""

    kind: str
    name: str = ""
    flag: str = ""
    on: str = "background"
    species: tuple[str, ...] = ()


class RuleHead(Options):
    """The head of a rule table."""

    title: str = ""
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class QualityRule:
    """One rule of a table.

    Attributes
    ----------
    kind : str
        Key of `stations.quality.kinds.KINDS`.
    name : str
        For the report.
    options : Options
        Of the kind.
    flag : Quality or None
        Bit to set instead of the kind's own.
    on : str
        Rows to judge: ``background`` (no bit set so far), ``valid``, ``all``.
    species : tuple of str
        Only these; empty is all.
    """

    kind: str
    name: str
    options: Options
    flag: Quality | None = None
    on: str = "background"
    species: tuple[str, ...] = ()


@dataclass(frozen=True)
class RuleTable:
    """Rules in the order in which they are applied, and where they come from."""

    name: str
    rules: tuple[QualityRule, ...]
    title: str = ""
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class RuleReport:
    """What one rule found for one reason.

    Attributes
    ----------
    rule, kind, reason, flag : str
        Which rule, why, and the quality bit by name.
    judged : int
        Rows it looked at.
    flagged : int
        Rows it flagged.
    new : int
        Of these, rows that no rule and no producer had flagged before.
    skipped : str
        Why the rule had nothing to say; empty otherwise.
    intake : float or None
        The intake it looked at, of a record that has several side by side.
    """

    rule: str
    kind: str
    reason: str
    flag: str
    judged: int
    flagged: int
    new: int
    skipped: str = ""
    intake: float | None = None


def load_rules(name: str | Path) -> RuleTable:
    """Read a table of rules: by name of one that comes with the package, or a TOML file of one's own.

    Parameters
    ----------
    name : str or path
        ``"noaa_flask"`` or ``"my_rules.toml"``.

    Raises
    ------
    ConfigError
        Not a table; every fault on its own line, with rule, key and nearest choice.
    """
    path = find_table(name, FOLDER, "rule table")
    data, entries = read_kinds(path, "rule", RuleCommon, KINDS)
    head = validate(RuleHead, data, path.name)
    rules = [_rule(common, own, f"{path.name}: rule {k}") for k, (common, own) in enumerate(entries, 1)]
    return RuleTable(path.stem, tuple(rules), head.title, head.source, head.note)


def _rule(common: RuleCommon, own: Options, where: str) -> QualityRule:
    if common.on not in USE:
        raise ConfigError(f"{where}: on = {common.on!r}{nearest(common.on, USE)}")
    bits = {f.name.lower(): f for f in Quality if f.name}
    if common.flag and common.flag not in bits:
        raise ConfigError(f"{where}: unknown flag {common.flag!r}{nearest(common.flag, bits)}")
    return QualityRule(
        common.kind, common.name or common.kind, own, bits.get(common.flag), common.on, common.species
    )


def apply_rules(
    record: xr.Dataset, table: RuleTable, others: Mapping[str, xr.Dataset] | None = None
) -> tuple[xr.Dataset, list[RuleReport]]:
    """Apply a table of rules to a record.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`.
    table : RuleTable
        See `load_rules`.
    others : mapping of str to Dataset, optional
        Records of other intakes, by the name that gradient rules use. Intakes of the record itself are there by
        their height, ``"10m"``.

    Returns
    -------
    record : xarray.Dataset
        A copy with bits added to ``quality``; no row and no bit is taken away.
    reports : list of RuleReport
        In the order of the rules, for each intake of a record that has several side by side: each is judged by
        itself.
    """
    parts = list(apart(record))
    several = {f"{h:g}m": record.isel(time=rows) for h, rows in parts if h is not None}
    quality = record["quality"].values.astype(np.uint32).copy()
    reports: list[RuleReport] = []
    for height, rows in parts:
        part = record if len(parts) == 1 else record.isel(time=rows)
        quality[rows], found = _judge_series(part, table, several | dict(others or {}))
        reports += found if height is None else [replace(report, intake=height) for report in found]
    result = record.copy()
    result["quality"] = record["quality"].copy(data=quality)
    fresh = int(((quality != 0) & (record["quality"].values == 0)).sum())
    note = f"{fresh} rows flagged by the quality rules {table.name!r}"
    if several:
        note += f", each of {len(several)} intakes judged by itself"
    result.attrs = {**record.attrs, "changes": [*record.attrs.get("changes", []), note]}
    return result, reports


def _judge_series(
    record: xr.Dataset, table: RuleTable, others: Mapping[str, xr.Dataset]
) -> tuple[np.ndarray, list[RuleReport]]:
    """Return the quality bits of one series after its rules, and what each found."""
    quality = record["quality"].values.astype(np.uint32).copy()
    time = record["time"].values
    hours = np.full(time.size, np.nan)
    good = ~np.isnat(time)
    if good.any():
        hours[good] = (time[good] - time[good][0]) / np.timedelta64(1, "h")
    reports: list[RuleReport] = []
    for rule in table.rules:
        stop = quality & ~np.uint32(int(USE[rule.on]) & 0xFFFFFFFF)
        rows = RuleRows(record, np.where(stop == 0, record["value"].values, np.nan), hours, others)
        judged = int(rows.judged.sum())
        try:
            if rule.species and rows.species not in rule.species:
                raise SkipRule(f"is for {', '.join(rule.species)}")
            if judged == 0:
                raise SkipRule("no rows left to judge")
            found = KINDS[rule.kind].run(rows, rule.options)
        except SkipRule as skip:
            reports.append(RuleReport(rule.name, rule.kind, "", "", judged, 0, 0, str(skip)))
            continue
        reports.extend(_report(rule, one, quality, judged) for one in found)
        for one in found:
            quality[one.rows] |= np.uint32(rule.flag if rule.flag is not None else one.flag)
    return quality, reports


def _report(rule: QualityRule, found: Found, quality: np.ndarray, judged: int) -> RuleReport:
    flag = rule.flag if rule.flag is not None else found.flag
    new = int((found.rows & (quality == 0)).sum())
    name = str(flag.name).lower()
    return RuleReport(rule.name, rule.kind, found.reason, name, judged, int(found.rows.sum()), new)


def compare_with_keeper(
    record: xr.Dataset,
    tables: RuleTable | Sequence[RuleTable],
    others: Mapping[str, xr.Dataset] | None = None,
) -> dict[str, Any]:
    """Compare rules, applied without knowledge of the keeper's flags, with those flags.

    Parameters
    ----------
    record, others
        See `apply_rules`.
    tables : RuleTable or sequence of them
        Applied in order.

    Returns
    -------
    dict
        ``both, ours_only, keeper_only, neither`` (rows; the keeper's side is rejected or selected out),
        ``agreement``, ``found`` (share of the keeper's flags that the rules find), ``right`` (share of the
        rules' flags that the keeper has too), ``by_flag`` (for each of the keeper's flags: rows, and how
        many the rules flag) and ``rules`` (the reports).
    """
    keepers = np.uint32(Quality.PRODUCER | Quality.SELECTION | Quality.SUSPECT)
    blind = record.copy()
    blind["quality"] = record["quality"].copy(data=record["quality"].values & ~keepers)
    judged, reports = blind, []
    for table in [tables] if isinstance(tables, RuleTable) else tables:
        judged, found = apply_rules(judged, table, others)
        reports += found
    usable = blind["quality"].values == 0
    theirs = ((record["quality"].values & np.uint32(Quality.PRODUCER | Quality.SELECTION)) != 0)[usable]
    ours = (judged["quality"].values != 0)[usable]
    letters = record["quality_original"].values[usable]
    both, only, missed = int((ours & theirs).sum()), int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    by_flag = {
        str(letter): {
            "rows": int((letters == letter).sum()),
            "flagged": int((ours & (letters == letter)).sum()),
        }
        for letter in np.unique(letters)
    }
    return {
        "rows": int(usable.sum()),
        "both": both,
        "ours_only": only,
        "keeper_only": missed,
        "neither": int((~ours & ~theirs).sum()),
        "agreement": float((ours == theirs).mean()) if ours.size else float("nan"),
        "found": both / (both + missed) if both + missed else float("nan"),
        "right": both / (both + only) if both + only else float("nan"),
        "by_flag": by_flag,
        "rules": [asdict(report) for report in reports],
    }


def report_lines(reports: Sequence[RuleReport]) -> list[str]:
    """Return the reports as a table for people."""
    lines = [f"{'rule':<24} {'reason':<32} {'flag':<12} {'judged':>8} {'flagged':>8} {'new':>8}"]
    for r in reports:
        name = r.rule if r.intake is None else f"{r.rule}, {label(r.intake)}"
        if r.skipped:
            lines.append(f"{name:<24} skipped: {r.skipped}")
        else:
            lines.append(f"{name:<24} {r.reason:<32} {r.flag:<12} {r.judged:>8} {r.flagged:>8} {r.new:>8}")
    return lines
