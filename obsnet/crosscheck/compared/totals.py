"""What an inversion says of one sector's totals, read from its posterior file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.crosscheck.compared.fit import Fit, SourceFit
from obsnet.crosscheck.rules.statistics import negative_variance
from obsnet.errors import ConfigError, FormatError, nearest
from obsnet.inventory.period import Period
from obsnet.reading import door
from obsnet.typing import Floats, Ints

__all__ = ["RegionTotals", "read_totals"]

_NEEDED = ("total_averaging_kernel", "total_test_covariance", "total_prior_covariance")
_ROUNDING = 1e-6
_SAME = 0.01  # share by which two statements of one standard deviation may differ


@dataclass(frozen=True)
class RegionTotals:
    """Region totals of one sector in all periods, as mean rates in mass a year.

    Totals are flat, (region, period) with the period running fastest; with one period they are the regions.

    Parameters
    ----------
    gas : str
        Formula; totals are Mt of it a year.
    sector : str
        Which.
    regions : tuple of str
        Keys; those of `REST` may be among them.
    names : dict of str to str
        Names of regions for people.
    periods : tuple of Period
        All periods of the file.
    asked : tuple of int or None
        Those that the user chose to test.
    prior, posterior : ndarray, shape (totals,)
        Mt a year.
    averaging_kernel : ndarray, shape (totals, totals)
        Response of posterior to true totals.
    noise_covariance, prior_covariance, posterior_covariance : ndarray, shape (totals, totals)
        (Mt a year) squared; for the first see `verdict.judge`.
    prior_name, region_source : str
        What the prior is called; where the boundaries come from.
    prescribed : mapping of str to ndarray or None
        Sectors that the inversion took as exact: change of the totals (totals,) if such a sector were larger by its
        whole prior, Mt a year; None where the file does not say.
    fit : Fit
        How well the run fits its errors.
    not_told_apart : bool
        Whether the observations see this sector only as a sum with another.
    checks : tuple of str
        What the run's own checks have to say to a reader of verdicts.
    no_verdict : str
        Why inventories cannot be tested with this run; empty where they can.
    net_covariance : ndarray, shape (totals, totals), optional
        Posterior covariance of the sum of all sectors; None where the file does not say.
    split_covariance : ndarray, shape (regions, regions), optional
        Of the prior totals for want of knowing where inside cells their flux is; None where the file does not say.
    split_in_test : bool
        Whether `noise_covariance` allows for it.
    tested : ndarray, shape (totals,), optional
        The estimate that kernel and noise are of, where it is not the posterior.
    """

    gas: str
    sector: str
    regions: tuple[str, ...]
    names: dict[str, str]
    periods: tuple[Period, ...]
    asked: tuple[int, ...] | None
    prior: Floats
    posterior: Floats
    averaging_kernel: Floats
    noise_covariance: Floats
    prior_covariance: Floats
    posterior_covariance: Floats
    prior_name: str
    region_source: str
    prescribed: Mapping[str, Floats | None]
    fit: Fit
    not_told_apart: bool
    checks: tuple[str, ...]
    no_verdict: str = ""
    net_covariance: Floats | None = None
    split_covariance: Floats | None = None
    split_in_test: bool = True
    tested: Floats | None = None

    @property
    def answer(self) -> Floats:
        """What kernel and noise are of: the posterior, or the linear estimate beside it; Mt a year."""
        return self.posterior if self.tested is None else self.tested

    @property
    def prior_sd(self) -> Floats:
        """Mt a year."""
        return np.sqrt(np.maximum(np.diagonal(self.prior_covariance), 0.0))

    @property
    def posterior_sd(self) -> Floats:
        """Mt a year."""
        return np.sqrt(np.maximum(np.diagonal(self.posterior_covariance), 0.0))

    @property
    def start(self) -> np.datetime64:
        """Begin of the periods that were chosen, else of all."""
        return min(self.periods[i].start for i in self.asked or range(len(self.periods)))

    @property
    def stop(self) -> np.datetime64:
        """Their end."""
        return max(self.periods[i].stop for i in self.asked or range(len(self.periods)))


@door("a posterior")
def read_totals(
    path: str | Path, sector: str | None = None, period: int | Sequence[int] | None = None
) -> RegionTotals:
    """Read one sector's totals from a posterior file.

    Parameters
    ----------
    path : path
        ``posterior.nc``.
    sector : str, optional
        May be left out if the file has one.
    period : int or sequence of int, optional
        Indices of the periods to test, summed; by default those that the inventory is of.

    Raises
    ------
    FormatError
        The file is no posterior, has no averaging kernel, or a covariance that is none.
    ConfigError
        The sector or period does not exist, or has to be chosen.
    """
    from obsnet.cf import read_netcdf

    data = read_netcdf(path)
    contract = str(data.attrs.get("obsnet_contract", ""))
    if contract.startswith("scale factors"):
        raise FormatError(
            f"{path}: scale factors of a ready-made Jacobian, no totals of regions; with a map of its columns and a "
            "prior ([invert.foreign] elements, [invert] prior, start, stop) `obsnet invert` makes them"
        )
    if not contract.startswith("posterior"):
        raise FormatError(f"{path}: not a posterior file; make one with `obsnet invert`")
    if contract != "posterior 1":
        raise FormatError(f"{path}: contract {contract!r}, this program reads 'posterior 1'")
    missing = [n for n in _NEEDED if n not in data]
    if missing:
        raise FormatError(
            f"{path}: a posterior without {', '.join(missing)}: what the observations moved is not known, and nothing "
            "can be tested; `obsnet invert` writes them"
        )
    regions = tuple(str(r) for r in data["region"].values)
    twice = sorted({r for r in regions if regions.count(r) > 1})
    if twice:
        raise FormatError(f"{path}: region {twice[0]} stands twice; whose its totals are cannot be told")
    sectors = [str(s) for s in data["sector"].values]
    sector = _choose_sector(sector, sectors, path)
    gas = species(str(data["flux"].attrs["substance"]))
    # mol s-1 -> Mt a year
    mass = gas.molar_mass * SECONDS_PER_YEAR * 1e-9
    place = _places(data, sector)

    def total(name: str) -> Floats:
        values = data[name].sel(sector=sector).transpose("region", "period").values
        if not np.isfinite(values).all():
            raise FormatError(f"{path}: {name} has values that are not finite; make the posterior again")
        return mass * np.asarray(values, dtype=np.float64).ravel()

    def square(name: str) -> Floats:
        return _sound(mass**2 * np.asarray(data[name].values[np.ix_(place, place)], np.float64), name, path)

    net: Floats | None = None
    if "total_covariance" in data:
        after = square("total_covariance")
        if "region_total_uncertainty" in data:
            _refuse_apart(after, total("region_total_uncertainty"), regions, "total_covariance", path)
        joint, every = data["total_covariance"].values, [_places(data, s) for s in sectors]
        parts = [np.asarray(joint[np.ix_(a, b)], np.float64) for a in every for b in every]
        net = mass**2 * np.add.reduce(parts)
    else:  # each by itself is known, no sum of them
        after = np.full((len(place), len(place)), np.nan)
        np.fill_diagonal(after, total("region_total_uncertainty") ** 2)
    split: Floats | None = None
    if "region_split_covariance" in data:
        split = mass**2 * np.asarray(
            data["region_split_covariance"].sel(sector=sector).values, dtype=np.float64
        )
    before = square("total_prior_covariance")
    _refuse_apart(before, total("region_total_prior_uncertainty"), regions, "total_prior_covariance", path)
    told = str(data.attrs.get("sectors_not_told_apart", "")).splitlines()
    return RegionTotals(
        gas=gas.name,
        sector=sector,
        regions=regions,
        names=dict(zip(regions, data["region_label"].values.astype(str), strict=True)),
        periods=tuple(Period(*b) for b in data["period_bnds"].values.astype("datetime64[us]")),
        asked=_choose_periods(period, data.sizes["period"], path),
        prior=total("region_total_prior"),
        posterior=total("region_total"),
        averaging_kernel=_kernel(data, place, path),
        noise_covariance=square("total_test_covariance"),
        prior_covariance=before,
        posterior_covariance=after,
        prior_name=str(data.attrs.get("prior_name", "")),
        region_source=str(data.attrs.get("regions_source", "")),
        prescribed=_prescribed(data, place, mass),
        fit=_fit(data),
        not_told_apart=any(line.startswith(f"{sector} cannot be told from") for line in told),
        checks=tuple(str(data.attrs.get("checks", "")).splitlines()),
        no_verdict=str(data.attrs.get("no_verdict", "")),
        net_covariance=net,
        split_covariance=split,
        tested=mass * np.asarray(data["total_tested"].values[place], np.float64)
        if "total_tested" in data
        else None,
        split_in_test=str(data.attrs.get("shares_in_test", "yes")) == "yes",
    )


def _kernel(data: Any, place: Ints, path: str | Path) -> Floats:
    """Return the averaging kernel, rows what is estimated, columns what is true, in whatever order they lie."""
    kernel = data["total_averaging_kernel"]
    if set(kernel.dims) != {"total", "total_2"} or kernel.sizes["total"] != kernel.sizes["total_2"]:
        found = ", ".join(f"{dim} ({size})" for dim, size in kernel.sizes.items())
        raise FormatError(
            f"{path}: total_averaging_kernel has dimensions {found}; "
            "total and total_2 of one length are needed, which is what `obsnet invert` writes"
        )
    return np.asarray(kernel.transpose("total", "total_2").values[np.ix_(place, place)], np.float64)


def _sound(matrix: Floats, name: str, path: str | Path) -> Floats:
    """Return a covariance, or refuse what is none: not symmetric, or with a sum whose variance is negative."""
    size = float(np.abs(matrix).max(initial=0.0))
    if not np.isfinite(size):
        raise FormatError(f"{path}: {name} has values that are not finite")
    if np.abs(matrix - matrix.T).max(initial=0.0) > _ROUNDING * size:
        raise FormatError(
            f"{path}: {name} is not symmetric, so it is no covariance; make the posterior again"
        )
    fault = negative_variance(matrix, _ROUNDING * len(matrix))
    if fault:
        raise FormatError(
            f"{path}: {name} is not positive semi-definite ({fault}): some sum of regions would have a "
            "negative variance; make the posterior again"
        )
    return matrix


def _refuse_apart(
    matrix: Floats, stated: Floats, regions: Sequence[str], name: str, path: str | Path
) -> None:
    """Refuse a covariance whose standard deviations are not those that the file states beside it."""
    found = np.sqrt(np.maximum(np.diagonal(matrix), 0.0))
    apart = np.abs(found - stated) - _SAME * np.maximum(found, stated)
    if (apart > _ROUNDING * found.max(initial=0.0)).any():
        worst = int(np.argmax(apart))
        beside = "region_total_prior_uncertainty" if "prior" in name else "region_total_uncertainty"
        raise FormatError(
            f"{path}: {name} and {beside} disagree: of region {regions[worst * len(regions) // len(found)]} the "
            f"standard deviation is {found[worst]:.3g} by one and {stated[worst]:.3g} Mt a year by the other; which "
            "holds cannot be told, make the posterior again"
        )


def _places(data: Any, sector: str) -> Ints:
    """Return where the sector's totals stand on the flat axis, (region, period) with the period fastest."""
    region = {str(r): i for i, r in enumerate(data["region"].values)}
    at = np.array([region[str(r)] for r in data["total_region"].values])
    period = np.asarray(data["total_period"].values, dtype=np.int64)
    mine = np.flatnonzero(data["total_sector"].values.astype(str) == sector)
    return mine[np.lexsort((period[mine], at[mine]))]


