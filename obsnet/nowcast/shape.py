"""How power emissions run through a year, region by region, as a temporal prior for an inversion."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, nearest
from obsnet.inventory.prior.profiles import Profile, period_factors, read_profiles
from obsnet.nowcast.inputs.indicators import Indicators
from obsnet.typing import Floats, Times

__all__ = ["Shape", "monthly_shape", "shaped_flux", "year_bounds"]

_STEPS = {"month": "MS", "day": "1D", "hour": "1h"}


@dataclass(frozen=True, eq=False)
class Shape:
    """Rates of months over that of the year.

    Parameters
    ----------
    regions : tuple of str
    year : int
    factor : ndarray, shape (12, regions)
        Averages to 1 over the year; NaN where generation of a month is not known.
    sd : ndarray, shape (12,)
        By how much the factors of the year before missed those of a year, over all hindcasts and regions; NaN where
        there is no earlier year.
    own_year : bool
        Of the year itself; else of the last one known.
    table : pandas.DataFrame
        Hindcasts: ``region, year, month, factor, last_year, flat`` (1).
    """

    regions: tuple[str, ...]
    year: int
    factor: Floats
    sd: Floats
    own_year: bool
    table: Any

    @property
    def mae(self) -> tuple[float, float]:
        """Mean absolute error of last year's shape and of a flat one, per cent of the mean rate."""
        error = [
            100.0 * float((self.table[c] - self.table["factor"]).abs().mean()) for c in ("last_year", "flat")
        ]
        return error[0], error[1]


def monthly_shape(
    indicators: Indicators, name: str, regions: Sequence[str], year: int, day: np.datetime64
) -> Shape:
    """Return the monthly shape of an indicator as known on a day.

    January and February that are published together run evenly. Where the year is not complete, the last complete one
    is taken, whose error is that of the hindcasts.

    Raises
    ------
    FormatError
        No year of whose every month something is known.
    """
    import pandas as pd

    years = sorted({r.year for r in indicators.rows[name] if r.year <= year})
    amounts = indicators.months(name, regions, years, day)
    factors = {y: _factors(a, y) for y, a in zip(years, amounts, strict=True)}
    whole = [y for y in years if np.isfinite(factors[y]).all(axis=0).any()]
    if not whole:
        raise FormatError(
            f"{name}: no year up to {year} has months; running sums or months are wanted, not sums of years"
        )
    rows = [
        (regions[j], y, m + 1, factors[y][m, j], factors[y - 1][m, j], 1.0)
        for y in whole if y - 1 in whole for j in range(len(regions)) for m in range(12)
        if np.isfinite(factors[y][m, j]) and np.isfinite(factors[y - 1][m, j])
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["region", "year", "month", "factor", "last_year", "flat"])
    error = (table["factor"] - table["last_year"]) ** 2
    sd = np.sqrt(error.groupby(table["month"]).mean().reindex(range(1, 13)).to_numpy(dtype=float))
    return Shape(tuple(regions), year, factors[whole[-1]], sd, whole[-1] == year, table)


def _factors(amounts: Floats, year: int) -> Floats:
    """Return rates of months over that of the year, (12, regions), from their amounts."""
    days = np.array([monthrange(year, m)[1] for m in range(1, 13)], dtype=float)
    total = amounts.sum(axis=0)
    return amounts / days[:, None] / np.where(total > 0.0, total / days.sum(), np.nan)


