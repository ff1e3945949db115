"""Plants to provinces: totals added up, what all have alike kept common, and all overpasses compared together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError
from obsnet.reading import door
from retrieval.plants.card import agreement_of

__all__ = ["read_card", "sum_provinces"]

_Z = 1.959963984540054


@door("a plant card (JSON)")
def read_card(path: Path) -> dict[str, Any]:
    """Read the JSON of a plant card.

    Raises
    ------
    FormatError
        Something else.
    """
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict) or data.get("kind") != "obsnet plant card":
        raise FormatError(f"{path}: no plant card; give the JSON files of obsnet plume card")
    return data


def sum_provinces(
    cards: Sequence[dict[str, Any]], paths: Sequence[Path]
) -> tuple[list[dict[str, Any]], dict[str, Any] | None, list[str]]:
    """Add the year's totals of plants up by province.

    Parameters
    ----------
    cards : sequence of dict
        From `read_card`.
    paths : sequence of path
        For messages.

    Returns
    -------
    rows : list of dict
        ``region, year, plants, without_total, total_mt, random_mt, sampling_mt, common_mt, error_mt, low95_mt,
        high95_mt``.
        Errors of rates and of sampling are independent between plants; the common ones add up as they are.
    agreement : dict or None
        Of all overpasses of all plants with stacks beside them.
    notes : list of str

    Raises
    ------
    FormatError
        A plant twice, or years that differ.
    RangeError
        No card has a total, and none an overpass with stacks beside it.
    """
    names = [str(c["source"]) for c in cards]
    for k, name in enumerate(names):
        if name in names[:k]:
            raise FormatError(
                f"{paths[k]} and {paths[names.index(name)]}: both are cards of {name!r}; it would count twice"
            )
    with_total = [c for c in cards if c["annual"] is not None]
    years = sorted({c["year"] for c in with_total})
    if len(years) > 1:
        raise FormatError(f"totals of {years[0]} and of {years[-1]}; add up one year at a time")
    notes = []
    methods = sorted({c["method"] for c in with_total})
    if len(methods) > 1:
        notes.append(f"rates by {', '.join(methods)}: what these have in common is taken as wholly common")
    homeless = [c["source"] for c in with_total if not c["region"]]
    if homeless:
        notes.append(f"without a province (--region of the card): {', '.join(homeless)}")
    rows = []
    for region in sorted({c["region"] for c in cards}):
        here = [c["annual"] for c in with_total if c["region"] == region]
        count = sum(c["region"] == region for c in cards)
        if not here:
            continue
        part = {
            n: np.array([a[n] for a in here])
            for n in ("total", "random", "sampling", "common", "low", "high")
        }
        total = float(part["total"].sum())
        random, sampling = (float(np.sqrt(np.sum(part[n] ** 2))) for n in ("random", "sampling"))
        common = float(part["common"].sum())
        alone = _Z * np.sqrt(part["random"] ** 2 + part["sampling"] ** 2 + part["common"] ** 2)
        # What overpasses that saw nothing add to an interval is a bound, not a draw: bounds add up as they are.
        below = float(np.sum(np.clip(part["total"] - alone - part["low"], 0.0, None)))
        above = float(np.sum(np.clip(part["high"] - part["total"] - alone, 0.0, None)))
        error = float(np.sqrt(random**2 + sampling**2 + common**2))
        rows.append(
            {
                "region": region,
                "year": years[0],
                "plants": len(here),
                "without_total": count - len(here),
                "total_mt": total,
                "random_mt": random,
                "sampling_mt": sampling,
                "common_mt": common,
                "error_mt": error,
                "low95_mt": max(total - _Z * error - below, 0.0),
                "high95_mt": total + _Z * error + above,
            }
        )
    both = [
        o
        for c in cards
        for o in c["overpasses"]
        if o["rate_kg_s"] is not None and o["stack_kg_s"] is not None
    ]
    if not rows and len(both) < 3:
        raise RangeError("no card has a total of a year, and under three overpasses have stacks beside them")
    return rows, _together(both) if len(both) >= 3 else None, notes


def _together(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    stack, rate, stack_error = (
        np.array([r[n] for r in rows], float) for n in ("stack_kg_s", "rate_kg_s", "stack_error_kg_s")
    )
    additive = np.hypot(
        *(np.array([r[f"error_{n}_kg_s"] for r in rows], float) for n in ("background", "noise"))
    )
    grown = np.sqrt(
        sum(
            np.array([r[f"error_{n}_kg_s"] for r in rows], float) ** 2
            for n in ("wind", "method", "conversion")
        )
    )
    return agreement_of(stack, rate, stack_error, np.hypot(additive, grown / rate * stack))
