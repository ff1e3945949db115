"""Compare an inversion's region totals with an inventory: from files to one row a region."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.crosscheck.verdict import Rule, judge
from obsnet.errors import ConfigError, FormatError, RegionError, nearest
from obsnet.reading import door
from obsnet.typing import Floats

__all__ = ["RegionTotals", "compare", "read_totals"]


@dataclass(frozen=True)
class RegionTotals:
    """What an inversion says of one sector's region totals in one period, mass a year.

    Parameters
    ----------
    gas : str
        Formula; totals are Mt of it a year.
    sector : str
        Which.
    regions : tuple of str
        Keys; the last may be ``outside``.
    names : dict of str to str
        Names of regions for people.
    start, stop : numpy.datetime64
        Period.
    prior, posterior, prior_sd, posterior_sd : ndarray, shape (regions,)
        Mt a year.
    averaging_kernel : ndarray, shape (regions, regions)
        Response of posterior to true totals.
    noise_covariance, prior_covariance : ndarray, shape (regions, regions)
        (Mt a year) squared; see `verdict.judge`.
    prior_name : str
        What the prior is called.
    """

    gas: str
    sector: str
    regions: tuple[str, ...]
    names: dict[str, str]
    start: np.datetime64
    stop: np.datetime64
    prior: Floats
    posterior: Floats
    prior_sd: Floats
    posterior_sd: Floats
    averaging_kernel: Floats
    noise_covariance: Floats
    prior_covariance: Floats
    prior_name: str


@door("a posterior")
def read_totals(path: str | Path, sector: str | None = None, period: int | None = None) -> RegionTotals:
    """Read one sector's totals from a posterior file.

    Parameters
    ----------
    path : path
        ``posterior.nc``.
    sector : str, optional
        May be left out if the file has one.
    period : int, optional
        Index of the period; may be left out if the file has one.

    Raises
    ------
    FormatError
        The file is no posterior.
    ConfigError
        The sector or period does not exist, or has to be chosen.
    """
    from obsnet.cf import read_netcdf

    data = read_netcdf(path)
    contract = str(data.attrs.get("obsnet_contract", ""))
    if not contract.startswith("posterior"):
        raise FormatError(f"{path}: not a posterior file; make one with `obsnet invert`")
    if contract != "posterior 1":
        raise FormatError(f"{path}: contract {contract!r}, this program reads 'posterior 1'")
    sectors = [str(s) for s in data["sector"].values]
    sector = _choose("sector", sector, sectors, path)
    number = int(
        _choose(
            "period",
            None if period is None else str(period),
            [str(i) for i in range(data.sizes["period"])],
            path,
        )
    )
    gas = species(str(data["flux"].attrs["substance"]))
    # mol s-1 -> Mt a year
    mass = gas.molar_mass * SECONDS_PER_YEAR * 1e-9
    mine = (data["total_sector"].values.astype(str) == sector) & (data["total_period"].values == number)
    place = np.flatnonzero(mine)
    square = np.ix_(place, place)

    def total(name: str) -> Floats:
        return mass * np.asarray(data[name].sel(sector=sector).isel(period=number).values, dtype=np.float64)

    regions = tuple(str(r) for r in data["region"].values)
    start, stop = data["period_bnds"].values[number].astype("datetime64[us]")
    return RegionTotals(
        gas=gas.name,
        sector=sector,
        regions=regions,
        names=dict(zip(regions, data["region_label"].values.astype(str), strict=True)),
        start=start,
        stop=stop,
        prior=total("region_total_prior"),
        posterior=total("region_total"),
        prior_sd=total("region_total_prior_uncertainty"),
        posterior_sd=total("region_total_uncertainty"),
        averaging_kernel=data["total_averaging_kernel"].values[square],
        noise_covariance=mass**2 * data["total_test_covariance"].values[square],
        prior_covariance=mass**2 * data["total_prior_covariance"].values[square],
        prior_name=str(data.attrs.get("prior_name", "")),
    )


def _choose(what: str, wanted: str | None, there: list[str], path: str | Path) -> str:
    if wanted is None:
        if len(there) == 1:
            return there[0]
        raise ConfigError(f"{path}: choose a {what}: {', '.join(there)}")
    if wanted not in there:
        raise ConfigError(f"{path}: no {what} {wanted!r}{nearest(wanted, there)}")
    return wanted


def _inventory_totals(
    inventory: Any, totals: RegionTotals, year: str | None, uncertainty: float | None
) -> tuple[Floats, Floats]:
    """Return inventory and its sd in the order of the inversion's regions, Mt of the gas a year."""
    from obsnet.inventory.table import mole_rate

    rows = inventory[
        inventory["gas"].str.upper().isin({totals.gas, "C"} if totals.gas == "CO2" else {totals.gas})
    ]
    if rows.empty:
        raise ConfigError(
            f"the inventory has no row for {totals.gas}; it has {', '.join(sorted(set(inventory['gas'])))}"
        )
    years = sorted(set(rows["period"]))
    if year is None and len(years) > 1:
        raise ConfigError(f"the inventory has several periods, choose a year: {', '.join(years)}")
    if year is not None and year not in years:
        raise ConfigError(f"the inventory has no period {year!r}; it has {', '.join(years)}")
    rows = rows[rows["period"] == (year or years[0])]
    categories = sorted(set(rows["category"]))
    if "total" in categories:
        rows = rows[rows["category"] == "total"]
    elif len(categories) > 1:
        raise ConfigError(
            f"the inventory has categories {', '.join(categories[:5])} and no row 'total': "
            "add up what is comparable"
        )
    strange = sorted(set(rows["region"]) - set(totals.regions))
    if strange:
        raise RegionError(
            f"inventory region {strange[0]!r} is not in the inversion{nearest(strange[0], totals.regions)}"
        )
    mass = species(totals.gas).molar_mass * SECONDS_PER_YEAR * 1e-9
    value, sd = np.full((2, len(totals.regions)), np.nan)
    for row in rows.to_dict("records"):
        at = totals.regions.index(row["region"])
        value[at] = mass * mole_rate(row["value"], row["unit"], row["gas"])
        relative = row["uncertainty"] if math.isfinite(row["uncertainty"]) else uncertainty
        if relative is None:
            raise ConfigError(
                f"the inventory states no uncertainty for {row['region']}, without which nothing can be tested: "
                "fill the column `uncertainty` (relative standard deviation) or give --uncertainty for all"
            )
        sd[at] = relative * abs(value[at])
    return value, sd


