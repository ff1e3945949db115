"""Country tables of the PARIS-AVENGERS-EYECLIMA flux files, of the template and of the older layout before it.

The template is the CDL file ``PAR-AVE-EYE_inversion_flux_output.cdl`` (project PARIS, MIT licence). What real files do
otherwise is read and said: regions as bytes or behind ``countrynumber``, the unit under ``unit`` or nowhere, a species
called ``inert``, misspelt country codes, percentiles in the place of a standard deviation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import norm

from obsnet.constants import SPECIES
from obsnet.conventions import one_deviation, time_bounds
from obsnet.crosscheck.systems.estimate import SystemEstimate, refuse_fills
from obsnet.crosscheck.systems.keys import region_keys
from obsnet.errors import FormatError, MissingVariableError, RangeError, UnitError, nearest
from obsnet.inventory.period import Period
from obsnet.opening import open_xarray
from obsnet.reading import door, refuse_claims
from obsnet.seal import check_file
from obsnet.times import later
from obsnet.typing import Floats
from obsnet.units import conversion_factor

__all__ = ["is_paris", "read_paris"]

# Names of the template, then of the layout before it.
_NAMES = {
    "total": ("flux_{s}_posterior_country", "country_flux_{s}_posterior"),
    "sd": ("stdev_flux_{s}_posterior_country", "stdev_country_flux_{s}_posterior"),
    "percentiles": ("percentile_flux_{s}_posterior_country", "percentile_country_flux_{s}_posterior"),
    "covariance": ("covariance_flux_{s}_posterior_country", "covariance_country_flux_{s}_posterior"),
    "joint": (
        "joint_covariance_flux_{s}_posterior_country",
    ),  # in time too: of no template, obsnet writes it
}
_REGIONS = ("country", "countrynumber", "countryname")
_SAME = 0.01  # share by which two statements of one standard deviation may differ
_TEMPLATE_UNIT = "kg yr-1"
_RESTS_ON = {
    "transport": ("transport_model",),
    "prior": ("apriori_description", "flux_prior_info", "experiment"),
    "observations": ("sites",),
}


def is_paris(names: Iterable[str]) -> bool:
    """Tell from its variables whether a file holds a table of countries."""
    return any(re.fullmatch(r"(country_)?flux_\w+_posterior(_country)?", n) and "country" in n for n in names)


@door("a PARIS flux file")
def read_paris(
    path: str | Path, system: str, *, sector: str = "total", gas: str | None = None
) -> SystemEstimate:
    """Read the country totals of one posterior.

    Parameters
    ----------
    path : path
        netCDF of the template or of the layout before it.
    system : str
        Name in the comparison.
    sector : str
        ``total`` or one that the file tells apart.
    gas : str, optional
        Where the file does not say it.

    Raises
    ------
    FormatError, MissingVariableError, UnitError, RangeError
        No table of countries, no such sector, no gas or another, a unit that is no mass a year, percentiles that do not
        surround the total, a covariance that is none.
    """
    import warnings

    path = Path(path)
    if not path.exists():
        raise FormatError(f"{path}: no such file")
    check_file(path)
    with warnings.catch_warnings():
        # The template gives the covariance one dimension twice; its numbers are read as they lie.
        warnings.filterwarnings("ignore", message="Duplicate dimension names", category=UserWarning)
        with open_xarray(path) as data:
            refuse_claims(path, data.variables)
            return _estimate(data, str(path), system, sector, gas)


def _estimate(data: Any, where: str, system: str, sector: str, gas: str | None) -> SystemEstimate:
    names = {
        kind: next((n for f in forms if (n := f.format(s=sector)) in data), "")
        for kind, forms in _NAMES.items()
    }
    if not names["total"]:
        pattern = r"(?:country_)?flux_(\w+)_posterior(?:_country)?"
        there = sorted({m[1] for n in data.data_vars if "country" in n and (m := re.fullmatch(pattern, n))})
        raise MissingVariableError(f"{where}: no table of countries of {sector!r}{nearest(sector, there)}")
    field = data[names["total"]].transpose("time", ...)
    keys, notes = _regions(data, field.dims[-1], where)
    factor, said = _tg(field, where)
    notes += said
    formula, said = _gas(data, field, gas, where)
    notes += said
    periods, said = _periods(data, where)
    refuse_fills(np.asarray(field.values, float), f"{where}: {field.name}")
    total = factor * np.asarray(field.values, float)
    sd, covariance = np.full(total.shape, np.nan), None
    if names["percentiles"]:
        own = _own(data[names["percentiles"]], factor, where)
        sd, said = _from_percentiles(data, names["percentiles"], own, total, where)
        notes += said
    if names["sd"]:
        spread = data[names["sd"]].transpose("time", ...)
        one_deviation(spread.attrs, f"{where}: {spread.name}")
        quoted, sd = sd, _own(spread, factor, where) * np.asarray(spread.values, float)
        notes += _said_apart(sd, quoted, "those of its percentiles", "the deviations are taken")
    if names["covariance"]:
        covariance, said = _square(data.variables[names["covariance"]], factor, names["covariance"], where)
        notes += said
        root = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
        notes += _said_apart(root, sd, "those it states", "the covariance is taken", " by its covariance")
        sd = np.where(np.isfinite(root), root, sd)
    joint = (
        _joint(data.variables[names["joint"]], factor, names["joint"], sd, where) if names["joint"] else None
    )
    found = [(what, data.attrs.get(a)) for what, stated in _RESTS_ON.items() for a in stated[::-1]]
    rests_on = {what: str(text) for what, text in found if text}
    try:
        made = SystemEstimate(system, formula, sector, periods, keys, total, sd, covariance, joint)
        return replace(made, rests_on=rests_on, notes=tuple(notes))
    except RangeError as fault:
        raise RangeError(f"{where}: {fault}") from None


def _regions(data: Any, dim: str, where: str) -> tuple[tuple[str, ...], list[str]]:
    name = next((n for n in _REGIONS if n in data.variables and data[n].dtype.kind in "SUO"), None)
    if name is None or data[name].size != data.sizes[dim]:
        raise FormatError(f"{where}: no names of the {data.sizes[dim]} regions of its table")
    return region_keys(list(data[name].values))


def _tg(field: Any, where: str) -> tuple[float, list[str]]:
    """Return what turns the table into Tg a year."""
    unit, notes = field.attrs.get("units"), []
    if unit is None:
        unit = field.attrs.get("unit")
        notes = [f"{field.name}: unit {unit!r} stands under 'unit'"] if unit else []
    if unit is None:
        unit, notes = (
            _TEMPLATE_UNIT,
            [f"{field.name}: states no unit, taken as the template's {_TEMPLATE_UNIT}"],
        )
    plain = re.sub(r"\ba-1\b", "yr-1", str(unit))
    try:
        return conversion_factor(plain, "Tg yr-1"), notes
    except UnitError:
        raise UnitError(
            f"{where}: {field.name} is in {unit!r}, a mass a year such as kg yr-1 is needed"
        ) from None


def _own(spread: Any, factor: float, where: str) -> float:
    """Return what turns deviations into Tg a year: by their own unit, else as the table."""
    return _tg(spread, where)[0] if {"units", "unit"} & set(spread.attrs) else factor


def _square(variable: Any, factor: float, name: str, where: str) -> tuple[Floats, list[str]]:
    """Return a covariance in (Tg a year)^2, time first, by its own unit, else as the table squared."""
    values = np.moveaxis(np.asarray(variable.values, float), variable.dims.index("time"), 0)
    if (np.diagonal(values, axis1=-2, axis2=-1) == 1.0).all():
        raise RangeError(
            f"{where}: {name} has 1 for every variance: a correlation, which says nothing of the size of errors"
        )
    unit = variable.attrs.get("units", variable.attrs.get("unit"))
    if unit is None:
        return factor**2 * values, []
    plain = re.sub(r"\ba-(\d)\b", r"yr-\1", str(unit))
    for power, note in ((1, []), (2, [f"{name}: its unit {unit!r} is taken squared"])):
        try:
            return conversion_factor(plain, "Tg2 yr-2" if power == 1 else "Tg yr-1") ** power * values, note
        except UnitError:
            continue
    raise UnitError(f"{where}: {name} is in {unit!r}, a mass a year squared such as kg2 yr-2 is needed")


def _said_apart(one: Floats, other: Floats, than: str, taken: str, by: str = "") -> list[str]:
    """Say that deviations differ from others of the same totals."""
    known = np.isfinite(one) & (other > 0.0)
    apart = float(np.median(one[known] / other[known])) if known.any() else 1.0
    return [] if 0.9 < apart < 1.1 else [f"deviations{by} are {apart:.2g} times {than}; {taken}"]


def _joint(variable: Any, factor: float, name: str, sd: Floats, where: str) -> Floats:
    """Return the covariance of all times and regions; its deviations are those that stand beside it."""
    order = ("time", "country", "time_2", "country_2")
    if set(variable.dims) != set(order):
        raise FormatError(
            f"{where}: {name} has dimensions {', '.join(variable.dims)}; needed are {', '.join(order)}"
        )
    values, _ = _square(variable.transpose(*order), factor, name, where)
    root = np.sqrt(np.maximum(np.einsum("kaka->ka", values), 0.0))
    apart = np.abs(root - sd) > _SAME * np.fmax(root, sd)
    if apart.any():
        k, r = np.argwhere(apart)[0]
        raise RangeError(
            f"{where}: {name} states a deviation of {root[k, r]:.3g} Tg a year where {sd[k, r]:.3g} stands beside it"
        )
    return values


def _gas(data: Any, field: Any, asked: str | None, where: str) -> tuple[str, list[str]]:
    """Return the formula: as asked, as the table's own text says, as the file's attribute says."""
    words = re.findall(r"[a-z0-9]+", str(field.attrs.get("long_name", "")).casefold())
    known = {name.casefold(): name for name in SPECIES}
    own = next((w for w in words if w in known or re.fullmatch(r"hfc\w+|pfc\w+|cfc\w+|sf6|nf3|n2o", w)), None)
    stated = str(data.attrs.get("species", "")).casefold()
    notes = []
    if own and stated and stated != own:
        notes.append(f"the file calls its species {stated!r}, its table says {own}: read as {own}")
    found = own or stated
    if not found and asked is None:
        raise UnitError(f"{where}: says nowhere of which gas it is; say gas=CH4 or another")
    if asked is not None and found and asked.casefold() != found:
        raise UnitError(f"{where}: is of {found}, not of {asked}")
    name = asked or found
    return known.get(name.casefold(), name), notes


def _periods(data: Any, where: str) -> tuple[tuple[Period, ...], list[str]]:
    """Return the periods: the file's bounds, else the months or years whose middles the times are."""
    stated = data["time"].attrs.get("bounds", data["time"].encoding.get("bounds")) in data.variables
    if data["time"].size == 1 and not stated:
        frequency = str(data.attrs.get("frequency", ""))
        unit = {"monthly": "M", "yearly": "Y"}.get(frequency)
        if unit is None:
            raise FormatError(f"{where}: one time without bounds and no frequency; its period cannot be told")
        start = np.asarray(data["time"].values).astype(f"datetime64[{unit}]")
        bounds = np.stack([start, later(start)], axis=1).astype("datetime64[us]")
    else:
        bounds = time_bounds(data, "time", "middle", where)
    notes = [] if stated else ["times are the middles of their periods, as the template says"]
    return tuple(Period(a, b) for a, b in bounds), notes


