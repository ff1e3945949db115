"""Overpasses of one plant, each with what its stacks emitted while the air that was seen passed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import ConfigError, FormatError, MissingVariableError, nearest
from obsnet.reading import read_csv, reading
from obsnet.times import as_utc
from obsnet.typing import Floats
from retrieval.plants.compare.agreement import e_n
from retrieval.plants.stack.record import StackRecord, StackWindow
from retrieval.plume.rates.reasons import RejectReason
from retrieval.plume.tables import PLUME_RATES

__all__ = ["Overpass", "emission_window", "match_stack", "pairs", "read_overpasses"]

_SHORTEST = 3600.0  # s, of a window: stacks report hours
# Why a rate could not have been told however much was emitted; without any of them a plume that is not found is weak.
_BLIND = (
    RejectReason.OUTSIDE
    | RejectReason.MERGED
    | RejectReason.SLOW_WIND
    | RejectReason.FEW_PIXELS
    | RejectReason.GAPS
    | RejectReason.UPWIND
    | RejectReason.ANGLE
)
_NEEDED = (
    "scene", "time", "species", "source", "latitude", "longitude", "method", "rate_kg_s", "low95_kg_s", "high95_kg_s",
    "error_wind_kg_s", "error_background_kg_s", "error_noise_kg_s", "error_method_kg_s", "error_conversion_kg_s",
    "limit_kg_s", "quality", "wind_m_s", "wind_error_m_s", "wind_basis", "start_km", "end_km",
)  # fmt: skip


@dataclass(frozen=True)
class Overpass:
    """One overpass by one method, and the stacks beside it.

    Parameters
    ----------
    scene, method, wind_basis : str
    time : datetime64
        UTC.
    status : {"rate", "below", "rejected"}
        Whether there is a rate; or nothing that could be seen, so that only the limit is said; or nothing is known.
    rate, low, high : float
        kg s-1, of status ``rate`` only; else NaN.
    limit : float
        Smallest rate that would have been seen, kg s-1.
    parts : dict of str to float
        Standard errors by where they come from, kg s-1; empty without a rate.
    quality : int
        Bits of `RejectReason`.
    wind, wind_error : float
        m s-1.
    start_km, end_km : float
        Piece of plume.
    window : (datetime64, datetime64) or None
        When its air passed the stacks; None where nothing says it.
    stack, stack_error : float
        kg s-1, mean of the window; NaN where the record has none.
    stack_seen, substituted : float
        Shares, see `StackWindow`.
    e_n : float
        Of rate and stack.
    """

    scene: str
    method: str
    wind_basis: str
    time: np.datetime64
    status: str
    rate: float
    low: float
    high: float
    limit: float
    parts: dict[str, float]
    quality: int
    wind: float
    wind_error: float
    start_km: float
    end_km: float
    window: tuple[np.datetime64, np.datetime64] | None = None
    stack: float = float("nan")
    stack_error: float = float("nan")
    stack_seen: float = float("nan")
    substituted: float = float("nan")
    e_n: float = float("nan")

    @property
    def additive(self) -> float:
        """Standard error that does not grow with the rate, kg s-1."""
        return float(np.hypot(self.parts["background"], self.parts["noise"]))

    @property
    def share(self) -> float:
        """Standard error that grows with the rate, as a share of it."""
        grown = [self.parts[n] for n in ("wind", "method", "conversion")]
        return float(np.sqrt(np.sum(np.square(grown))) / abs(self.rate)) if self.rate else float("inf")

    def error_at(self, rate: float) -> float:
        """Return the standard error if the true rate is `rate`, kg s-1.

        Errors of wind and method are shares of the true rate: taken at the estimate they would be small where
        it is too low, and a low estimate would count for more than a high one.
        """
        return float(np.hypot(self.additive, self.share * rate))


def read_overpasses(
    paths: Sequence[Path], source: str | None, method: str | None
) -> tuple[list[Overpass], list[dict[str, Any]], dict[str, Any]]:
    """Read the rates of one plant.

    Parameters
    ----------
    paths : sequence of path
        CSV of `retrieval.plume.tables.PLUME_RATES`.
    source, method : str, optional
        Whose, and by which method; needed where the files have several.

    Returns
    -------
    overpasses : list of Overpass
        By time, of the method asked for, stacks not yet beside them.
    beside : list of dict
        ``scene, time, method, rate, low, high, status`` by all methods.
    place : dict
        ``source, latitude, longitude``.

    Raises
    ------
    FormatError, MissingVariableError
        Columns missing; an overpass twice; another gas than CO2.
    ConfigError
        Several sources or methods and none named, or one that is not there.
    """
    import pandas as pd

    table = pd.concat([_table(p) for p in paths], ignore_index=True)
    where = ", ".join(str(p) for p in paths)
    name = _one(table["source"], source, "source", where)
    table = table[table["source"] == name].reset_index(drop=True)
    gases = sorted(table["species"].unique())
    if gases != ["CO2"]:
        raise FormatError(f"{where}: rates of {', '.join(gases)}; stacks and fuel are compared for CO2")
    chosen = _one(table["method"], method, "method", where)
    found = [_overpass(r) for r in table.to_dict("records")]
    twice = table.duplicated(["scene", "method"])
    if twice.any():
        row = table[twice].iloc[0]
        raise FormatError(f"{where}: scene {row['scene']!r} of {name} by {row['method']} stands there twice")
    found.sort(key=lambda o: o.time)
    beside = [
        {
            "scene": o.scene,
            "time": o.time,
            "method": o.method,
            "status": o.status,
            "rate": o.rate,
            "low": o.low,
            "high": o.high,
        }
        for o in found
    ]
    first = table.iloc[0]
    place = {"source": name, "latitude": float(first["latitude"]), "longitude": float(first["longitude"])}
    return [o for o in found if o.method == chosen], beside, place


def _table(path: Path) -> Any:
    with reading(path, "plume rates (CSV)"):
        table = read_csv(path)
    for column in _NEEDED:
        if column not in table:
            raise MissingVariableError(
                f"{path}: column {column!r} is missing{nearest(column, table.columns)}; give rates.csv of "
                "obsnet plume rate"
            )
    assert set(_NEEDED) <= set(PLUME_RATES.schema.names)
    for column in ("source", "method", "scene"):
        table[column] = table[column].astype(str)
    return table


def _one(column: Any, wanted: str | None, what: str, where: str) -> str:
    there = list(dict.fromkeys(column))
    if wanted is None:
        if len(there) == 1:
            return str(there[0])
        hint = " of one plume share pixels and wind" if what == "method" else ""
        raise ConfigError(f"{where}: {what}s {', '.join(there[:12])}{hint}; say which counts with --{what}")
    if wanted not in there:
        raise ConfigError(f"{where}: no {what} {wanted!r}{nearest(wanted, there)}")
    return wanted


def _overpass(row: dict[str, Any]) -> Overpass:
    quality = int(row["quality"])
    known = np.isfinite(row["rate_kg_s"])
    weak = quality & int(RejectReason.BELOW_LIMIT | RejectReason.NOT_FOUND) and not quality & int(_BLIND)
    status = "rate" if quality == 0 and known else "below" if weak else "rejected"
    nan = float("nan")
    rate, low, high = (
        float(row[f"{n}_kg_s"]) if status == "rate" else nan for n in ("rate", "low95", "high95")
    )
    parts = {
        n: float(row[f"error_{n}_kg_s"]) for n in ("wind", "background", "noise", "method", "conversion")
    }
    return Overpass(
        str(row["scene"]),
        str(row["method"]),
        str(row["wind_basis"]),
        as_utc(row["time"]),
        status,
        rate,
        low,
        high,
        float(row["limit_kg_s"]),
        parts if status == "rate" else {},
        quality,
        float(row["wind_m_s"]),
        float(row["wind_error_m_s"]),
        float(row["start_km"]),
        float(row["end_km"]),
    )


def emission_window(
    time: np.datetime64, start_km: float, end_km: float, wind: float
) -> tuple[np.datetime64, np.datetime64]:
    """Return when the air of a piece of plume passed its source.

    Parameters
    ----------
    time : datetime64
        Of the overpass.
    start_km, end_km : float
        Of the piece, downwind of the source.
    wind : float
        Mean speed, m s-1.

    Returns
    -------
    start, stop : datetime64[us]
        ``time - end / wind`` to ``time - start / wind``; an hour about the middle where that is less than one.

    Examples
    --------
    >>> window = emission_window(np.datetime64("2024-07-01T04:30", "us"), 9.0, 36.0, 5.0)
    >>> [str(t)[11:16] for t in window]
    ['02:30', '04:00']
    """
    early, late = end_km * 1e3 / wind, start_km * 1e3 / wind
    if early - late < _SHORTEST:
        middle = 0.5 * (early + late)
        early, late = middle + 0.5 * _SHORTEST, middle - 0.5 * _SHORTEST
    at = time.astype("datetime64[us]")
    start, stop = (at - np.timedelta64(round(s * 1e6), "us") for s in (early, late))
    return start, stop


def match_stack(overpass: Overpass, record: StackRecord) -> Overpass:
    """Put the stacks' mean emission of its window beside an overpass.

    Notes
    -----
    The wind that brought the air is known to its error only: half the difference between the means of the
    windows of a
    wind one standard error slower and faster is added to the stacks' error. Steady wind since then is assumed.
    """
    if not overpass.wind > 0 or overpass.method == "divergence":  # a mean of many overpasses has no window
        return overpass
    window = emission_window(overpass.time, overpass.start_km, overpass.end_km, overpass.wind)
    mean = record.window(*window)
    if not np.isfinite(mean.rate):
        return replace(overpass, window=window, stack_seen=mean.seen)
    error = float(np.hypot(mean.error, _by_wind(overpass, record, mean)))
    told = overpass.status == "rate"
    number = (
        float(e_n(mean.rate, overpass.rate, error, overpass.error_at(mean.rate))) if told else float("nan")
    )
    return replace(
        overpass,
        window=window,
        stack=mean.rate,
        stack_error=error,
        stack_seen=mean.seen,
        substituted=mean.substituted,
        e_n=number,
    )


def _by_wind(overpass: Overpass, record: StackRecord, mean: StackWindow) -> float:
    rates = []
    for wind in (overpass.wind - overpass.wind_error, overpass.wind + overpass.wind_error):
        if wind > 0.1 * overpass.wind:
            window = emission_window(overpass.time, overpass.start_km, overpass.end_km, wind)
            rate = record.window(*window).rate
            rates.append(rate if np.isfinite(rate) else mean.rate)
    return 0.5 * float(np.ptp(rates)) if len(rates) == 2 else abs(rates[0] - mean.rate) if rates else 0.0


def pairs(overpasses: Sequence[Overpass]) -> tuple[Floats, Floats, Floats, Floats]:
    """Return stack, rate and their standard errors (at the stack's rate), kg s-1, of overpasses that have both."""
    both = [o for o in overpasses if o.status == "rate" and np.isfinite(o.stack)]
    return (
        np.array([o.stack for o in both]),
        np.array([o.rate for o in both]),
        np.array([o.stack_error for o in both]),
        np.array([o.error_at(o.stack) for o in both]),
    )
