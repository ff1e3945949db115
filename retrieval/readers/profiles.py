"""Profiles of one granule: surface first, what a product leaves out derived, identities checked.

The operator that the profiles describe (O'Dell et al. 2012, doi:10.5194/amt-5-99-2012; Connor et al. 2008):
``X_model = prior_column + sum_i h_i a_i (x_i - x_a,i)`` with ``h`` the pressure weights (sum 1), ``a`` the
normalised column kernel and ``x_a`` the prior, all on the product's own levels or layers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from obsnet.constants import species as species_of
from obsnet.errors import FormatError
from obsnet.reading import refuse_claim
from retrieval.readers import profile_faults as fault
from retrieval.readers.fields import Fields
from retrieval.readers.profile_kernel import check

__all__ = [
    "Profiles",
    "check_identities",
    "kernel_fault",
    "orientation_fault",
    "read_profiles",
    "turned_kernel",
]

# A row whose weights differ from those of its pressures by gravity and humidity leans the way below;
# reversed weights lean the other way. Both were measured at 5e-4 to 2e-3 on real soundings.
_LEAN = 1e-4
_SAMPLE = 2000
# Real kernels are lower by 0.08 (TROPOMI) to 0.6 (ACOS) in the upper quarter than in the lowest.
_RISE = 0.05
MOST_KERNEL = 50.0  # normalised column kernels are of the order of one; thin layers aloft may have several
_GROUND = (300.0, fault.MOST_PRESSURE)  # hPa, from the highest plateau to the deepest high


@dataclass(frozen=True)
class Profiles:
    """Profiles of the rows that were read, surface first.

    Parameters
    ----------
    columns : dict of str to ndarray
        Columns of the observation table: ``pressure_levels`` or ``pressure_edges`` (hPa),
        ``pressure_weight``, ``averaging_kernel``, ``prior_profile`` as (rows, levels) float32,
        ``prior_column`` as (rows,) float64.
    fault : ndarray of bool, shape (rows,)
        Rows that break an identity.
    """

    columns: dict[str, np.ndarray]
    fault: np.ndarray


def read_profiles(fields: Fields, rows: np.ndarray | None = None) -> Profiles | None:
    """Read, orient, complete and check the profiles of a granule.

    Parameters
    ----------
    fields : Fields
        Open granule; notes are added to it.
    rows : ndarray of int, optional
        Only these rows.

    Returns
    -------
    Profiles or None
        None where the product has no kernels.

    Raises
    ------
    FormatError
        Parts of the operator are missing or have different numbers of levels.
    """
    sensor = fields.sensor
    if not {"averaging_kernel", "weighting_function"} & set(sensor.variables):
        return None
    pressure, top_first = _pressure(fields, rows)

    def oriented(role: str) -> np.ndarray | None:
        return fields.profile(role, rows, flip=top_first)

    kernel, function = oriented("averaging_kernel"), oriented("weighting_function")
    weight, subcolumn = oriented("pressure_weight"), oriented("subcolumn")
    if weight is None and subcolumn is not None:
        weight = subcolumn / subcolumn.sum(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    if function is not None:
        # An integrated-path lidar: the weights are its weighting function and nothing of a prior is left.
        weight = function / function.sum(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
        kernel = np.ones_like(weight)
    prior = oriented("prior_profile")
    if prior is None:
        prior = _prior_of_amounts(fields, oriented("prior_subcolumn"), subcolumn, weight)
    assert kernel is not None
    if weight is None or prior is None:
        raise FormatError(
            f"{fields.where}: {sensor.name} has a kernel but no {'weights' if weight is None else 'prior'}"
        )
    active = fields.number("active_levels", rows)
    if active is None:
        found = _active_levels(pressure, weight, kernel, prior, sensor.identity.weight_sum)
    else:
        levels = weight.shape[1]
        count = np.where(np.isfinite(active), active, levels).astype(int).clip(1, levels)
        found = levels - count, count
    if found is not None:
        pressure, weight, kernel, prior = _pad_inactive(fields, *found, pressure, weight, kernel, prior)
    pressure_name = _check_lengths(fields, pressure, weight, kernel, prior)
    _check_pressures(fields, pressure)
    column = fields.number("prior_column", rows)
    faults, dot = check_identities(
        pressure,
        weight,
        kernel,
        prior,
        column,
        weight_sum=sensor.identity.weight_sum,
        prior_relative=sensor.identity.prior_column,
        most_prior=species_of(sensor.species).valid_range("point")[1],
    )
    faults |= _prior_out_of_range(fields, dot, faults)
    fault = np.zeros(len(weight), dtype=bool)
    for name, mask in faults.items():
        fields.note(f"{int(mask.sum())} rows: {name}")
        fault |= mask
    whole = orientation_fault(pressure, weight, prior, fault) or kernel_fault(kernel, fault)
    turned = "" if whole else turned_kernel(weight, kernel, fault)
    if turned and not sensor.kernel_falls:
        fields.note(f"{turned}: is their order that of the pressures?")
    elif turned:
        whole = f"{turned}, which those of {sensor.name} are not: they run against the pressures"
    if whole:
        fields.note(f"all rows: {whole}")
        fault[:] = True
    if column is None:
        column = dot
    columns = {
        pressure_name: pressure,
        "pressure_weight": weight,
        "averaging_kernel": kernel,
        "prior_profile": prior,
        "prior_column": column,
    }
    return Profiles(columns, fault)


def _pressure(fields: Fields, rows: np.ndarray | None) -> tuple[np.ndarray, bool]:
    """Return the pressures the profile stands on, surface first, hPa, and whether the product is top first."""
    top_first = fields.sensor.order == "top_first"
    for role in ("pressure_levels", "pressure_edges"):
        pressure = fields.profile(role, rows, flip=top_first)
        if pressure is None:
            continue
        if fields.sensor.order == "by_pressure":
            with np.errstate(invalid="ignore"):
                rises = pressure[:, -1] > pressure[:, 0]
            top_first = bool(rises.sum() * 2 > len(rises))
            pressure = np.ascontiguousarray(pressure[:, ::-1]) if top_first else pressure
        return pressure, top_first
    surface, interval = fields.number("surface_pressure", rows), fields.number("pressure_interval", rows)
    if surface is None or interval is None:
        raise FormatError(f"{fields.where}: {fields.sensor.name} has a kernel but no pressures")
    edges = surface[:, None] - interval[:, None] * np.arange(_layers(fields) + 1)
    return edges.astype(np.float32), top_first


def _layers(fields: Fields) -> int:
    entry = fields.declared("averaging_kernel")
    assert entry is not None
    name = next(p for p in entry.path if p in fields.source)
    shape = fields.source.shape(name)
    refuse_claim(fields.source.path, name, 4 * math.prod(shape))
    return int(shape[-1])


def _prior_of_amounts(
    fields: Fields, amount: np.ndarray | None, subcolumn: np.ndarray | None, weight: np.ndarray | None
) -> np.ndarray | None:
    """Turn a prior given as an amount per layer (mol m-2) into a dry mole fraction."""
    if amount is not None and subcolumn is not None:
        return (amount / subcolumn) / np.float32(float(species_of(fields.sensor.species).unit))
    if fields.sensor.reference_prior is not None and weight is not None:
        return np.full_like(weight, fields.sensor.reference_prior)
    return None


def _active_levels(
    pressure: np.ndarray, weight: np.ndarray, kernel: np.ndarray, prior: np.ndarray, weight_sum: float
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return which level (layer) of rows is the first that is air, and how many are; None where all of all rows are.

    The others lie below the ground or are slots that nothing was put in: they have no weight (0, or missing), something
    of them is missing, they are the lowest or the highest, and the weights of the rest, which are whole, sum to 1.
    """
    levels = weight.shape[1]
    if kernel.shape != weight.shape or prior.shape != weight.shape:
        return None
    if pressure.shape[1] not in (levels, levels + 1):
        return None
    layers = pressure.shape[1] - levels
    ends = [
        p[:, k] for p, last in ((pressure, layers), (weight, 0), (kernel, 0), (prior, 0)) for k in (0, -1)
    ]
    rows = np.flatnonzero(np.isnan(ends).any(axis=0) | (prior[:, 0] == 0) | (prior[:, -1] == 0))
    if len(rows) == 0:
        return None
    part = weight[rows].astype(np.float64)
    lacking = np.isnan([p[rows] for p in (weight, kernel, prior)]).any(axis=0) | (prior[rows] == 0)
    for edge in range(layers + 1):  # a layer lacks something without either of its edges
        lacking |= np.isnan(pressure[rows, edge : edge + levels])
    lowest = np.argmin(lacking, axis=1)
    highest = levels - np.argmin(lacking[:, ::-1], axis=1)
    level = np.arange(levels)
    outside = (level < lowest[:, None]) | (level >= highest[:, None])
    airless = ((np.isnan(part) | (part == 0)) | ~outside).all(axis=1) & ~(lacking & ~outside).any(axis=1)
    whole = np.abs(np.where(outside, 0.0, part).sum(axis=1) - 1.0) <= weight_sum
    known = airless & whole & outside.any(axis=1)
    if not known.any():
        return None
    first, count = np.zeros(len(weight), dtype=int), np.full(len(weight), levels)
    first[rows[known]], count[rows[known]] = lowest[known], (highest - lowest)[known]
    return first, count


