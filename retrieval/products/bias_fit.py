"""Refit a bias correction on truth proxies: small areas in which the column is one number, or given truths.

O'Dell et al. 2018 (doi:10.5194/amt-11-6539-2018) and Taylor et al. 2023 (doi:10.5194/amt-16-3173-2023): within
about 100 km along one orbit the true column hardly varies, so what varies with the surface or the aerosol is
error. Such areas tell the coefficients but no common offset; stations (TCCON) tell that too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from obsnet.errors import FormatError, SolverError
from obsnet.reading import door, read_csv
from obsnet.sphere import great_circle_km
from retrieval.products.bias import Correction, CorrectionClass, is_footprint, is_raw, lookup
from retrieval.products.expression import Binary, FormulaTerm, Name, Node, Number, evaluate, terms, unparse
from retrieval.readers.fields import Fields

__all__ = ["BiasSamples", "ClassFit", "collect", "concatenate", "read_truth", "refit", "small_areas"]

_HUBER = 1.345  # tuning constant of 95 % efficiency for Gaussian errors


@dataclass(frozen=True)
class BiasSamples:
    """What a fit needs of some granules, one entry a good sounding.

    Parameters
    ----------
    obs_id : ndarray of str
        Product's own identity of the sounding.
    which : ndarray of int
        Number of the correction's class.
    raw : ndarray
        Value before correction.
    offset : ndarray
        Footprint offset of the formula, 0 where it has none.
    factors : list of ndarray
        By class, (rows of that class, factors of its formula).
    area : ndarray of int
        Small area of the sounding, -1 where it is alone.
    """

    obs_id: np.ndarray
    which: np.ndarray
    raw: np.ndarray
    offset: np.ndarray
    factors: list[np.ndarray]
    area: np.ndarray


def small_areas(
    time: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, *, length: float = 100.0, gap: float = 20.0
) -> np.ndarray:
    """Cut an orbit into pieces short enough for the true column to be constant.

    Parameters
    ----------
    time : ndarray of datetime64
        Any order.
    latitude, longitude : ndarray
        Degrees.
    length : float
        Longest piece along the track, km.
    gap : float
        A new piece begins after a break of so many seconds.

    Returns
    -------
    ndarray of int64
        Number of the piece, in the order of the input; -1 for pieces of one sounding.
    """
    order = np.argsort(time, kind="stable")
    lat, lon = latitude[order], longitude[order]
    seconds = np.diff(time[order]) / np.timedelta64(1, "s")
    step = great_circle_km(lat[1:], lon[1:], lat[:-1], lon[:-1])
    # Scans zigzag across the track: seconds, not steps, tell the way along it where the swath is wide.
    broken = np.r_[True, (seconds > gap) | (step > length)] if len(order) else np.zeros(0, bool)
    run = np.cumsum(broken) - 1
    first = np.flatnonzero(broken)
    chord = great_circle_km(lat, lon, lat[first][run], lon[first][run]) if len(order) else np.zeros(0)
    piece = (run.astype(np.int64) << 32) + np.floor(chord / length).astype(np.int64)
    _, number, count = np.unique(piece, return_inverse=True, return_counts=True)
    result = np.empty(len(order), dtype=np.int64)
    result[order] = np.where(count[number] > 1, number, -1)
    return result


def _factors(entry: CorrectionClass) -> tuple[list[FormulaTerm], float, list[FormulaTerm]]:
    """Return what can be fitted, the divisor, and the constants of a formula."""
    summands, divisor = terms(entry.tree())
    raw = [t for t in summands if is_raw(t.factor)]
    if len(raw) != 1 or raw[0].coefficient != 1.0:
        raise FormatError(f"bias correction {entry.name!r}: the raw value must stand in it once, as it is")
    others = [t for t in summands if not is_raw(t.factor) and not is_footprint(t.factor)]
    return [t for t in others if t.factor is not None], divisor, [t for t in others if t.factor is None]


def collect(
    fields: Fields, correction: Correction, *, length: float = 100.0, gap: float = 20.0
) -> BiasSamples:
    """Take from one granule what a fit needs of its good soundings.

    Parameters
    ----------
    fields : Fields
        Open granule.
    correction : Correction
        Whose formulas are refitted.
    length, gap : float
        See `small_areas`.
    """
    if fields.sensor.quality is None or fields.sensor.raw is None:
        raise FormatError(f"{fields.where}: {fields.sensor.name} has no quality flag or no raw value to fit")
    rejected, _, _ = fields.flags(fields.sensor.quality)
    which = correction.split(fields)
    raw = fields.raw(fields.sensor.raw)
    time = fields.times()[0]
    good = ~rejected & (which >= 0) & np.isfinite(raw) & ~np.isnat(time)
    offset = np.zeros(len(raw))
    factors: list[np.ndarray] = []
    for number, entry in enumerate(correction.classes):
        get = lookup(fields, entry)
        if entry.footprint:
            offset = np.where(which == number, get("footprint_bias"), offset)
        wanted, _, _ = _factors(entry)
        columns = [
            np.broadcast_to(evaluate(t.factor, get), raw.shape) for t in wanted if t.factor is not None
        ]
        table = np.stack(columns, axis=1) if columns else np.zeros((len(raw), 0))
        good &= (which != number) | np.isfinite(table).all(axis=1)
        factors.append(table)
    latitude, longitude = (fields.number(k) for k in ("latitude", "longitude"))
    assert latitude is not None
    assert longitude is not None
    area = np.full(len(raw), -1, dtype=np.int64)
    area[good] = small_areas(time[good], latitude[good], longitude[good], length=length, gap=gap)
    identity = np.asarray(fields.identifiers(time).cast("string"), dtype=str)
    rows = [table[good & (which == number)] for number, table in enumerate(factors)]
    return BiasSamples(
        identity[good], which[good], raw[good].astype(np.float64), offset[good], rows, area[good]
    )


def concatenate(parts: Iterable[BiasSamples]) -> BiasSamples:
    """Join the samples of several granules; their small areas stay apart."""
    pieces = list(parts)
    if not pieces:
        raise FormatError("no granule to fit a bias correction to")
    areas, top = [], 0
    for piece in pieces:
        areas.append(np.where(piece.area >= 0, piece.area + top, -1))
        top = max(top, int(areas[-1].max(initial=-1)) + 1)
    return BiasSamples(
        obs_id=np.concatenate([p.obs_id for p in pieces]),
        which=np.concatenate([p.which for p in pieces]),
        raw=np.concatenate([p.raw for p in pieces]),
        offset=np.concatenate([p.offset for p in pieces]),
        factors=[np.concatenate([p.factors[k] for p in pieces]) for k in range(len(pieces[0].factors))],
        area=np.concatenate(areas),
    )


@dataclass(frozen=True)
class ClassFit:
    """What the fit of one class found.

    Parameters
    ----------
    name : str
        Class.
    n, groups : int
        Soundings and small areas (or stations) used.
    factors : list of str
        What is multiplied.
    old, new, error : ndarray
        Coefficients before and after, standard errors (clustered by group); NaN error where one was kept.
    constant : float
        Constant of the formula, fitted only on given truths.
    scatter_before, scatter_after : float
        Standard deviation of corrected value minus truth, in the species' unit.
    """

    name: str
    n: int
    groups: int
    factors: list[str]
    old: np.ndarray
    new: np.ndarray
    error: np.ndarray
    constant: float
    scatter_before: float
    scatter_after: float


def refit(
    correction: Correction,
    samples: BiasSamples,
    *,
    name: str = "refit",
    truth: np.ndarray | None = None,
    group: np.ndarray | None = None,
    minimum: int = 30,
    provenance: dict[str, Any] | None = None,
) -> tuple[Correction, list[ClassFit]]:
    """Fit the coefficients of a bias correction anew.

    With the formula ``X = (raw + sum_i c_i f_i + c_0 - footprint) / d`` the coefficients that bring ``X`` to the
    truth are found by robust (Huber) least squares; ``d`` and the footprint offsets stay. Without given truths
    the truth is one unknown number for each small area, which the fit removes; ``c_0`` then stays as well, and
    so does the coefficient of a factor that does not vary inside areas.

    Parameters
    ----------
    correction : Correction
        Formulas to start from.
    samples : BiasSamples
        From `collect`.
    name : str
        Of the new correction.
    truth : ndarray, shape (rows,), optional
        True columns in the species' unit, NaN where unknown.
    group : ndarray of int, shape (rows,), optional
        Soundings with common errors, for the standard errors; by default the small areas.
    minimum : int
        Soundings a class needs; one with fewer is kept as it is.
    provenance : dict, optional
        Added to what the fit itself records.

    Returns
    -------
    Correction, list of ClassFit

    Raises
    ------
    SolverError
        No class has enough soundings.
    """
    if group is None:
        alone = samples.area.max(initial=-1) + 1 + np.arange(len(samples.area))
        group = samples.area if truth is None else np.where(samples.area < 0, alone, samples.area)
    group = np.asarray(group)
    classes, fits = [], []
    for number, entry in enumerate(correction.classes):
        rows = samples.which == number
        factors = samples.factors[number]
        target = None if truth is None else np.asarray(truth, dtype=np.float64)[rows]
        use = group[rows] >= 0 if target is None else np.isfinite(target)
        wanted, divisor, constants = _factors(entry)
        old = np.array([t.coefficient for t in wanted])
        constant = sum(t.coefficient for t in constants)
        if use.sum() < minimum:
            classes.append(entry)
            continue
        level = (samples.raw - samples.offset)[rows][use]
        found = _fit_class(
            level,
            factors[use],
            old,
            constant,
            None if target is None else target[use] * divisor,
            group[rows][use],
        )
        new, error, constant, before, after, groups = found
        shown = [unparse(t.factor) for t in wanted if t.factor is not None]
        fits.append(
            ClassFit(
                entry.name,
                int(use.sum()),
                groups,
                shown,
                old,
                new,
                error,
                constant,
                before / divisor,
                after / divisor,
            )
        )
        has_footprint = any(is_footprint(t.factor) for t in terms(entry.tree())[0])
        formula = _formula([t.factor for t in wanted], new, constant, divisor, has_footprint)
        classes.append(entry.model_copy(update={"formula": formula}))
    if not fits:
        raise SolverError(
            f"no class of {correction.name} has {minimum} soundings in small areas or with a known truth"
        )
    record = {
        "origin": f"refit of {correction.name} on {'given truths' if truth is not None else 'small areas'}",
        **(provenance or {}),
        **{f.name: _record(f) for f in fits},
    }
    return Correction(name=name, sensor=correction.sensor, classes=tuple(classes), provenance=record), fits


def _record(fit: ClassFit) -> dict[str, Any]:
    return {
        "soundings": fit.n,
        "groups": fit.groups,
        "standard_errors": [None if np.isnan(e) else float(f"{e:.3g}") for e in fit.error]
        if len(fit.error)
        else [],
        "scatter_before": round(fit.scatter_before, 4),
        "scatter_after": round(fit.scatter_after, 4),
    }


def _fit_class(
    level: np.ndarray,
    factors: np.ndarray,
    old: np.ndarray,
    constant: float,
    target: np.ndarray | None,
    group: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, float, float, float, int]:
    """Fit ``level + factors @ c + c_0`` to the target, or to one number a group."""
    groups, number = np.unique(group, return_inverse=True)
    if target is None:
        known = level
        design = factors
    else:
        known = level - target
        design = np.column_stack([factors, np.ones(len(level))])
    weight = np.ones(len(level))
    start = np.r_[old, [constant] if target is not None else []]
    free = np.zeros(design.shape[1], dtype=bool)
    new = start.copy()
    centred = design
    for _ in range(50):
        centre = _group_centre(number, len(groups), weight) if target is None else _no_centre
        centred, response = centre(design), -centre(known[:, None])[:, 0]
        spread = np.sqrt((centred**2).mean(axis=0))
        free = spread > 1e-9 * np.maximum(np.abs(design).max(axis=0), 1e-300)
        fixed = centred[:, ~free] @ start[~free]
        scaled = centred[:, free] / spread[free]
        root = np.sqrt(weight)
        solution, *_ = np.linalg.lstsq(scaled * root[:, None], (response - fixed) * root, rcond=1e-10)
        last = new.copy()
        new = start.copy()
        new[free] = solution / spread[free]
        residual = response - centred @ new
        scale = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
        if scale <= 1e-9 * max(float(np.abs(known).max()), 1.0):
            break
        weight = np.minimum(1.0, _HUBER * scale / np.maximum(np.abs(residual), 1e-300))
        if np.allclose(new, last, rtol=1e-8, atol=1e-12):
            break
    error = np.full(len(new), np.nan)
    error[free] = _clustered_errors(centred[:, free], residual, weight, number, len(groups))
    before = float(np.std(response - centred @ start))
    count = len(old)
    new_constant = float(new[count]) if target is not None else constant
    return new[:count], error[:count], new_constant, before, float(np.std(residual)), len(groups)


def _no_centre(values: np.ndarray) -> np.ndarray:
    return values


def _group_centre(number: np.ndarray, groups: int, weight: np.ndarray) -> Any:
    """Return a function that takes the weighted mean of its group from each value."""
    total = np.bincount(number, weight, groups)

    def centre(values: np.ndarray) -> np.ndarray:
        means = np.stack(
            [np.bincount(number, weight * column, groups) / total for column in values.T], axis=1
        )
        return values - (means[number] if values.shape[1] else values)

    return lambda values: centre(values) if values.shape[1] else values


def _clustered_errors(
    design: np.ndarray, residual: np.ndarray, weight: np.ndarray, number: np.ndarray, groups: int
) -> np.ndarray:
    """Return standard errors that allow for any correlation inside a group (sandwich estimator)."""
    if design.shape[1] == 0:
        return np.zeros(0)
    bread = np.linalg.pinv((design * weight[:, None]).T @ design)
    scores = design * (weight * residual)[:, None]
    sums = np.stack([np.bincount(number, column, groups) for column in scores.T], axis=1)
    correction = groups / max(groups - 1, 1)
    return np.sqrt(np.maximum(np.diag(bread @ (sums.T @ sums) @ bread) * correction, 0.0))


def _formula(
    factors: Sequence[Node | None], coefficients: np.ndarray, constant: float, divisor: float, footprint: bool
) -> str:
    """Write the formula with new coefficients."""
    tree: Node = Name("raw")
    for factor, coefficient in zip(factors, coefficients, strict=True):
        assert factor is not None
        rounded = float(f"{abs(coefficient):.8g}")
        tree = Binary("-" if coefficient < 0 else "+", tree, Binary("*", Number(rounded), factor))
    if constant:
        tree = Binary("-" if constant < 0 else "+", tree, Number(float(f"{abs(constant):.8g}")))
    if footprint:
        tree = Binary("-", tree, Name("footprint_bias"))
    return unparse(tree if divisor == 1.0 else Binary("/", tree, Number(divisor)))


@door("a table of truths")
def read_truth(path: str, obs_id: np.ndarray) -> np.ndarray:
    """Read true columns from a CSV and bring them onto soundings.

    Parameters
    ----------
    path : str
        Columns ``sounding_id`` and ``truth`` (in the species' unit).
    obs_id : ndarray of str
        Soundings.

    Returns
    -------
    ndarray of float64
        NaN where the file has none.

    Raises
    ------
    FormatError
        A column is absent, or no sounding is of these granules.
    """
    table = read_csv(path, dtype={"sounding_id": str})
    missing = sorted({"sounding_id", "truth"} - set(table.columns))
    if missing:
        raise FormatError(f"{path}: no column {missing[0]!r}; it has {', '.join(map(str, table.columns))}")
    known = table.groupby("sounding_id")["truth"].mean()
    result = known.reindex(obs_id).to_numpy(dtype=np.float64)
    if not np.isfinite(result).any():
        raise FormatError(f"{path}: none of its {len(known)} soundings is a good one of the granules")
    return result
