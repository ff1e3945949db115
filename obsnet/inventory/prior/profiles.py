"""How emissions of a year run through months, days and hours, by sector; the year's mass is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, RangeError
from obsnet.reading import door
from obsnet.typing import Floats, Times

__all__ = ["Profile", "period_factors", "read_profiles"]

_LENGTH = {"month": 12, "weekday": 7, "hour": 24}
_LOCAL_HOURS = 8  # China Standard Time


@dataclass(frozen=True)
class Profile:
    """Relative rates of one sector, each of mean 1 over its own cycle.

    Parameters
    ----------
    month, weekday, hour : tuple of float
        January to December; Monday to Sunday; hours 0 to 23 of China Standard Time (UTC+8).
    """

    month: tuple[float, ...] = (1.0,) * 12
    weekday: tuple[float, ...] = (1.0,) * 7
    hour: tuple[float, ...] = (1.0,) * 24


@door("a table of profiles")
def read_profiles(path: str | Path, sectors: Sequence[str]) -> dict[str, Profile]:
    """Read profiles: ``category`` (sector, or ``all``), ``kind``, ``item`` (number), ``value``.

    Parameters
    ----------
    path : path
        Months 1 to 12, weekdays 1 (Monday) to 7, hours 0 to 23 of China Standard Time; values relative, any scale.
    sectors : sequence of str
        Of the prior.

    Raises
    ------
    FormatError
        Unknown kind or sector, a cycle with entries missing.
    RangeError
        Negative values.
    """
    from obsnet.errors import nearest
    from obsnet.inventory.books import read_rows

    table = read_rows(path, ("category", "kind", "item", "value"), numbers=("value",))
    cycles: dict[str, dict[str, dict[int, float]]] = {}
    for row in table.to_dict("records"):
        if row["kind"] not in _LENGTH:
            raise FormatError(f"{path}: no kind of profile {row['kind']!r}{nearest(row['kind'], _LENGTH)}")
        if row["category"] not in {*sectors, "all"}:
            raise FormatError(
                f"{path}: no sector {row['category']!r}{nearest(row['category'], [*sectors, 'all'])}"
            )
        if not row["value"] >= 0.0:
            raise RangeError(
                f"{path}: {row['category']} {row['kind']} {row['item']} is {row['value']}, not a positive number"
            )
        first = 0 if row["kind"] == "hour" else 1
        cycles.setdefault(row["category"], {}).setdefault(row["kind"], {})[
            int(float(row["item"])) - first
        ] = row["value"]
    found = {}
    for sector in sectors:
        parts = {}
        for kind, length in _LENGTH.items():
            given = cycles.get(sector, {}).get(kind) or cycles.get("all", {}).get(kind)
            if given is None:
                continue
            if sorted(given) != list(range(length)):
                raise FormatError(
                    f"{path}: profile {kind} of {sector} needs {length} entries, found {len(given)}"
                )
            values = np.array([given[k] for k in range(length)])
            if values.sum() == 0.0:
                raise RangeError(f"{path}: profile {kind} of {sector} is 0 throughout")
            parts[kind] = tuple(float(v) for v in values / values.mean())
        found[sector] = Profile(**parts)
    return found


def period_factors(
    profiles: Mapping[str, Profile], sectors: Sequence[str], bounds: Times, year: int
) -> Floats:
    """Return the mean rate of each period over the mean rate of the year.

    Parameters
    ----------
    profiles : mapping of str to Profile
        Sectors without one run evenly.
    sectors : sequence of str
        Order of the result.
    bounds : ndarray of datetime64, shape (periods, 2)
        UTC, whole hours, within the year (a period may reach over its ends by the 8 hours of local time).
    year : int
        UTC year whose mass is kept.

    Returns
    -------
    ndarray, shape (periods, sectors)
        Weighted by length they average to 1 where the periods are the whole year.
    """
    start = np.datetime64(f"{year}-01-01T00", "h")
    stop = np.datetime64(f"{year + 1}-01-01T00", "h")
    hours = np.arange(start, stop)
    rates = np.stack([_rate(profiles.get(s, Profile()), hours) for s in sectors], axis=1)
    rates /= rates.mean(axis=0)
    cumulative = np.concatenate([np.zeros((1, len(sectors))), np.cumsum(rates, axis=0)])
    at = (np.asarray(bounds).astype("datetime64[h]") - start).astype(np.int64)
    if (at < 0).any() or (at > hours.size).any():
        raise RangeError(f"periods of a prior of {year} must lie within it (UTC)")
    if (np.asarray(bounds).astype("datetime64[us]") != np.asarray(bounds).astype("datetime64[h]")).any():
        raise RangeError("periods of a prior begin and end on whole hours")
    length = (at[:, 1] - at[:, 0])[:, None]
    return np.asarray((cumulative[at[:, 1]] - cumulative[at[:, 0]]) / length, dtype=np.float64)


def _rate(profile: Profile, hours: Any) -> Floats:
    local = hours + np.timedelta64(_LOCAL_HOURS, "h")
    month = local.astype("datetime64[M]").astype(np.int64) % 12
    day = local.astype("datetime64[D]").astype(np.int64)
    weekday = (day + 3) % 7  # 1970-01-01 was a Thursday
    hour = local.astype("datetime64[h]").astype(np.int64) % 24
    parts = (np.array(profile.month)[month], np.array(profile.weekday)[weekday], np.array(profile.hour)[hour])
    return np.asarray(parts[0] * parts[1] * parts[2], dtype=np.float64)
