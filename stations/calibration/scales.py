"""Calibration scales: a table of conversions, applied with range guard, error and provenance, or refused."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from obsnet.config import Options, read_toml, validate
from obsnet.constants import SPECIES
from obsnet.errors import ConfigError, ScaleError, nearest
from obsnet.schema import Quality
from stations.record.scale_names import UNCALIBRATED, UNKNOWN, canonical_scale, is_known

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Conversion", "conversions", "convert_scale", "convert_values", "route"]

TABLE = Path(__file__).with_name("scales.toml")
_SPREADS = {"uncertainty", "sd"}  # always in the unit of the value
# The one is joined with the conversion's own; the other is on WMO's scale whatever the value is on.
_KEPT = {"uncertainty_systematic", "value_wmo_scale"}


class _Row(Options):
    """One ``[[conversion]]`` of a table of scales."""

    model_config = Options.model_config | {"populate_by_name": True}

    species: str
    from_: str
    to: str
    polynomial: tuple[float, ...]
    range: tuple[float, float]
    uncertainty: float
    relative: float = 0.0
    verified: bool
    source: str
    note: str = ""


@dataclass(frozen=True)
class Conversion:
    """One step from scale to scale, forward or backward along a row of the table.

    Attributes
    ----------
    species, source_scale, target_scale : str
        Canonical names.
    polynomial : tuple of float
        Forward coefficients c0, c1, c2 in the species' unit.
    inverse : bool
        The step solves the polynomial for x.
    low, high : float
        Recommended range on the polynomial's x.
    uncertainty, relative : float
        1 sigma, absolute and as a share of the value.
    verified : bool
        False: only on the user's word.
    source, note : str
        Provenance.
    """

    species: str
    source_scale: str
    target_scale: str
    polynomial: tuple[float, ...]
    inverse: bool
    low: float
    high: float
    uncertainty: float
    relative: float
    verified: bool
    source: str
    note: str

    def apply(self, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return converted values, |d new / d old| and whether the row lies in the recommended range."""
        c = np.polynomial.Polynomial(self.polynomial)
        x = _solve(self.polynomial, value) if self.inverse else value
        slope = np.abs(c.deriv()(x))
        inside = (x >= self.low) & (x <= self.high)
        return (x, 1.0 / slope, inside) if self.inverse else (c(x), slope, inside)


def _solve(c: Sequence[float], y: np.ndarray) -> np.ndarray:
    """Return x with c0 + c1 x + c2 x^2 = y, on the branch that grows with x."""
    if len(c) == 2:
        return (y - c[0]) / c[1]
    root = np.sqrt(np.maximum(c[1] ** 2 - 4.0 * c[2] * (c[0] - y), 0.0))
    return 2.0 * (y - c[0]) / (c[1] + root)


@lru_cache(maxsize=8)
def _load(path: Path) -> tuple[Conversion, ...]:
    entries = read_toml(path).get("conversion", [])
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise ConfigError(f"{path.name}: conversions are tables, [[conversion]]")
    steps = []
    for number, entry in enumerate(entries, 1):
        named = {"from_" if name == "from" else name: value for name, value in entry.items()}
        row = validate(_Row, named, f"{path.name}: conversion {number}")
        if not 2 <= len(row.polynomial) <= 3 or not row.range[0] < row.range[1]:
            raise ConfigError(
                f"{path.name}: conversion {number}: a polynomial of 2 or 3 terms and a range low < high"
            )
        for inverse in (False, True):
            ends = (row.to, row.from_) if inverse else (row.from_, row.to)
            start, goal = (canonical_scale(e, row.species) for e in ends)
            steps.append(
                Conversion(
                    row.species, start, goal, row.polynomial, inverse, *row.range,
                    row.uncertainty, row.relative, row.verified, row.source, row.note,
                )
            )  # fmt: skip
    return tuple(steps)


def conversions(species: str | None = None, table: str | Path | None = None) -> tuple[Conversion, ...]:
    """Return the steps of a table of scales, both ways, of one species or of all.

    Parameters
    ----------
    species : str, optional
        Formula.
    table : path, optional
        TOML in the form of the package's ``scales.toml``, used instead of it.
    """
    steps = _load(Path(table) if table else TABLE)
    return tuple(s for s in steps if species is None or s.species == species.upper())


def route(species: str, source: str, target: str, table: str | Path | None = None) -> tuple[Conversion, ...]:
    """Return the shortest chain of conversions between two scales; none where they are one.

    Raises
    ------
    ScaleError
        A scale is unknown or no chain joins the two; the text says what there is.
    """
    start, goal = canonical_scale(source, species), canonical_scale(target, species)
    if UNKNOWN in {start, goal}:
        which = "record's" if start == UNKNOWN else "wanted"
        raise ScaleError(
            f"the {which} {species} scale is not known; say which it is when reading (--scale, scale=…)"
        )
    if start == goal:
        return ()
    steps = conversions(species, table)
    names = {s.source_scale for s in steps}
    for name in (start, goal):
        if name not in names:
            raise ScaleError(
                f"no conversion of {species} is known for the scale {name!r}{nearest(name, names)}: {_why(name)}"
            )
    paths: deque[tuple[Conversion, ...]] = deque((s,) for s in steps if s.source_scale == start)
    seen = {start}
    while paths:
        path = paths.popleft()
        if path[-1].target_scale == goal:
            return path
        seen.add(path[-1].target_scale)
        paths.extend(
            (*path, s)
            for s in steps
            if s.source_scale == path[-1].target_scale and s.target_scale not in seen
        )
    raise ScaleError(f"no chain of conversions leads from {start!r} to {goal!r} for {species}")


