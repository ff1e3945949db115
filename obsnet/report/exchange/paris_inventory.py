"""The tested inventory as an inventory file of the PARIS-AVENGERS-EYECLIMA template, for fluxie to plot.

The template is ``PAR-AVE-EYE_inventory.cdl``. The inventory stands under the sector of the inversion that it was tested
against, never under ``total`` where that is the sum of several: a fossil inventory is none of a net flux.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.atomic import atomic_path
from obsnet.inventory.period import printed_period
from obsnet.inventory.words import NATION
from obsnet.regions import PROVINCES
from obsnet.report.exchange.paris import TIME_UNITS, sector_names
from obsnet.seal import seal_file

__all__ = ["inventory_name", "write_paris_inventory"]


def inventory_name(table: Any) -> str:
    """Return the name by which fluxie finds it below ``inventory/``: ``obsnet_inventory_co2_2019.nc``."""
    first = table.iloc[0]
    start = printed_period(str(first["inventory_period"])).start
    return f"obsnet_inventory_{str(first['gas']).lower()}_{str(start)[:4]}.nc"


def write_paris_inventory(table: Any, sectors: list[str], path: Path) -> Path:
    """Write the inventory that was tested; whole or not at all.

    Parameters
    ----------
    table : pandas.DataFrame
        Of verdicts: its regions, and the sum of all provinces as CHN where it is there.
    sectors : list of str
        Of the posterior.
    path : Path
        netCDF.
    """
    import xarray as xr

    first = table.iloc[0]
    nation = table["members"].map(lambda m: set(str(m).split()) == set(PROVINCES))
    rows = table[(table["kind"] == "region") | nation]
    keys = rows["region"].where(rows["kind"] == "region", NATION)
    period = printed_period(str(first["inventory_period"]))
    middle = np.array([period.start + (period.stop - period.start) // 2], dtype="datetime64[us]")
    names = {ours: name for name, (ours, *more) in sector_names(sectors).items() if not more}
    name = names[str(first["sector"])] if len(sectors) > 1 else "total"
    what = f"{first['gas']} {first['category']} {first['terminology']} of {first['inventory_source']}".strip()
    base = f"flux_{name}_inventory_country"
    made = xr.Dataset(
        {
            base: (("time", "country"), 1e9 * rows[["inventory"]].to_numpy(float).T, {"long_name": what}),
            f"stdev_{base}": (
                ("time", "country"),
                1e9 * rows[["inventory_sd"]].to_numpy(float).T,
                {"long_name": f"standard deviation of {what}"},
            ),
        },
        coords={
            "time": (
                "time",
                middle,
                {"standard_name": "time", "long_name": "Mid of flux interval in UTC", "axis": "T"},
            ),
            "country": ("country", keys.to_numpy(object), {"long_name": "region"}),
        },
        attrs={
            "missing_data": json.dumps([str(k) for k in keys[rows["inventory"].isna()]]),
            "creation_date": datetime.now(UTC).strftime("%Y-%m-%d"),
            "comment": f"held against the sector {first['sector']} of an inversion",
        },
    )
    for variable in made.data_vars.values():
        variable.attrs["units"] = "kg/yr"
    encoding: dict[Any, dict[str, Any]] = {n: {"_FillValue": np.nan} for n in made.data_vars}
    encoding["time"] = {
        "units": TIME_UNITS,
        "calendar": "proleptic_gregorian",
        "dtype": "float64",
        "_FillValue": None,
    }
    with atomic_path(path) as temporary:
        made.to_netcdf(temporary, engine="netcdf4", format="NETCDF4", encoding=encoding)
        seal_file(temporary)
    return path