def year_bounds(year: int, step: str) -> Times:
    """Return the bounds of the months, days or hours of a year, UTC; shape (periods, 2)."""
    from obsnet.times import time_bins

    edges = time_bins(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01"), _STEPS[step])
    return np.stack([edges[:-1], edges[1:]], axis=1)


def shaped_flux(
    data: Any,
    shape: Shape,
    *,
    sector: str | None = None,
    step: str = "month",
    profiles: Path | None = None,
    polygons: Any = None,
) -> tuple[Any, tuple[str, ...]]:
    """Return an annual flux with the shape put on it; every cell keeps its year's mass.

    Parameters
    ----------
    data : xarray.Dataset
        Flux contract, one period that is the shape's year.
    shape : Shape
    sector : str, optional
        Which gets the shape, where there are several; the others run evenly.
    step : {"month", "day", "hour"}
        Periods of the result.
    profiles : Path, optional
        Hours and weekdays, see `obsnet.inventory.prior.profiles`; each region's months take the place of the table's.
    polygons : geopandas.GeoDataFrame, optional
        Of the regions; by default the provinces. A file with shares needs none for its cells.

    Returns
    -------
    data : xarray.Dataset
        Flux contract; ``flux_uncertainty`` has the error of the shape added where the file has one.
    notes : tuple of str

    Raises
    ------
    FormatError
        Not one year, not that year, no such sector.
    """
    from obsnet.cf import flux_dataset
    from obsnet.field import grid_of

    names = [str(s) for s in data["sector"].values]
    if sector is None and len(names) > 1:
        raise FormatError(f"the flux has sectors {', '.join(names)}: say which one is power with --sector")
    chosen = names[0] if sector is None else sector
    if chosen not in names:
        raise FormatError(f"no sector {chosen!r}{nearest(chosen, names)}")
    bounds = data["time_bnds"].values.astype("datetime64[D]")
    if bounds.tolist() != [
        [np.datetime64(f"{shape.year}-01-01").item(), np.datetime64(f"{shape.year + 1}-01-01").item()]
    ]:
        raise FormatError(
            f"the flux is of {bounds[0, 0]} to {bounds[-1, 1]} in {len(bounds)} periods; one of the year "
            f"{shape.year} is needed"
        )
    if not shape.own_year and np.isnan(shape.sd).any():
        raise FormatError(
            f"months of {shape.year} are not all known, and no two earlier years say how far one year's shape misses "
            "another's: give more years of generation"
        )
    grid = grid_of(data)
    times = year_bounds(shape.year, step)
    hours = Profile() if profiles is None else read_profiles(profiles, [chosen])[chosen]
    by_region: Mapping[str, Profile] = {
        r: Profile(tuple(shape.factor[:, j]), hours.weekday, hours.hour)
        for j, r in enumerate(shape.regions) if np.isfinite(shape.factor[:, j]).all()
    }  # fmt: skip
    usual = np.nanmean(shape.factor, axis=1)
    rest = "elsewhere"
    factors = period_factors(
        {**by_region, rest: Profile(tuple(usual), hours.weekday, hours.hour)},
        [*by_region, rest],
        times,
        shape.year,
    )
    parts = _parts(data, chosen, list(by_region), grid, polygons)
    at = names.index(chosen)
    flux = np.repeat(data["flux"].transpose("time", "sector", "lat", "lon").values, len(times), axis=0)
    cell = (factors @ parts).reshape(len(times), *grid.shape)
    flux[:, at] = flux[:, at] * cell
    spread = None
    if "flux_uncertainty" in data:
        spread = np.repeat(
            data["flux_uncertainty"].transpose("time", "sector", "lat", "lon").values, len(times), axis=0
        )
        month = (times[:, 0] + np.timedelta64(8, "h")).astype("datetime64[M]").astype(int) % 12
        of_shape = np.zeros(len(times)) if shape.own_year else shape.sd[month]
        spread[:, at] = np.hypot(spread[:, at] * cell, data["flux"].values[0, at] * of_shape[:, None, None])
    attrs: dict[str, Any] = {k: str(data.attrs[k]) for k in ("title", "summary", "source", "license")}
    made = flux_dataset(
        flux, grid, times, substance=str(data["flux"].attrs["substance"]), sectors=names, uncertainty=spread,
        **{**attrs, "source": f"{attrs['source']}; {chosen} by {step} after generation"},
    )  # fmt: skip
    lacking = [r for r in shape.regions if r not in by_region]
    notes = [f"{', '.join(lacking)}: no months, the mean shape of the others"] if lacking else []
    notes.append(f"{chosen}: every cell keeps the mass of its year; months run in China Standard Time")
    return made, tuple(notes)


def _parts(data: Any, sector: str, regions: list[str], grid: Any, polygons: Any) -> Floats:
    """Return the part of each cell's flux that is each region's, then elsewhere's, (regions + 1, cells)."""
    from obsnet.shares import shares_of
    from obsnet.splitting import flux_shares

    if "share" in data.variables:
        shares = shares_of(data)
    else:
        from obsnet.regions import provinces

        flux = {sector: data["flux"].sel(sector=sector, drop=True)}
        shares = flux_shares(provinces() if polygons is None else polygons, grid, flux)
    labels, fraction = list(shares.labels), shares.part(sector)
    out = np.zeros((len(regions) + 1, grid.size))
    for i, region in enumerate(regions):
        if region in labels:
            out[i] = fraction[[labels.index(region)]].toarray()[0]
    out[-1] = np.maximum(1.0 - out[:-1].sum(axis=0), 0.0)
    return out / out.sum(axis=0)