def _pad_inactive(
    fields: Fields, first: np.ndarray, count: np.ndarray, *profiles: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Move the active levels to the start; the rest get no weight, above the top.

    Levels below the surface come first once the profile is surface first, empty slots may come last. They carry
    nothing, so they are left out and levels without weight, kernel and with ever lower pressure are put above the top.
    """
    pressure, weight, kernel, prior = profiles
    levels = weight.shape[1]
    low, kept = first[:, None], count[:, None]

    def moved(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values from the first active one on, the last active one where there are no more, and which are."""
        more = values.shape[1] - levels  # the upper edge of the last layer
        place = np.arange(values.shape[1])
        inside = place < kept + more
        return np.take_along_axis(values, low + np.minimum(place, kept + more - 1), axis=1), inside

    (pressures, below), (weights, inside) = moved(pressure), moved(weight)
    above = np.cumsum(~below, axis=1)
    pressures = (pressures * (1.0 - above / (levels - kept + 1))).astype(np.float32)
    weights, kernels = (np.where(inside, p, np.float32(0)) for p in (weights, moved(kernel)[0]))
    padded = int((count < levels).sum())
    if padded:
        fields.note(
            f"{padded} rows have fewer active levels, filled up above the top with levels of no weight"
        )
    return pressures, weights, kernels, moved(prior)[0]


def _prior_out_of_range(
    fields: Fields, column: np.ndarray, faults: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return rows, without another fault, whose prior column no air has, by what is said of them.

    Raises
    ------
    FormatError
        More than half: the prior is in another unit than it says.
    """
    entry = species_of(fields.sensor.species)
    low, high = entry.valid_range("column")
    sound = ~np.any([np.zeros(len(column), dtype=bool), *faults.values()], axis=0)
    off = sound & ~((column >= low) & (column <= high))
    if not off.any():
        return {}
    middle = float(np.median(column[sound]))
    if 2 * off.sum() > sound.sum():
        fits = [k for k in (-9, -6, -3, 3, 6, 9) if low <= middle * 10.0**k <= high]
        hint = f"; times 1e{fits[0]:+d} it would fit: is the unit in the file right?" if fits else ""
        raise FormatError(
            f"{fields.where}: prior columns of {fields.sensor.name} are {middle:.6g} {entry.unit_name} (median), "
            f"outside {low:g} to {high:g}{hint}"
        )
    return {f"prior columns outside {low:g} to {high:g} {entry.unit_name}, which no air has": off}


def _check_lengths(
    fields: Fields, pressure: np.ndarray, weight: np.ndarray, kernel: np.ndarray, prior: np.ndarray
) -> str:
    """Check that the parts of the operator fit and return the column the pressures belong in."""
    levels, vertical = kernel.shape[1], fields.sensor.vertical
    if vertical == "by_shape":
        vertical = "layer" if pressure.shape[1] == levels + 1 else "level"
    right = {"pressure": levels + (vertical == "layer"), "weights": levels, "prior": levels}
    found = {"pressure": pressure.shape[1], "weights": weight.shape[1], "prior": prior.shape[1]}
    wrong = [f"{found[k]} of {k}, not {right[k]}" for k in right if found[k] != right[k]]
    if wrong:
        raise FormatError(
            f"{fields.where}: the kernel has {levels} {vertical}s but there are {', '.join(wrong)}"
        )
    return "pressure_edges" if vertical == "layer" else "pressure_levels"


def _check_pressures(fields: Fields, pressure: np.ndarray) -> None:
    """Refuse a granule whose profiles are no columns from the ground to the top: a unit is not what it says."""
    first, last = pressure[:, 0], pressure[:, -1]  # of a profile either way up
    whole = np.isfinite(first) & np.isfinite(last)
    if not whole.any():
        return
    ground, top = (float(np.median(f(first, last)[whole])) for f in (np.maximum, np.minimum))
    if _GROUND[0] <= ground <= _GROUND[1] and top < 0.5 * ground:
        return
    fits = [k for k in (-5, -2, 2, 3) if _GROUND[0] <= ground * 10.0**k <= _GROUND[1]]
    hint = f"; times 1e{fits[0]:+d} it would fit: is the unit in the file right?" if fits else ""
    raise FormatError(
        f"{fields.where}: profiles of {fields.sensor.name} reach from {ground:.6g} to {top:.6g} hPa (medians), not "
        f"from {_GROUND[0]:g}-{_GROUND[1]:g} to near 0{hint}"
    )


def check_identities(
    pressure: np.ndarray,
    weight: np.ndarray,
    kernel: np.ndarray,
    prior: np.ndarray,
    prior_column: np.ndarray | None,
    *,
    weight_sum: float = 1e-4,
    prior_relative: float = 5e-5,
    most_prior: float = np.inf,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Tell which rows break an identity that every operator must obey.

    Parameters
    ----------
    pressure : ndarray, shape (rows, levels or layers + 1)
        hPa, surface first.
    weight, kernel, prior : ndarray, shape (rows, levels or layers)
        Surface first.
    prior_column : ndarray, shape (rows,), optional
        What the product says ``h . x_a`` is.
    weight_sum : float
        How far the weights may sum from 1.
    prior_relative : float
        How far ``h . x_a`` may be from `prior_column`, relative.
    most_prior : float
        Largest mole fraction that a prior may have, in its unit.

    Returns
    -------
    dict of str to ndarray of bool, shape (rows,)
        Rows by fault, faults that occur only; a row stands under the first that applies.
    ndarray of float64, shape (rows,)
        ``h . x_a``.
    """
    column = (
        np.full(len(weight), np.nan) if prior_column is None else np.asarray(prior_column, dtype=np.float64)
    )
    code, total, dot = check(
        pressure, weight, kernel, prior, column, weight_sum, prior_relative, MOST_KERNEL, most_prior
    )
    off = np.abs(total - 1.0)[code == fault.WEIGHT_SUM].max(initial=0.0)
    apart = np.abs(dot - column)[code == fault.PRIOR].max(initial=0.0)
    texts = {
        fault.MISSING: "missing values (or a prior of 0) in kernel, weights, prior or pressures",
        fault.OUTSIDE: f"kernels beyond {MOST_KERNEL:g}, priors beyond {most_prior:g} or pressures beyond "
        f"{fault.MOST_PRESSURE:g} hPa, which none has",
        fault.REVERSED: "pressure rises away from the surface: the order is the reverse of what the sensor table says",
        fault.NOT_MONOTONE: "pressure is not monotone",
        fault.WEIGHT_SUM: f"pressure weights sum to 1 only within {off:.2g}",
        fault.NEGATIVE: "negative pressure weights",
        fault.PRIOR: f"weights . prior differ from the prior column by up to {apart:.2g}",
    }
    return {
        texts[number]: code == number for number in np.unique(code).tolist() if number != fault.SOUND
    }, dot


def _dry_weights(pressure: np.ndarray, levels: int) -> np.ndarray:
    """Return weights from pressures alone: layers by their thickness, levels by half of each layer beside."""
    layer = -np.diff(pressure.astype(np.float64), axis=1)
    layer /= layer.sum(axis=1, keepdims=True)
    if layer.shape[1] == levels:
        return layer
    weight = np.zeros((len(layer), levels))
    weight[:, :-1] += layer / 2
    weight[:, 1:] += layer / 2
    return weight


def orientation_fault(pressure: np.ndarray, weight: np.ndarray, prior: np.ndarray, faulty: np.ndarray) -> str:
    """Say whether weights or priors run against the pressures of a whole granule.

    A reversed profile of CO2 weights passes ``h . x_a = prior column``: on real soundings it changes the sum
    by 0.01 ppm. But gravity falls and humidity vanishes upwards, so a layer near the surface holds less dry
    air for its thickness than one aloft: true weights lean that way against those of the pressures alone.

    Parameters
    ----------
    pressure, weight, prior : ndarray
        See `check_identities`.
    faulty : ndarray of bool
        Rows that are broken otherwise and say nothing.

    Returns
    -------
    str
        Empty when all is well.
    """
    rows = np.flatnonzero(~faulty)
    if len(rows) == 0:
        return ""
    filled_up = weight[rows, -1] == 0  # with levels that hold no air: no measure of what pressures say
    rows = rows if filled_up.all() else rows[~filled_up]
    rows = rows[:: max(1, len(rows) // _SAMPLE)]
    p, h, x = (a[rows].astype(np.float64) for a in (pressure, weight, prior))
    dry = _dry_weights(p, h.shape[1])
    direct, flipped = (np.abs(w - dry).max(axis=1).mean() for w in (h, h[:, ::-1]))
    if direct > 0.002:
        # Uneven layers tell the order at once; else the weights follow a rule of their own.
        return "pressure weights run against the pressures" if flipped < 0.5 * direct else ""
    height = p[:, : h.shape[1]] / p[:, :1]
    if float(np.mean(((h - dry) * height).sum(axis=1))) > _LEAN:
        return "pressure weights run against the pressures (they lean to the surface)"
    scale = np.abs(x).mean()
    if scale > 0 and float(np.mean(x[:, -1] - x[:, 0])) > 0.02 * scale:
        return "the prior is far higher at the top than at the surface: it runs against the pressures"
    return ""


def turned_kernel(weight: np.ndarray, kernel: np.ndarray, faulty: np.ndarray) -> str:
    """Say whether the kernels of a whole granule are higher at the top than at the ground.

    Those of ACOS Lite, GOSAT proxy and blended TROPOMI that were read here are not, in 998 of 1000 soundings (of ACOS
    L2 standard in 880 only, whose table therefore does not say so). No identity shows a kernel that was turned alone,
    for no product says what its sum with weights or prior should be.

    Parameters
    ----------
    weight, kernel, faulty
        See `orientation_fault`.

    Returns
    -------
    str
        Empty where they are not.
    """
    whole = weight[:, -1] != 0  # not filled up with levels that hold no air
    rows = np.flatnonzero(~faulty & whole)[:_SAMPLE]
    part = kernel.shape[1] // 4
    if len(rows) == 0 or part == 0:
        return ""
    ground, top = (kernel[rows, side].mean(axis=1) for side in (slice(part), slice(-part, None)))
    if float(np.median(top - ground)) <= _RISE:
        return ""
    return f"kernels are higher at the top than at the ground ({np.median(top):.2f}, {np.median(ground):.2f})"


def kernel_fault(kernel: np.ndarray, faulty: np.ndarray) -> str:
    """Say whether the kernels of a whole granule hold the pressure weights already.

    A normalised column kernel is near 1 where the retrieval sees the air, so it sums to about the number of
    levels; one that was never divided by the weights sums to about 1. Multiplying the weights in once more
    would make the operator blind.

    Parameters
    ----------
    kernel : ndarray, shape (rows, levels)
        As read.
    faulty : ndarray of bool
        Rows that are broken otherwise and say nothing.

    Returns
    -------
    str
        Empty when all is well, or where there are too few levels to tell.
    """
    levels = kernel.shape[1]
    rows = np.flatnonzero(~faulty)[:_SAMPLE]
    if len(rows) == 0 or levels < 8:
        return ""
    total = float(kernel[rows].sum(axis=1, dtype=np.float64).mean())
    if abs(total) > 2.0:
        return ""
    return f"the kernels sum to {total:.2g} over {levels} levels: they hold the pressure weights already"
