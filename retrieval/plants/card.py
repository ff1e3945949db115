"""A plant's card: satellite rates, stacks and fuel beside each other, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.config import resolve_files
from obsnet.errors import RangeError
from obsnet.inventory.words import province_or_own
from obsnet.language import Words, filled
from retrieval.plants.compare.agreement import bland_altman, coverage, deming, e_n, york
from retrieval.plants.compare.annual import AnnualTotal, annual_total
from retrieval.plants.compare.match import Overpass, match_stack, pairs, read_overpasses
from retrieval.plants.compare.profile import year_profile
from retrieval.plants.fuel import FuelAccount, fuel_account
from retrieval.plants.options import CardTable
from retrieval.plants.stack.read import read_stack
from retrieval.plants.stack.record import StackRecord, StackYear
from retrieval.plume.rates.reasons import words_of

__all__ = ["PlantCard", "agreement_of", "build_card", "card_data", "overpass_rows", "totals_e_n"]

_Z = 1.959963984540054
Total = tuple[str, float, float, float, float]  # by, Mt, standard error, 95 % interval
_SELECTED = (
    (
        "Only rates without a reason against them are compared ({used} of {all} overpasses): they pass more often when "
        "wind or noise makes them too high, so their mean is high."
    ),
    "仅比较未被剔除的速率（{all} 次过境中的 {used} 次）：风速或噪声使其偏高时更易通过，故其均值偏高。",
)
_FEW = (
    "Overpasses with a rate and stacks beside it: {n}; lines and limits of agreement need three.",
    "同时具有速率与烟气监测值的过境为 {n} 次：回归与一致性界限至少需三次。",
)
_UNSEEN = (
    "Overpasses that saw nothing of the plant: {n}; no rate is told, their limits widen the interval of the year.",
    "{n} 次过境未见该厂羽流：不给出速率，其检出限计入年总量区间。",
)
_ABOVE = (
    "Overpasses that saw nothing although the stacks emitted more than the stated limit: {n}.",
    "{n} 次过境未见羽流，而同时段烟气监测排放高于所给检出限。",
)
_NO_YEAR = (
    "No overpass with a rate lies in {year}: no total of it.",
    "{year} 年内无可用速率：不给出年总量。",
)
_NO_STACK_YEAR = (
    "The stack record has too little of {year} for a total.",
    "烟气监测记录在 {year} 年覆盖不足：不给出其年总量。",
)
_CUT = (
    "Overpasses outside the stack record or in a gap of it, with nothing beside them: {n}.",
    "{n} 次过境不在烟气监测记录内或遇缺测，无可比值。",
)


@dataclass(frozen=True, eq=False)
class PlantCard:
    """All that is known of a plant.

    Parameters
    ----------
    identity : dict
        ``source, latitude, longitude`` and what else is known.
    method : str
        Whose rates count.
    overpasses : tuple of Overpass
        By time.
    beside : list of dict
        Rates by all methods.
    record : StackRecord or None
    agreement : dict or None
        See `agreement_of`.
    annual, stack_year, fuel
        Totals of the year, where there are any.
    year : int or None
    notes : tuple of Words
        What was chosen and what a reader must know.
    """

    identity: dict[str, Any]
    method: str
    overpasses: tuple[Overpass, ...]
    beside: list[dict[str, Any]]
    record: StackRecord | None
    agreement: dict[str, Any] | None
    annual: AnnualTotal | None
    stack_year: StackYear | None
    fuel: FuelAccount | None
    year: int | None
    notes: tuple[Words, ...]

    @property
    def totals(self) -> list[Total]:
        """Totals of the year: name, Mt, standard error, 95 % interval."""
        found = []
        if self.annual is not None:
            a = self.annual
            found.append(("satellite", a.total, a.error, a.low, a.high))
        if self.stack_year is not None:
            found.append(_total("stack", self.stack_year.total * 1e-9, self.stack_year.error * 1e-9))
        if self.fuel is not None:
            found.append(_total("fuel", self.fuel.total, self.fuel.error))
        return found


def _total(name: str, value: float, error: float) -> Total:
    return name, value, error, value - _Z * error, value + _Z * error


def totals_e_n(a: Total, b: Total) -> float:
    """Return E_n of two totals, b less a, each with the error of its interval's side that faces the other.

    Overpasses that saw nothing make an interval wide to one side; the standard error alone does not know of them.
    """
    up = b[1] >= a[1]
    facing = [(t[4] - t[1] if to_high else t[1] - t[3]) / _Z for t, to_high in ((a, up), (b, not up))]
    return float(e_n(a[1], b[1], facing[0], facing[1]))


def build_card(options: CardTable) -> PlantCard:
    """Read, match and compare; see `CardTable`."""
    paths = [Path(p) for p in resolve_files(options.rates)]
    overpasses, beside, place = read_overpasses(paths, options.source, options.method)
    method = overpasses[0].method
    record = read_stack(options) if options.stack else None
    notes: list[Words] = []
    if record is not None:
        overpasses = [match_stack(o, record) for o in overpasses]
        notes += [Words(n, "") for n in record.notes]
        alone = sum(not np.isfinite(o.stack) for o in overpasses)
        if alone:
            notes.append(filled(_CUT, n=alone))
    agreement = None
    x, y, x_error, y_error = pairs(overpasses)
    if record is not None:
        if x.size >= 3:
            agreement = agreement_of(x, y, x_error, y_error)
            notes.append(filled(_SELECTED, used=x.size, all=len(overpasses)))
        else:
            notes.append(filled(_FEW, n=x.size))
        missed = sum(o.status == "below" and o.stack > o.limit for o in overpasses)
        if missed:
            notes.append(filled(_ABOVE, n=missed))
    unseen = sum(o.status == "below" for o in overpasses)
    if unseen:
        notes.append(filled(_UNSEEN, n=unseen))
    annual = None
    if options.profile is not None:
        annual = annual_total(overpasses, year_profile(options, record), options.common_error)
        notes.append(
            filled(_NO_YEAR, year=options.year)
            if annual is None
            else Words(
                f"year's total by profile: {annual.basis}; {options.common_error:.0%} of a rate is an "
                "error common to all (assumed)",
                f"年总量所用时间廓线：{annual.basis}；速率的 {options.common_error:.0%} 视为各次共同的误差（假定）",
            )
        )
    stack_year = record.year(options.year) if record is not None and options.year is not None else None
    if record is not None and options.year is not None and stack_year is None:
        notes.append(filled(_NO_STACK_YEAR, year=options.year))
    fuel = fuel_account(options) if options.fuel is not None else None
    if fuel is not None:
        notes += [Words(n, "") for n in fuel.notes]
    identity = place | {
        "region": "" if options.region is None else province_or_own(options.region),
        "capacity_mw": options.capacity_mw,
        "stack_name": "" if record is None else record.plant,
        "units": [] if record is None else list(record.units),
    }
    return PlantCard(
        identity,
        method,
        tuple(overpasses),
        beside,
        record,
        agreement,
        annual,
        stack_year,
        fuel,
        options.year,
        tuple(dict.fromkeys(notes)),
    )


def agreement_of(x: Any, y: Any, x_error: Any, y_error: Any) -> dict[str, Any]:
    """Return all statistics of rates y against stacks x.

    Parameters
    ----------
    x, y, x_error, y_error : ndarray, shape (n,)
        kg s-1; the errors of y at the rate x (see `Overpass.error_at`).

    Returns
    -------
    dict
        ``n``, ``mean_stack``, ``york``, ``deming`` and its ``ratio`` (None, with ``no_line``, where there is no line),
        ``difference``, ``median_ratio``, ``e_n_within`` and ``intervals_hold`` as `IntervalCoverage`.
    """
    ratio = (
        float(np.mean(np.square(y_error)) / np.mean(np.square(x_error))) if np.any(x_error) else float("inf")
    )
    found: dict[str, Any] = {"n": int(x.size), "mean_stack": float(np.mean(x)), "ratio": ratio}
    try:
        found |= {
            "york": asdict(york(x, y, x_error, y_error)),
            "deming": asdict(deming(x, y, ratio)),
            "no_line": "",
        }
    except RangeError as fault:  # stacks that emitted the same at all overpasses
        found |= {"york": None, "deming": None, "no_line": str(fault)}
    number = e_n(x, y, x_error, y_error)
    return found | {
        "difference": asdict(bland_altman(x, y)),
        "median_ratio": float(np.median(y / x)) if np.all(x > 0) else float("nan"),
        "e_n_within": asdict(coverage(np.abs(number) <= 1.0)),
        "intervals_hold": asdict(coverage(np.abs(number) <= _Z / 2.0)),
    }


def overpass_rows(overpasses: Sequence[Overpass], language: str = "en") -> list[dict[str, Any]]:
    """Return a row an overpass; without a rate none is told, only the limit and why."""
    rows = []
    for o in overpasses:
        parts = {
            f"error_{n}_kg_s": o.parts.get(n, float("nan"))
            for n in ("wind", "background", "noise", "method", "conversion")
        }
        total = float(np.sqrt(sum(v**2 for v in o.parts.values()))) if o.parts else float("nan")
        start, stop = o.window or (None, None)
        rows.append(
            {
                "scene": o.scene,
                "time": o.time,
                "method": o.method,
                "status": o.status,
                "rate_kg_s": o.rate,
                "low95_kg_s": o.low,
                "high95_kg_s": o.high,
                "error_kg_s": total,
                **parts,
                "limit_kg_s": o.limit,
                "quality": o.quality,
                "reasons": words_of(o.quality, language),
                "wind_m_s": o.wind,
                "wind_error_m_s": o.wind_error,
                "wind_basis": o.wind_basis,
                "window_start": start,
                "window_stop": stop,
                "stack_kg_s": o.stack,
                "stack_error_kg_s": o.stack_error,
                "stack_seen": o.stack_seen,
                "stack_substituted": o.substituted,
                "e_n": o.e_n,
            }
        )
    return rows


def card_data(card: PlantCard, language: str = "en") -> dict[str, Any]:
    """Return all for machines: kg s-1, Mt, UTC."""
    totals = card.totals
    return {
        "kind": "obsnet plant card",
        **card.identity,
        "method": card.method,
        "year": card.year,
        "overpasses": overpass_rows(card.overpasses, language),
        "methods": card.beside,
        "agreement": card.agreement,
        "annual": None if card.annual is None else asdict(card.annual) | {"unit": "Mt"},
        "totals": [
            dict(zip(("by", "mt", "error_mt", "low95_mt", "high95_mt"), t, strict=True)) for t in totals
        ],
        "totals_e_n": [
            {"a": a[0], "b": b[0], "e_n": totals_e_n(a, b)}
            for k, a in enumerate(totals)
            for b in totals[k + 1 :]
        ],
        "fuel": None if card.fuel is None else asdict(card.fuel),
        "notes": [{"en": n.en, "zh": n.zh} for n in card.notes],
    }
