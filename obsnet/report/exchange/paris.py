"""A posterior as a flux file of the PARIS-AVENGERS-EYECLIMA template, which `obsnet compare` and fluxie read.

The template is ``PAR-AVE-EYE_inversion_flux_output.cdl`` (project PARIS, MIT licence). It gives a covariance the
dimension ``country`` twice, which CF forbids; here the second is ``country_2``. It has no place for how errors of
several times hang together, which inversions know; the variables ``joint_covariance_…`` beside the template's hold it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from obsnet import __version__
from obsnet.atomic import atomic_path
from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.crosscheck.systems.own import with_nation
from obsnet.errors import FormatError, SchemaError
from obsnet.field import grid_of
from obsnet.report.exchange.means import BOUND, mean_fluxes
from obsnet.seal import seal_file
from obsnet.times import later
from obsnet.typing import Floats, Times

__all__ = ["TIME_UNITS", "paris_dataset", "sector_names", "write_paris"]

TIME_UNITS = "days since 1970-01-01 00:00:00"


def write_paris(data: Any, path: Path) -> Path:
    """Write a posterior in the layout; whole or not at all.

    Parameters
    ----------
    data : xarray.Dataset
        Posterior file.
    path : Path
        netCDF.
    """
    made = paris_dataset(data)
    encoding: dict[Any, dict[str, Any]] = {}
    for name, variable in made.variables.items():
        if variable.dtype.kind == "M":
            encoding[name] = {
                "units": TIME_UNITS,
                "calendar": "proleptic_gregorian",
                "dtype": "float64",
                "_FillValue": None,
            }
        elif name in made.coords:
            encoding[name] = {} if variable.dtype.kind in "OUST" else {"_FillValue": None}
        elif variable.dtype.kind == "f":
            encoding[name] = {"zlib": True, "complevel": 1, "_FillValue": np.nan}
    with atomic_path(path) as temporary:
        made.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
        seal_file(temporary)
    return path


def paris_dataset(data: Any) -> Any:
    """Return a posterior in the layout.

    Parameters
    ----------
    data : xarray.Dataset
        Posterior file: totals of regions and periods with ``total_covariance``, fluxes.

    Returns
    -------
    xarray.Dataset
        ``flux_total_posterior_country`` and the like (time, country), kg a year of the substance, for the sum of all
        sectors (``total``) and for each; where all provinces are there also the nation (CHN). Times are the posterior's
        periods of totals.

    Raises
    ------
    FormatError
        The posterior does not have the covariance of its totals.
    SchemaError
        Two sectors that are the same in lower-case letters, which the layout asks for.
    """
    import xarray as xr

    if "total_covariance" not in data:
        raise FormatError(
            "the posterior has no total_covariance, which the PARIS layout needs; make it again with `obsnet invert`, "
            "or leave the layout out (obsnet report --format xlsx …)"
        )
    gas = species(str(data["flux"].attrs["substance"]))
    bounds = data["period_bnds"].values.astype("datetime64[us]")
    regions = [str(r) for r in data["region"].values]
    matrix, keys = with_nation(regions)
    out = {}
    for sector, members in sector_names([str(s) for s in data["sector"].values]).items():
        for step, name in (("prior", "total_prior_covariance"), ("posterior", "total_covariance")):
            total, joint = _totals(data, members, step, name, matrix)
            kg = gas.molar_mass * SECONDS_PER_YEAR
            out |= _country(kg * total, kg**2 * joint, sector, step, gas.name)
    grid = grid_of(data)
    means = mean_fluxes(data, bounds, "the posterior", sectors=False)
    where = ("time", "latitude", "longitude")
    for step, name in (("prior", "flux_prior"), ("posterior", "flux")):
        text = f"{step} total {gas.name.lower()} fluxes"
        flux = {"units": "mol m-2 s-1", "cell_methods": "time: mean area: mean"}
        out[f"flux_total_{step}"] = (where, means[name], {**flux, "long_name": text})
        spread = {**flux, "long_name": f"standard deviation of {text}", "comment": BOUND}
        if f"{name}_uncertainty" in means:
            out[f"stdev_flux_total_{step}"] = (where, means[f"{name}_uncertainty"], spread)
    area = {"units": "m2", "long_name": "surface area of grid cell", "standard_name": "cell_area"}
    out["cell_area"] = (("latitude", "longitude"), grid.cell_area, area)
    if "share" in data:
        text = "share of a cell's flux that is the region's, all sectors by their prior; of area where there is none"
        fraction = {"units": "1", "long_name": "fraction of grid cell associated to country", "comment": text}
        out["country_fraction"] = (("country", *where[1:]), _fractions(data, regions, matrix), fraction)
    made = xr.Dataset(out, coords=_coordinates(grid, bounds, keys))
    return made.assign_attrs(_attributes(data, bounds, gas.name))


def sector_names(ours: list[str]) -> dict[str, list[str]]:
    """Return the layout's names of sectors, in lower-case letters alone, and which of ours each is of.

    Examples
    --------
    >>> sector_names(["fossil", "land_2"])
    {'total': ['fossil', 'land_2'], 'fossil': ['fossil'], 'land': ['land_2']}
    """
    names = [re.sub(r"[^a-z]", "", s.lower()) for s in ours]
    if len(set(names)) < len(names) or ("total" in names and len(names) > 1) or "" in names:
        raise SchemaError(
            f"sectors {', '.join(ours)} are not told apart by lower-case letters alone (other than 'total'), which is "
            "what the PARIS layout has for names; name them otherwise, or leave it out (obsnet report --format xlsx …)"
        )
    found = {"total": ours}
    return found | {n: [s] for n, s in zip(names, ours, strict=True) if n != "total"}


def _totals(
    data: Any, sectors: list[str], step: str, covariance: str, matrix: Floats
) -> tuple[Floats, Floats]:
    """Return mean rates (time, country) of a sum of sectors, mol s-1, and their covariance in time too."""
    name = "region_total" if step == "posterior" else "region_total_prior"
    values = data[name].sel(sector=sectors).sum("sector").transpose("region", "period").values
    count, periods = values.shape
    place = {str(r): k for k, r in enumerate(data["region"].values)}
    mine = np.isin(data["total_sector"].values.astype(str), sectors)
    row = np.array([place[str(r)] for r in data["total_region"].values]) * periods
    row = row + np.asarray(data["total_period"].values, dtype=np.int64)
    add = np.zeros((count * periods, len(row)))
    add[row[mine], np.flatnonzero(mine)] = 1.0
    square = (add @ np.asarray(data[covariance].values, np.float64) @ add.T).reshape(
        count, periods, count, periods
    )
    joint = np.einsum("ar,rksl,bs->kalb", matrix, square, matrix, optimize=True)
    return (matrix @ values).T, joint


def _country(total: Floats, joint: Floats, sector: str, step: str, gas: str) -> dict[str, Any]:
    """Return the variables of one sector before or after the observations."""
    base, pair = f"flux_{sector}_{step}_country", ("time", "country")
    text = f"{step} {gas.lower()} fluxes, {'all sectors' if sector == 'total' else f'sector {sector}'}"
    spread = np.sqrt(np.maximum(np.einsum("kaka->ka", joint), 0.0))
    kind = {"units": "kg yr-1", "cell_methods": "time: mean country: point"}
    squared = {"units": "kg2 yr-2", "long_name": f"covariance of country-total {text}"}
    found: dict[str, Any] = {
        base: (pair, total, {**kind, "long_name": f"country-total {text}"}),
        f"stdev_{base}": (
            pair,
            spread,
            {**kind, "long_name": f"standard deviation of country-total {text}"},
        ),
    }
    if step == "posterior":
        own = np.einsum("kakb->kab", joint)
        found[f"covariance_{base}"] = (("time", "country", "country_2"), own, squared)
        if len(total) > 1:
            comment = "of all countries and times; not of the template"
            found[f"joint_covariance_{base}"] = (
                ("time", "country", "time_2", "country_2"), joint, {**squared, "comment": comment},
            )  # fmt: skip
    return found


def _coordinates(grid: Any, bounds: Times, keys: list[str]) -> dict[str, Any]:
    centre = {"latitude": ("degrees_north", "Y", grid.lat), "longitude": ("degrees_east", "X", grid.lon)}
    found: dict[str, Any] = {
        name: (
            name,
            values,
            {
                "units": unit,
                "axis": axis,
                "standard_name": name,
                "long_name": f"{name} of grid cell centre",
            },
        )
        for name, (unit, axis, values) in centre.items()
    }
    middle = bounds[:, 0] + (bounds[:, 1] - bounds[:, 0]) // 2
    time = {
        "standard_name": "time",
        "long_name": "mid of flux interval in UTC",
        "axis": "T",
        "bounds": "time_bnds",
    }
    text = {
        "long_name": "region: GB/T 2260 code of a province, ISO 3166-1 alpha-3 code of a country, or the user's key"
    }
    names = np.array(keys, dtype=object)
    return found | {
        "time": ("time", middle, time),
        "time_bnds": (("time", "nbnds"), bounds),
        "country": ("country", names, text),
        "country_2": ("country_2", names, text),
    }


def _fractions(data: Any, regions: list[str], matrix: Floats) -> Floats:
    """Return the part of each cell's flux that is which region's, (region, lat, lon), of all sectors together."""
    shape = (data.sizes["lat"], data.sizes["lon"])
    size = np.abs(np.asarray(data["flux_prior"].mean("time").values, np.float64)).reshape(
        data.sizes["sector"], -1
    )
    size = np.where(size.sum(axis=0) > 0, size, 1.0)
    weight = size / size.sum(axis=0)
    sector, region, cell = (
        np.asarray(data[f"share_{k}"].values, np.int64) for k in ("sector", "region", "cell")
    )
    found = np.zeros((len(regions), weight.shape[1]))
    np.add.at(found, (region, cell), np.asarray(data["share"].values, np.float64) * weight[sector, cell])
    return (matrix @ found).reshape(-1, *shape)


def _frequency(bounds: Times) -> str:
    """Return ``yearly`` or ``monthly`` where all periods are whole ones, else ``irregular``."""
    for unit, word in (("Y", "yearly"), ("M", "monthly")):
        start = bounds[:, 0].astype(f"datetime64[{unit}]")
        if (bounds == np.stack([start, later(start)], axis=1).astype(bounds.dtype)).all():
            return word
    return "irregular"


def _attributes(data: Any, bounds: Times, gas: str) -> dict[str, str]:
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    attrs, notes = data.attrs, []
    before = np.abs(data["region_total_prior"]).sum(("region", "period"))
    doubt = data["region_total_prior_uncertainty"].sum(("region", "period"))
    exact = [
        str(s)
        for s in data["sector"].values
        if before.sel(sector=s) > 0 and doubt.sel(sector=s) == 0
    ]  # fmt: skip
    if exact:
        notes.append(f"sector {', '.join(exact)} was prescribed: no error of it is in these numbers")
    if attrs.get("no_verdict"):
        notes.append(str(attrs["no_verdict"]))
    return {
        "title": "GHG flux distribution and country totals",
        "species": gas.lower(),
        "source": str(attrs.get("source", "not stated")),
        "creation_date": stamp[:10],
        "frequency": _frequency(bounds),
        "inversion_system": "obsnet",
        "inversion_system_version": __version__,
        "apriori_description": str(attrs.get("prior_name", "")),
        "Conventions": "CF-1.8",
        "comment": ". ".join([*notes, f"regions: {attrs.get('regions_source', '')}"]),
        "summary": str(attrs.get("summary", "")),
        "license": str(attrs.get("license", "not stated")),
        "history": f"{stamp} obsnet {__version__}: posterior in the PARIS-AVENGERS-EYECLIMA layout",
    }