def _choose_sector(wanted: str | None, there: list[str], path: str | Path) -> str:
    if wanted is None:
        if len(there) == 1:
            return there[0]
        raise ConfigError(f"{path}: choose a sector: {', '.join(there)}")
    if wanted not in there:
        raise ConfigError(f"{path}: no sector {wanted!r}{nearest(wanted, there)}")
    return wanted


def _choose_periods(
    wanted: int | Sequence[int] | None, count: int, path: str | Path
) -> tuple[int, ...] | None:
    if wanted is None:
        return None
    found = tuple(int(i) for i in np.atleast_1d(wanted))
    strange = [i for i in found if not 0 <= i < count]
    if strange or not found:
        raise ConfigError(f"{path}: no period {strange[0] if strange else ''}; there are {count}, from 0")
    return found


def _prescribed(data: Any, place: Ints, mass: float) -> dict[str, Floats | None]:
    """Return the sectors that were taken as exact though there is a flux of them."""
    before = np.abs(data["region_total_prior"]).sum(("region", "period"))
    doubt = data["region_total_prior_uncertainty"].sum(("region", "period"))
    found: dict[str, Floats | None] = {}
    for name in data["sector"].values.astype(str):
        if float(before.sel(sector=name)) > 0.0 and float(doubt.sel(sector=name)) == 0.0:
            known = "total_prescribed_response" in data and name in data["prescribed"].values
            answer = data["total_prescribed_response"].sel(prescribed=name).values[place] if known else None
            found[name] = None if answer is None else mass * np.asarray(answer, dtype=np.float64)
    return found


def _fit(data: Any) -> Fit:
    names = ("count", "dofs", "residual_chi_square")
    sources: tuple[SourceFit, ...] = ()
    if "source" in data and all(f"source_{n}" in data for n in names):
        columns = [data[f"source_{n}"].values.astype(float) for n in names]
        sources = tuple(
            SourceFit(str(s), *row)
            for s, row in zip(data["source"].values, zip(*columns, strict=True), strict=True)
        )
    chi = data.attrs.get("chi_square")
    return Fit(None if chi is None else float(chi), int(data.attrs.get("n_observations", 0)), sources)
