"""Make a gridded prior from files: what `GridOptions` names, to one netCDF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import ConfigError, FormatError
from obsnet.inventory.notes import note
from obsnet.inventory.prior.options import GridOptions
from obsnet.typing import Times
from obsnet.work.isolated import apart

__all__ = ["run_prior"]

_STEPS = {"month": "MS", "day": "1D", "hour": "1h"}
_MOST = 2_000_000_000  # numbers in a file


def run_prior(options: GridOptions) -> tuple[list[dict[str, Any]], list[str]]:
    """Write the prior.

    Returns
    -------
    rows : list of dict
        Totals by sector and region: wanted, placed, and by area (Mt a year).
    notes : list of str
        Every rule that was applied.

    Raises
    ------
    ConfigError
        A period that is no year, a file of more numbers than anyone wants.
    """
    from obsnet.cf import write_netcdf
    from obsnet.inventory.prior.build import gridded_prior
    from obsnet.inventory.prior.files import listed, prior_dataset, read_proxy
    from obsnet.inventory.prior.plants import place_plants, read_plants
    from obsnet.inventory.prior.profiles import period_factors, read_profiles
    from obsnet.inventory.prior.totals import sector_totals
    from obsnet.regions import provinces, read_regions

    table, notes = _table(options)
    totals, said = sector_totals(table, gas=options.gas, period=options.period, mapping=options.sector)
    notes += said
    year = options.period or min({str(p) for p in table["period"]})
    if not (year.isdigit() and len(year) == 4):
        raise ConfigError(f"period {year!r} is no year: a prior of annual totals needs one")
    regions = provinces() if options.regions is None else read_regions(options.regions, options.region_key)
    notes.append(note("boundaries", source=regions.attrs["source"]))
    plants = None
    if options.plants is not None:
        frame, is_mass, more = read_plants(options.plants, fuels=options.plant_fuels)
        notes += more
        plants = place_plants(frame, is_mass, regions)
        if options.plant_sector not in set(totals["sector"]):
            raise ConfigError(
                f"the inventory has no sector {options.plant_sector!r} for the plants; sectors: "
                f"{', '.join(dict.fromkeys(totals['sector']))}; say --plant-sector"
            )
    proxies = {}
    for sector, text in options.proxy.items():
        path, _, variable = text.partition(":")
        proxies[sector] = apart(read_proxy, path, options.grid, variable or None)
    how: dict[str, Any] = {"gas": options.gas, "plant_sector": options.plant_sector, "excess": options.excess}
    prior = gridded_prior(totals, regions, options.grid, plants=plants, proxies=proxies, **how)
    notes += prior.notes
    bounds = _bounds(options, int(year))
    if len(bounds) * len(prior.sectors) * options.grid.size > _MOST:
        size = f"{len(bounds)} periods of {len(prior.sectors)} sectors on {options.grid.size} cells"
        raise ConfigError(
            f"{size} are too many for a file; take fewer periods (--start, --stop) or larger cells"
        )
    profiles = {} if options.profiles is None else read_profiles(options.profiles, prior.sectors)
    if options.step in {"day", "hour"} and not profiles:
        notes.append(note("alike"))
    made = f"inventory: {options.inventory}; plants: {options.plants}; proxies: {options.proxy or 'none'}"
    data = prior_dataset(
        prior,
        gas=options.gas,
        times=bounds,
        factors=period_factors(profiles, prior.sectors, bounds, int(year)),
        title=f"{options.gas} emissions of {year} from provincial totals",
        source=f"obsnet inventory grid; {made}",
        license=options.license,
        correlation=options.correlation,
    )
    write_netcdf(data, options.out, history=f"obsnet inventory grid {options.inventory}")
    if not np.isfinite(prior.relative_sd[prior.totals[:, : prior.relative_sd.shape[1]] > 0]).all():
        notes.append(note("no totals sd"))
    elif options.correlation is None:
        notes.append(note("no covariance"))
    return listed(prior, options.gas), notes


def _table(options: GridOptions) -> tuple[Any, list[str]]:
    from obsnet.inventory.account.categories import converted, need_terminology
    from obsnet.inventory.sources.carbon import said_of_carbon
    from obsnet.inventory.sources.ceads import read_ceads
    from obsnet.inventory.table import BUILT_IN, read_inventory, with_provinces

    path = Path(options.inventory)
    if path.suffix.lower() in {".xls", ".xlsx"} and options.inventory not in BUILT_IN:
        book = read_ceads(path)
        return book.contract(sectors=True), list(book.notes)
    table = read_inventory(options.inventory)
    if options.regions is None:
        table = with_provinces(table, options.inventory)
    table = need_terminology(table, options.inventory)
    return converted(table, "IPCC2006"), said_of_carbon(table)


def _bounds(options: GridOptions, year: int) -> Times:
    from obsnet.times import as_utc, time_bins

    first = as_utc(options.start or f"{year}-01-01")
    last = as_utc(options.stop or f"{year + 1}-01-01")
    if first < np.datetime64(f"{year}-01-01") or last > np.datetime64(f"{year + 1}-01-01"):
        raise FormatError(f"periods must lie within {year}, the year of the totals")
    if options.step == "year":
        return np.array([[first, last]])
    edges = time_bins(first, last, _STEPS[options.step])
    edges[-1] = min(edges[-1], last)
    return np.stack([edges[:-1], edges[1:]], axis=1)
