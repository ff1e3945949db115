"""Files of others' posteriors as their layouts have them, small."""

import numpy as np
import pandas as pd
import xarray as xr

MONTHS = pd.date_range("2023-01-01", periods=12, freq="MS")
MIDDLE = (MONTHS + (MONTHS + pd.offsets.MonthBegin(1) - MONTHS) / 2).to_numpy()


def country_file(
    path, total, sd=None, covariance=None, *, regions=("DEU", "FRA"), unit=("units", "kg a-1"), new=False,
    as_bytes=False, long_name="country-total posterior ch4 fluxes", levels=(0.159, 0.841), times=MIDDLE, **attrs,
):  # fmt: skip
    """Write a table of countries; total and sd in Tg a year, shape (time, region)."""
    total = np.asarray(total, float) * 1e9
    dim = "country" if new else "countrynumber"
    name = "flux_total_posterior_country" if new else "country_flux_total_posterior"
    says = {"long_name": long_name, **({unit[0]: unit[1]} if unit else {})}
    data = xr.Dataset({name: (("time", dim), total, says)}, {"time": times})
    data["time"].encoding = {"units": "hours since 1970-01-01"}
    data["country"] = (dim, np.array(regions, "S71" if as_bytes else "U71").astype("S" if as_bytes else "U"))
    if sd is not None and levels is None:
        data["stdev_" + name] = (("time", dim), np.asarray(sd) * 1e9)
    elif sd is not None:
        from scipy.stats import norm

        width = norm.ppf(levels)[None, :, None] * np.asarray(sd, float)[:, None, :] * 1e9
        data["percentile_" + name] = (("time", "percentile", dim), total[:, None, :] + width)
        data = data.assign_coords(percentile=list(levels))
    if covariance is not None:
        data["covariance_" + name] = (("time", dim, "other"), np.asarray(covariance, float) * 1e18)
    data.assign_attrs(attrs).to_netcdf(path)
    return path


def flux_file(
    path,
    flux,
    lat,
    lon,
    times=MIDDLE,
    *,
    name="flux",
    units="mol m-2 s-1",
    dims=("time", "lat", "lon"),
    **more,
):
    """Write a gridded flux."""
    coords = {"time": times, "lat": lat, "lon": lon}
    data = xr.Dataset({name: (dims, flux, {"units": units})}, {k: v for k, v in coords.items() if k in dims})
    for other, (values, other_dims) in more.items():
        data[other] = (other_dims, values, {"units": units})
    data.to_netcdf(path)
    return path
