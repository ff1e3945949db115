"""How far systems differ: a row a system and region, and a row a region with both spreads.

*Within*: what systems state of their own error, root mean square. *Between*: the standard deviation of their totals.
Systems share observations, transport and priors, so their mean is not surer than one of them and no 1/sqrt(n) is taken;
`total_sd` is of a system drawn at random from these, by both spreads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from obsnet.crosscheck.systems.estimate import Between, Mean, SystemEstimate, mean_over
from obsnet.crosscheck.systems.keys import parts_of, region_key
from obsnet.errors import ConfigError, FormatError, RegionError, nearest
from obsnet.inventory.period import Period, read_period
from obsnet.inventory.words import NATION, find_region
from obsnet.regions import PROVINCES

__all__ = ["SPREAD", "SYSTEMS", "asked_region", "common_ground", "spread_table", "systems_table"]

SYSTEMS = (
    "system", "gas", "quantity", "region", "name_en", "name_zh", "period", "total", "sd", "sd_common", "periods",
    "cell", "shared", "split_sd", "resolved", "how",
)  # fmt: skip
SPREAD = (
    "gas", "quantity", "region", "name_en", "name_zh", "period", "systems", "mean", "lowest", "lowest_system",
    "highest", "highest_system", "within_sd", "stated", "between_sd", "total_sd", "largest_gap", "gap_in_sd",
    "unresolved_by",
)  # fmt: skip


_FEW = 6  # names in a note


def asked_region(text: str) -> str:
    """Return the key of a region as a person writes it: a country, several with +, a province in either language.

    Examples
    --------
    >>> asked_region("河北"), asked_region("LUX+BEL"), asked_region("China")
    ('130000', 'BEL+LUX', 'CHN')
    """
    key, _ = region_key(text)
    within = [p for p in parts_of(key) if p in PROVINCES]
    if NATION in parts_of(key) and within:
        raise RegionError(f"{text}: {NATION} holds {', '.join(within)}, which would count twice")
    if key != text.strip() or "+" in key:
        return key
    try:
        return find_region(text) if len(key) > 3 or not key.isascii() else key
    except RegionError:
        return key


def systems_table(
    estimates: Sequence[SystemEstimate],
    periods: Iterable[str] = (),
    regions: Iterable[str] = (),
    *,
    between: Between = "independent",
    unresolved: float = 0.3,
) -> tuple[Any, list[str]]:
    """Return a row a system, region and period.

    Parameters
    ----------
    estimates : sequence of SystemEstimate
        No two of one name.
    periods : iterable of str
        Years, months or ranges; by default every calendar year that a system covers whole.
    regions : iterable of str
        As people write them; by default those that two systems have, or all where there is one system.
    between : {"independent", "common"}
        See `obsnet.crosscheck.systems.estimate.mean_over`.
    unresolved : float
        Share of the magnitude of a region's flux: see `obsnet.crosscheck.systems.estimate.GridResolution`.

    Returns
    -------
    table : pandas.DataFrame
        Columns `SYSTEMS`; totals and deviations in Tg a year.
    notes : list of str
        Which system lacks what.

    Raises
    ------
    ConfigError
        Two systems of one name; a period or region that no system has.
    """
    import pandas as pd

    names = [e.system for e in estimates]
    again = next((n for n in names if names.count(n) > 1), None)
    if again is not None:
        raise ConfigError(f"two systems are called {again!r}; give each its own name (NAME=PATH)")
    asked = [read_period(p) for p in periods]
    wanted = asked or _years(estimates)
    notes: list[str] = []
    rows: list[dict[str, Any]] = []
    named = [asked_region(r) for r in regions]
    keys = named or _common_keys(estimates)
    for key in named:
        without = [e.system for e in estimates if _weights(e, key) is None]
        if without and len(without) < len(names):
            notes.append(f"{key}: not a region of {', '.join(without)}")
    for period in wanted:
        means = {e.system: mean_over(e, period, between) for e in estimates}
        lacking = [n for n, m in means.items() if m is None]
        if len(lacking) == len(names):
            has = "; ".join(f"{e.system}: {_span(e)}" for e in estimates)
            raise ConfigError(f"no system has {period} whole; there is {has}")
        if lacking and asked:
            notes.append(f"{period}: not whole in {', '.join(lacking)}, left out there")
        for e in estimates:
            mean = means[e.system]
            if mean is None:
                continue
            found = [r for key in keys if (r := _row(e, mean, key, period, unresolved)) is not None]
            there = {r["region"] for r in found}
            lost = [key for key in keys if key not in there and _weights(e, key) is not None]
            if lost or not found:
                which = ", ".join(lost[:_FEW]) + (" …" if len(lost) > _FEW else "") or "these regions"
                notes.append(f"{period}: {e.system} has no total of {which}")
            rows += found
    for key in keys:
        if not any(r["region"] == key for r in rows):
            known = {r for e in estimates for r in e.regions}
            if key in known:
                raise ConfigError(f"no system has a total of {key!r} at that time; its grid may not cover it")
            raise ConfigError(f"no system has the region {key!r}{nearest(key, sorted(known))}")
    return pd.DataFrame(rows, columns=list(SYSTEMS)), notes


def _years(estimates: Sequence[SystemEstimate]) -> list[Period]:
    """Return the calendar years that some system covers whole; where there is none, the periods themselves."""
    years = sorted({y for e in estimates for p in e.periods for y in _touched(p)})
    whole = [p for y in years if any(mean_over(e, p := read_period(y)) is not None for e in estimates)]
    every = {(p.start, p.stop): p for e in estimates for p in e.periods}
    return whole or [every[k] for k in sorted(every)]


def _touched(period: Period) -> list[str]:
    first, last = (
        int(str(t.astype("datetime64[Y]"))) for t in (period.start, period.stop - np.timedelta64(1, "us"))
    )
    return [str(y) for y in range(first, last + 1)]


def _span(estimate: SystemEstimate) -> str:
    first, last = min(p.start for p in estimate.periods), max(p.stop for p in estimate.periods)
    return str(Period(first, last))


def _common_keys(estimates: Sequence[SystemEstimate]) -> list[str]:
    every = list(dict.fromkeys(r for e in estimates for r in e.regions))
    if len(estimates) == 1:
        return every
    found = [r for r in every if sum(_weights(e, r) is not None for e in estimates) > 1]
    if not found:
        listed = "; ".join(f"{e.system}: {', '.join(e.regions[:4])} …" for e in estimates)
        raise ConfigError(f"the systems have no region in common ({listed}); say which with --region")
    return found


def _weights(estimate: SystemEstimate, key: str) -> np.ndarray | None:
    """Return which of a system's regions make up a key: itself, or all its parts."""
    if key in estimate.regions:
        return np.array([float(r == key) for r in estimate.regions])
    parts = parts_of(key)
    if len(parts) > 1 and set(parts) <= set(estimate.regions):
        return np.array([float(r in parts) for r in estimate.regions])
    return None