def compare(
    totals: RegionTotals,
    inventory: Any,
    *,
    rule: Rule | None = None,
    year: str | None = None,
    uncertainty: float | None = None,
) -> Any:
    """Judge every region's inventory.

    Parameters
    ----------
    totals : RegionTotals
        From `read_totals`.
    inventory : pandas.DataFrame
        From `obsnet.inventory.table.read_inventory`.
    rule : Rule, optional
        Limits of the verdict.
    year : str, optional
        Period of the inventory; needed if it has several.
    uncertainty : float, optional
        Relative sd for regions that state none.

    Returns
    -------
    pandas.DataFrame
        One row a region of the inversion (without ``outside``); columns ``region, name_en, name_zh, gas,
        sector, unit, inventory, inventory_sd, prior, prior_sd, posterior, posterior_sd, difference,
        difference_sd, response, minimum_detectable, p_value, p_adjusted, verdict, reason``; totals in Mt
        of the gas a year.

    Raises
    ------
    ConfigError, RegionError
        The inventory has other gases, periods, categories or regions than the inversion, or no uncertainty.

    Notes
    -----
    An annual total is compared as a mean rate with the mean rate of the inversion's period.
    """
    import pandas as pd

    from obsnet.regions import region_name

    value, sd = _inventory_totals(inventory, totals, year, uncertainty)
    found = judge(
        prior=totals.prior,
        posterior=totals.posterior,
        averaging_kernel=totals.averaging_kernel,
        noise_covariance=totals.noise_covariance,
        prior_covariance=totals.prior_covariance,
        inventory=value,
        inventory_sd=sd,
        rule=rule,
    )

    def chinese(region: str) -> str:
        try:
            return region_name(region, "zh")
        except RegionError:  # the user's own regions
            return totals.names[region]

    table = pd.DataFrame(
        {
            "region": totals.regions,
            "name_en": [totals.names[r] for r in totals.regions],
            "name_zh": [chinese(r) for r in totals.regions],
            "gas": totals.gas,
            "sector": totals.sector,
            "unit": "Mt",
            "inventory": value,
            "inventory_sd": sd,
            "prior": totals.prior,
            "prior_sd": totals.prior_sd,
            "posterior": totals.posterior,
            "posterior_sd": totals.posterior_sd,
            "difference": found.difference,
            "difference_sd": found.sd,
            "response": found.response,
            "minimum_detectable": found.minimum_detectable,
            "p_value": found.p_value,
            "p_adjusted": found.p_adjusted,
            "verdict": [str(v) for v in found.verdict],
            "reason": found.reason,
        }
    )
    return table[table["region"] != "outside"].reset_index(drop=True)