def _why(scale: str) -> str:
    """Say what keeps a scale from being converted."""
    if scale == UNCALIBRATED:
        return "the readings are not calibrated; obsnet station calibrate does that"
    if not is_known(scale):
        return (
            "it is not the name of a scale; say which it is (--scale), or give a table of your own (--table)"
        )
    return "it is a scale, but no source for a conversion is at hand; give a table of your own (--table)"


def convert_values(
    value: np.ndarray,
    species: str,
    source: str,
    target: str,
    *,
    accept_unverified: bool = False,
    table: str | Path | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Convert dry mole fractions from scale to scale.

    Parameters
    ----------
    value : ndarray
        In the species' customary unit.
    species, source, target : str
        Formula and scales, in any spelling.
    accept_unverified : bool
        Use rows of the table whose source could not be checked.
    table : path, optional
        See `conversions`.

    Returns
    -------
    converted, slope, uncertainty, inside : ndarray
        New values; d new / d old; standard uncertainty of the conversion (systematic); whether every step
        was inside its recommended range.
    """
    new = np.asarray(value, dtype=np.float64)
    slope, variance, inside = np.ones_like(new), np.zeros_like(new), np.ones(new.shape, dtype=bool)
    for step in route(species, source, target, table):
        if not (step.verified or accept_unverified):
            raise ScaleError(
                f"{species} {step.source_scale} to {step.target_scale} rests on an unverified source "
                f"({step.source}); convert only with accept_unverified, or give a table of your own"
            )
        new, factor, good = step.apply(new)
        slope = slope * factor
        variance = variance * factor**2 + step.uncertainty**2 + (step.relative * new) ** 2
        inside &= good
    return new, slope, np.sqrt(variance), inside


def convert_scale(
    record: xr.Dataset, to: str, *, accept_unverified: bool = False, table: str | Path | None = None
) -> xr.Dataset:
    """Return a record on another calibration scale.

    Parameters
    ----------
    record : xarray.Dataset
        Layout of `stations.record.record`; a point record.
    to : str
        ``"X2019"``, ``"WMO CO2 X2019"``, ``"TU-87"`` ...
    accept_unverified : bool
        Use rows of the table whose source could not be checked.
    table : path, optional
        See `conversions`.

    Returns
    -------
    xarray.Dataset
        ``value``, and what else begins with ``value``, converted; ``uncertainty``, ``sd`` and every other column in
        the unit of the value scaled by the slope; the conversion's own uncertainty joined in quadrature to
        ``uncertainty_systematic``. Rows outside the recommended range are converted and flagged ``calibration``. The
        attributes tell each step and its source.

    Raises
    ------
    ScaleError
        Total-column data, an unknown scale, no conversion, or an unverified one not accepted.
    """
    species, path = record.attrs["species"], record.attrs.get("path", "record")
    by_row = sorted(set(record["scale_row"].values.tolist())) if "scale_row" in record else []
    if len(by_row) > 1:
        raise ScaleError(
            f"{path}: its rows are on several scales ({', '.join(map(str, by_row))}); select those of one first"
        )
    if record.attrs.get("kind") == "column":
        raise ScaleError(
            f"{path}: total columns are not converted from scale to scale: their scale enters through the "
            "airmass-independent correction and the prior, and a column's mean of the formula is not "
            "the formula of its mean. TCCON files carry both versions (xco2 and xco2_x2019): read the one you want"
        )
    if species not in SPECIES:
        raise ScaleError(f"{path}: no scales are known for {species!r}{nearest(species, SPECIES)}")
    source, target = record.attrs.get("scale", UNKNOWN), canonical_scale(to, species)
    steps = route(species, source, target, table)
    if not steps:
        return record
    value = record["value"].values
    new, slope, extra, inside = convert_values(
        value, species, source, target, accept_unverified=accept_unverified, table=table
    )
    result = record.drop_vars("scale_row", errors="ignore")
    result["value"] = record["value"].copy(data=new)
    unit = record["value"].attrs.get("units", "")
    for name in map(str, record.data_vars):
        own = record[name].attrs.get("units", "")
        if name == "value" or name in _KEPT or not (name in _SPREADS or (own and own == unit)):
            continue
        if name.startswith("value"):  # of wet air, without spikes …
            other = convert_values(
                record[name].values, species, source, target, accept_unverified=accept_unverified, table=table
            )[0]
            result[name] = record[name].copy(data=other)
        else:  # spreads, repeatabilities, differences
            result[name] = record[name].copy(data=record[name].values * slope)
    before = (
        record["uncertainty_systematic"].values
        if "uncertainty_systematic" in record
        else np.zeros(value.size)
    )
    joined = np.sqrt((np.nan_to_num(before) * slope) ** 2 + extra**2)
    result["uncertainty_systematic"] = ("time", joined, {"units": unit})
    outside = np.isfinite(value) & ~inside
    quality = record["quality"].values.copy()
    quality[outside] |= np.uint32(Quality.CALIBRATION)
    result["quality"] = record["quality"].copy(data=quality)
    changes = list(record.attrs.get("changes", []))
    changes += [
        f"{int(np.isfinite(value).sum())} values from {s.source_scale} to {s.target_scale} ({s.source})"
        for s in steps
    ]
    if outside.any():
        changes.append(
            f"{int(outside.sum())} rows outside the conversion's recommended range (flagged 'calibration')"
        )
    result.attrs = {**record.attrs, "scale": target, "changes": changes}
    return result