def _row(e: SystemEstimate, mean: Mean, key: str, period: Period, unresolved: float) -> dict[str, Any] | None:
    weight = _weights(e, key)
    if weight is None:
        return None
    used = weight > 0.0
    total = float(mean.total[used].sum())
    if math.isnan(total):
        return None
    sd, common, how = float(mean.sd[used][0]), float(mean.sd_common[used][0]), ""
    if used.sum() > 1:
        how = "sum of its parts"
        sd = common = math.nan
        if mean.covariance is not None:
            sd = float(np.sqrt(max(mean.covariance[np.ix_(used, used)].sum(), 0.0)))
            known = mean.periods == 1 or e.members is not None or e.joint is not None
            common = sd if known else math.nan
    found = {"cell": "", "shared": math.nan, "split_sd": math.nan, "resolved": None}
    if e.resolution is not None and used.sum() == 1:  # of a sum of regions it is not known
        k = int(np.argmax(weight))
        split, size = float(e.resolution.split_sd[k]), float(e.resolution.magnitude[k])
        found = {
            "cell": e.resolution.cell,
            "shared": float(e.resolution.shared[k]),
            "split_sd": split,
            "resolved": bool(split <= unresolved * size),
        }
    return {
        "system": e.system, "gas": e.gas, "quantity": e.quantity, "region": key, **_names(key), "period": str(period),
        "total": total, "sd": sd, "sd_common": common, "periods": mean.periods, **found, "how": how,
    }  # fmt: skip


