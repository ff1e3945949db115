"""What a stranger's netCDF file says of its axes, its times and its substance; where it says nothing, ask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from obsnet.constants import MOLAR_MASS_CARBON, SPECIES, Species, species
from obsnet.errors import ConfigError, FormatError, MissingVariableError, RangeError, UnitError
from obsnet.typing import Floats, Times
from obsnet.units import conversion_factor

__all__ = [
    "Basis",
    "TimeStamp",
    "deviation_factor",
    "find_axis",
    "find_substance",
    "mole_factor",
    "named_dimensions",
    "not_negative",
    "one_deviation",
    "time_bounds",
    "unnamed_dimensions",
]

Basis = Literal["substance", "carbon"]
TimeStamp = Literal["start", "middle", "end"]

_NAMES = {
    "lat": ("latitude", ("lat", "latitude", "nav_lat"), "degree.*north|degrees?_?N$"),
    "lon": ("longitude", ("lon", "longitude", "nav_lon", "long"), "degree.*east|degrees?_?E$"),
    "time": ("time", ("time", "date"), r"\bsince\b"),
}
# CarbonTracker and friends write "gC", "kg C", "kgCO2": a statement of whose mass it is.
_OF = re.compile(r"(?<![A-Za-z])((?:[kMGTPµu])?g|t|tonnes?|tons?)[ _]?(C|CO2|CH4|CO|N2O|SF6)(?![A-Za-z0-9])")
_UNEVEN = re.compile(r"\b(months?|mon|years?|yr|annum|a)\b|/a\b", re.IGNORECASE)
# What a spread says of itself that is not one standard deviation.
_NO_DEVIATION = re.compile(
    r"\b9[0579](\.\d+)? ?(%|per ?cent)|\b[23][ -]?(sigma|σ|standard deviations)|\bvariances?\b|\brelative\b"
    r"|\b(standard deviation|std ?dev|error|uncertainty)s? squared\b|\bsquared (standard deviation|std ?dev)s?\b"
    r"|(?<!root )(?<!root-)\bmean[ -]squared? (error|deviation)s?\b|95 ?％|置信|(?<!协)方差",
    re.IGNORECASE,
)
# The root of a variance is a deviation: these words state no variance, unless the reader is told to take the root or
# that none was taken.
_ROOT_OF_VARIANCE = re.compile(
    r"(?<!take )(?<!taking )(?<!take the )(?<!extract the )(?<!needs )(?<!need )(?<!not )(?<!not the )(?<!without )"
    r"\b(?:(?:square[- ]?root|sqrt|(?<!square )(?<!square-)root)"
    r"(?:(?: of| over)(?: the| its)?|(?: ?\())[ (]*(?:[a-z]+[ -]){0,3}?variances?\b"
    r"|(?:square[- ]?root|sqrt|square[- ]?rooted)[ -](?:(?!not )[a-z]+[ -]){0,2}?variances?\b"
    r"|variances?,?[ (]*(?:and then )?(?:square[- ]?rooted|to the power (?:of )?(?:0\.5|1/2)|\^ ?\(?(?:0\.5|1/2)))"
    r"|方差的?(?:平方根|算术平方根|开(?:平)?方)",
    re.IGNORECASE,
)
_ONE_CARBON = {"CO2", "CH4", "CO"}


def find_axis(data: Any, axis: Literal["lat", "lon", "time"], where: str = "") -> str | None:
    """Return the name of a dataset's one-dimensional latitude, longitude or time coordinate.

    Parameters
    ----------
    data : xarray.Dataset
        Coordinates known by standard_name, units, axis letter or usual name, in that order.
    axis : {'lat', 'lon', 'time'}
        What to look for.
    where : str
        File named in the error text.

    Returns
    -------
    str or None
        None only where there is no time.

    Raises
    ------
    MissingVariableError
        There is no latitude or longitude.
    FormatError
        They are two-dimensional: regrid to a latitude-longitude grid first.
    """
    standard, names, unit = _NAMES[axis]
    tests = (
        lambda n, v: v.attrs.get("standard_name") == standard,
        lambda n, v: re.search(unit, str(v.attrs.get("units", v.encoding.get("units", ""))), re.IGNORECASE),
        lambda n, v: n.lower() in names,
    )
    for test in tests:
        found = [str(n) for n, v in data.variables.items() if test(str(n), v) and not str(n).endswith("bnds")]
        flat = [n for n in found if data[n].ndim == 1 and data[n].dims == (n,)] or [
            n for n in found if data[n].ndim == 1
        ]
        if flat:
            return flat[0]
        if found and axis != "time" and data[found[0]].ndim == 2:
            raise FormatError(
                f"{where}: {found[0]} is two-dimensional; regrid to a latitude-longitude grid first"
            )
    if axis == "time":
        return None
    raise MissingVariableError(
        f"{where}: no one-dimensional {standard}; there is: {', '.join(map(str, data.variables))}"
    )


def find_substance(variable: Any, data: Any, asked: str | None, where: str = "") -> Species:
    """Return the substance of a flux variable: as asked, else as its attributes state.

    Raises
    ------
    UnitError
        Nothing states it, or the file states another than was asked for.
    """
    stated = [variable.attrs.get(k) or data.attrs.get(k) for k in ("substance", "species", "tracer")]
    names = [str(s) for s in stated if s and str(s).upper() in SPECIES]
    standard = str(variable.attrs.get("standard_name", ""))
    names += [s.name for s in SPECIES.values() if re.search(rf"_of_{s.standard_name}(?:_|$)", standard)]
    found = species(names[0]) if names else None
    if asked is None and found is None:
        raise UnitError(
            f"{where}: {variable.name!r} does not say of which substance; say substance='CO2' or another"
        )
    wanted = species(asked) if asked is not None else found
    if wanted is None or (found is not None and found != wanted):
        raise UnitError(f"{where}: {variable.name!r} is of {names[0]}, not of {asked}")
    return wanted


def one_deviation(attrs: Mapping[str, Any], what: str) -> None:
    """Refuse a spread whose own text says that it is not one standard deviation.

    Parameters
    ----------
    attrs : mapping
        Of the variable: ``long_name``, ``description`` and ``comment`` are read.
    what : str
        File and variable, for the text.

    Raises
    ------
    RangeError
        A confidence interval, several standard deviations, a variance that is not under a root, or a relative error.
    """
    text = " | ".join(str(attrs.get(k, "")) for k in ("long_name", "description", "comment"))
    found = _NO_DEVIATION.search(_ROOT_OF_VARIANCE.sub("", text))
    if found:
        raise RangeError(
            f"{what} says of itself {found[0]!r}: one standard deviation is needed; convert it (a 95 % interval has a "
            "half-width of 1.96 of them), and its long_name with it"
        )


def not_negative(values: Floats, what: str) -> None:
    """Refuse deviations below 0.

    Raises
    ------
    RangeError
        Some are.
    """
    least = float(np.nanmin(values, initial=0.0))
    if least < 0.0:
        raise RangeError(f"{what} goes down to {least:.3g}; a standard deviation is not below 0")


def deviation_factor(stated: str | None, unit: str | None, what: str) -> float:
    """Return the number that turns a standard deviation into the unit of what it is of.

    Parameters
    ----------
    stated : str or None
        Unit of the deviation; None is that of what it is of.
    unit : str or None
        Unit of what it is of.
    what : str
        File and variable, for the text.

    Raises
    ------
    UnitError
        The two do not convert, as per cent and a flux.
    """
    if stated is None or unit is None or stated == unit:
        return 1.0
    try:
        return conversion_factor(stated, unit)
    except UnitError:
        raise UnitError(
            f"{what} is in {stated!r}, and what it is the deviation of in {unit!r}; convert one to the other first"
        ) from None


def mole_factor(
    variable: Any, substance: Species, units: str | None, basis: Basis | None, where: str = ""
) -> float:
    """Return the number that turns a flux variable into mol m-2 s-1 of its substance.

    Parameters
    ----------
    variable : xarray.DataArray
        Its ``units`` and ``standard_name`` are read.
    substance : Species
        See `find_substance`.
    units : str or None
        Overrides the attribute of the file.
    basis : {'substance', 'carbon'} or None
        Of what the mass is: 44 g of CO2 hold 12 g of carbon. Needed where units are of mass and neither the
        units (``gC m-2 d-1``) nor the standard name says it.
    where : str
        File named in error texts.

    Raises
    ------
    UnitError
        Units missing, no flux per area and time, per month or year, or the mass is of nobody knows what.
    """
    place = f"{where}: {variable.name!r}"
    text = units if units is not None else variable.attrs.get("units")
    if text is None:
        raise UnitError(f"{place} has no units; say units='mol m-2 s-1' or what they are")
    if _UNEVEN.search(text):
        raise UnitError(
            f"{place} is in {text!r}: months and years differ in length; divide by the seconds "
            "of each period first"
        )
    stated: str | None = None
    of = _OF.search(text)
    plain = _OF.sub(r"\1", text)
    if of:
        stated = "carbon" if of[2] == "C" else "substance"
        if of[2] not in {"C", substance.name}:
            raise UnitError(f"{place} is in {text!r}, but is said to be {substance.name}")
    standard = str(variable.attrs.get("standard_name", ""))
    if "expressed_as_carbon" in standard:
        stated = stated or "carbon"
    elif re.search(rf"mass_(?:content|flux)_of_{substance.standard_name}(?!_expressed)", standard):
        stated = stated or "substance"
    try:
        return conversion_factor(plain, "mol m-2 s-1")
    except UnitError:
        factor = _mass_factor(plain, text, place)
    if basis is not None and stated is not None and basis != stated:
        raise UnitError(f"{place}: the file states mass of {stated}, basis={basis!r} was asked for")
    whose = basis or stated
    if whose is None:
        raise UnitError(
            f"{place} in {text!r} does not say whether the mass is of {substance.name} or of carbon (for CO2 "
            "a factor of 44/12); say basis='substance' or basis='carbon'"
        )
    if whose not in {"substance", "carbon"}:
        raise ConfigError(f"basis must be 'substance' or 'carbon', found {whose!r}")
    if whose == "carbon" and substance.name not in _ONE_CARBON:
        raise UnitError(f"{place}: {substance.name} has no carbon to be counted by")
    return factor / (MOLAR_MASS_CARBON if whose == "carbon" else substance.molar_mass)


def time_bounds(data: Any, name: str, time_is: TimeStamp | None, where: str = "") -> Times:
    """Return the bounds of each time of a dataset.

    Parameters
    ----------
    data : xarray.Dataset
        Decoded times.
    name : str
        The time coordinate.
    time_is : {'start', 'middle', 'end'} or None
        What the stamps mean in a file without bounds; steps must then be equal or whole calendar months.
    where : str
        File named in error texts.

    Returns
    -------
    ndarray of datetime64[us], shape (time, 2)

    Raises
    ------
    FormatError
        No bounds and `time_is` not given, or a single time, or uneven steps.
    """
    times = data[name]
    if times.dtype.kind != "M":
        calendar = times.encoding.get("calendar", "unknown") if times.size else "unknown"
        raise FormatError(f"{where}: {name!r} cannot be read as real dates (calendar {calendar})")
    bounds = times.attrs.get("bounds", times.encoding.get("bounds"))
    if bounds in data.variables:
        return np.asarray(data[bounds].values).astype("datetime64[us]").reshape(-1, 2)
    if time_is not in {"start", "middle", "end"}:
        raise FormatError(
            f"{where}: {name!r} has no bounds; say whether its stamps are time_is='start', 'middle' or "
            "'end', or give the period of a single time"
        )
    stamps = np.asarray(times.values).astype("datetime64[us]")
    months = stamps.astype("datetime64[M]")
    if stamps.size < 2:
        raise FormatError(f"{where}: {name!r} has one time and no bounds; say period=(start, stop)")
    length, step = np.diff(stamps), np.diff(months.astype(np.int64))
    if time_is == "middle":  # of months, not of days on either side of a month's end
        whole = (length > 25 * step * np.timedelta64(1, "D")).all()
    else:
        whole = (stamps == months).all()
    if whole and (step == step[0]).all() and step[0] >= 1:
        first = months - step[0] if time_is == "end" else months
        return np.stack([first, first + step[0]], axis=1).astype("datetime64[us]")
    if (length != length[0]).any() or length[0] <= np.timedelta64(0, "s"):
        raise FormatError(f"{where}: {name!r} has uneven steps and no bounds")
    before = {"start": 0 * length[0], "middle": length[0] // 2, "end": length[0]}[time_is]
    return np.stack([stamps - before, stamps - before + length[0]], axis=1)


def unnamed_dimensions(data: Any) -> Any:
    """Move names along a dimension into ``<dimension>_name``: in CF a coordinate variable must be numeric."""
    for dim in [d for d in data.dims if d in data.coords and data[d].dtype.kind in "OUST"]:
        data = data.reset_index(dim).rename_vars({dim: f"{dim}_name"})
    return data


def named_dimensions(data: Any) -> Any:
    """Undo `unnamed_dimensions`: text in ``<dimension>_name`` becomes the dimension's coordinate, if it has none."""
    told = [d for d in data.dims if d in data.coords and data[d].dtype.kind in "OUST"]
    data = data.drop_vars([f"{d}_name" for d in told], errors="ignore")
    for dim in [d for d in data.dims if d not in data.variables]:
        name = f"{dim}_name"
        if name in data.variables and data[name].dims == (dim,) and data[name].dtype.kind in "OUST":
            data = data.rename_vars({name: dim}).set_coords(dim).set_xindex(dim)
    return data


def _mass_factor(plain: str, text: str, place: str) -> float:
    try:
        return conversion_factor(plain, "kg m-2 s-1")
    except UnitError as error:
        raise UnitError(f"{place} is in {text!r}: neither amount nor mass per area and time") from error