def _from_percentiles(
    data: Any, name: str, factor: float, total: Floats, where: str
) -> tuple[Floats, list[str]]:
    """Return half the distance of two percentiles, in standard deviations of a normal distribution."""
    if "percentile" not in data.variables or data["percentile"].size < 2:
        raise FormatError(f"{where}: {name} without the percentiles that it is of")
    level = np.asarray(data["percentile"].values, float)
    level = level / 100.0 if level.max() > 1.0 else level
    low, high = int(np.argmin(level)), int(np.argmax(level))
    if not 0.0 < level[low] < 0.5 < level[high] < 1.0:
        raise RangeError(
            f"{where}: percentiles {level[low]:g} and {level[high]:g} do not stand on both sides of one half"
        )
    values = factor * np.asarray(data[name].transpose("time", "percentile", ...).values, float)
    if (values[:, high] < values[:, low]).any():
        raise RangeError(f"{where}: {name}: the upper percentile is below the lower one")
    width = norm.ppf(level[high]) - norm.ppf(level[low])
    outside = (total < values[:, low]) | (total > values[:, high])
    notes = [f"standard deviations from percentiles {level[low]:.1%} and {level[high]:.1%} as if normal"]
    if outside.any():
        notes.append(f"{int(outside.sum())} of {outside.size} totals lie outside their own percentiles")
    return (values[:, high] - values[:, low]) / width, notes