def _names(key: str) -> dict[str, str]:
    if key == NATION:
        return {"name_en": "China", "name_zh": "中国"}
    english, chinese = PROVINCES[key][:2] if key in PROVINCES else (key, key)
    return {"name_en": english, "name_zh": chinese}


def spread_table(systems: Any) -> Any:
    """Return a row a gas, quantity, region and period with both spreads.

    Parameters
    ----------
    systems : pandas.DataFrame
        From `systems_table`.

    Returns
    -------
    pandas.DataFrame
        Columns `SPREAD`. ``within_sd`` is the root mean square of the deviations of the ``stated`` systems that state
        one; ``between_sd`` the standard deviation of the totals (divisor n - 1), empty for one system;
        ``total_sd`` the root of the sum of both squares; ``largest_gap`` between the two systems farthest apart;
        ``gap_in_sd`` the largest difference of two systems over the root of the sum of their variances.

    Raises
    ------
    FormatError
        An empty table.
    """
    import pandas as pd

    if systems.empty:
        raise FormatError("no totals to compare")
    rows = []
    for (gas, quantity, region, period), group in systems.groupby(
        ["gas", "quantity", "region", "period"], sort=False
    ):
        total, sd = group["total"].to_numpy(float), group["sd"].to_numpy(float)
        known = np.isfinite(sd)
        low, high = int(np.argmin(total)), int(np.argmax(total))
        within = float(np.sqrt(np.mean(sd[known] ** 2))) if known.any() else math.nan
        between = float(np.std(total, ddof=1)) if len(total) > 1 else math.nan
        gaps = [
            abs(total[i] - total[j]) / width
            for i, j in combinations(np.flatnonzero(known), 2)
            if (width := math.hypot(sd[i], sd[j])) > 0.0
        ]
        first = group.iloc[0]
        rows.append(
            (gas, quantity, region, first["name_en"], first["name_zh"], period, len(total), float(total.mean()),
             float(total[low]), group["system"].iloc[low], float(total[high]), group["system"].iloc[high], within,
             int(known.sum()), between, math.sqrt(within**2 + between**2), float(total[high] - total[low]),
             max(gaps, default=math.nan), ", ".join(group["system"][group["resolved"] == False]))  # noqa: E712
        )  # fmt: skip
    return pd.DataFrame(rows, columns=list(SPREAD))


def common_ground(estimates: Sequence[SystemEstimate]) -> list[str]:
    """Say what systems rest on together: the same transport model, prior or model ensemble."""
    out = []
    for what in dict.fromkeys(k for e in estimates for k in e.rests_on):
        groups: dict[str, list[str]] = {}
        stated = [(e.system, e.rests_on[what]) for e in estimates if e.rests_on.get(what)]
        for name, value in sorted(stated, key=lambda s: len(s[1])):
            # NAME and NAMEIII, EDGAR and EDGAR 8.0
            base = next((b for b in groups if value.casefold().startswith(b.casefold())), value)
            groups.setdefault(base, []).append(name)
        out += [
            f"{', '.join(sorted(names))} share their {what} ({base}): their errors are not independent"
            for base, names in groups.items()
            if len(names) > 1
        ]
    return out
