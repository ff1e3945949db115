"""Small GRIB files as forecast centres write them, for the tests of obsnet.met. Needs ecCodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pyproj import CRS

from obsnet.constants import GRAVITY, R_DRY_AIR
from tests.obsnet.met.worlds import ISOTHERMAL, LEVELS

CRS.from_epsg(4326)  # before ecCodes is loaded, which brings another PROJ
LAT = np.arange(30.0, 20.0, -1.0)
LON = np.arange(100.0, 112.0)


def fields(*, gfs: bool):
    """Yield shortName, typeOfLevel, level, values of the world that `worlds.era5` writes as netCDF."""
    flat = (LAT.size, LON.size)
    height = R_DRY_AIR * ISOTHERMAL / GRAVITY * np.log(101325.0 / (100.0 * LEVELS))
    column = {"u": 10.0, "v": -5.0, "w": 0.0, "t": ISOTHERMAL, "r" if gfs else "q": 0.0}
    for level, z in zip(LEVELS, height, strict=True):
        for name, value in {**column, "gh" if gfs else "z": z if gfs else GRAVITY * z}.items():
            yield name, "isobaricInhPa", int(level), np.full(flat, value)
    surface = {"sp": 101325.0, "blh": 800.0, "ishf": 120.0 if gfs else -120.0}
    if gfs:
        surface |= {"orog": 0.0}
    else:
        surface |= {"zust": 0.3}
    for name, value in surface.items():
        yield name, "surface", 0, np.full(flat, value)
    for name, level, value in (("2t", 2, ISOTHERMAL), ("10u", 10, 4.0), ("10v", 10, 0.0)):
        yield name, "heightAboveGround", level, np.full(flat, value)


def _set(codes, handle, keys, values, stream):
    for key, value in keys.items():
        codes.codes_set(handle, key, value)
    codes.codes_set_values(handle, values.ravel())
    codes.codes_write(handle, stream)
    codes.codes_release(handle)


def _grid():
    return {
        "Ni": LON.size, "Nj": LAT.size, "iDirectionIncrementInDegrees": 1, "jDirectionIncrementInDegrees": 1,
        "latitudeOfFirstGridPointInDegrees": LAT[0], "latitudeOfLastGridPointInDegrees": LAT[-1],
        "longitudeOfFirstGridPointInDegrees": LON[0], "longitudeOfLastGridPointInDegrees": LON[-1], "bitsPerValue": 24,
    }  # fmt: skip


def write_fluxes(path: Path, first: int, last: int, *, kind: str, edition: int, heat, stress) -> Path:
    """Write ECMWF's fields at hour `last` with heat and stress of the hours first to last as one sum or one mean."""
    import eccodes as codes

    write(path, last, gfs=False, edition=edition, leave_out=lambda name, _level: name in {"ishf", "zust"})
    hours = last - first
    scale = 3600.0 if kind == "sum" else 1.0 / hours
    with path.open("ab") as stream:
        for name, short, rates in (
            ("sshf", "avg_ishf", -heat),
            ("ewss", "avg_iews", stress),
            ("nsss", "avg_inss", 0 * stress),
        ):
            handle = codes.codes_grib_new_from_samples(f"regular_ll_sfc_grib{edition}")
            keys = {**_grid(), "centre": "ecmf", "dataDate": 20200601, "dataTime": 0}
            if edition == 2:
                keys |= {
                    "productDefinitionTemplateNumber": 8,
                    "typeOfStatisticalProcessing": int(kind == "sum"),
                }
                keys |= {"shortName": name if kind == "sum" else short}
            else:
                keys |= {"shortName": name, "timeRangeIndicator": 4}
            keys |= {"stepRange": f"{first}-{last}"}
            _set(codes, handle, keys, np.full((LAT.size, LON.size), scale * rates.sum()), stream)
    return path


def write(
    path: Path,
    hour: int,
    *,
    gfs: bool,
    edition: int = 2,
    mean=False,
    leave_out=lambda _name, _level: False,
    centre=None,
    rename=None,
) -> Path:
    """Write one time; GFS in GRIB 2 with relative humidity and heights, ECMWF with geopotential.

    With `mean` the heat flux is that of the hour before, as GFS has it. `rename` gives other short names.
    """
    import eccodes as codes

    with path.open("wb") as stream:
        for name, kind, level, values in fields(gfs=gfs):
            if leave_out(name, level):
                continue
            handle = codes.codes_grib_new_from_samples(f"regular_ll_pl_grib{edition}")
            keys = {
                "centre": centre or ("kwbc" if gfs else "ecmf"), "dataDate": 20200601, "dataTime": 100 * hour,
                "Ni": LON.size, "Nj": LAT.size, "iDirectionIncrementInDegrees": 1, "jDirectionIncrementInDegrees": 1,
                "latitudeOfFirstGridPointInDegrees": LAT[0], "latitudeOfLastGridPointInDegrees": LAT[-1],
                "longitudeOfFirstGridPointInDegrees": LON[0], "longitudeOfLastGridPointInDegrees": LON[-1],
                "shortName": (rename or {}).get(name, name), "typeOfLevel": kind, "level": level, "bitsPerValue": 24,
            }  # fmt: skip
            if mean and name == "ishf":
                del keys["shortName"], keys["typeOfLevel"], keys["level"]
                keys |= {
                    "dataTime": 100 * (hour - 1), "productDefinitionTemplateNumber": 8,
                    "typeOfStatisticalProcessing": 0, "discipline": 0, "parameterCategory": 0, "parameterNumber": 11,
                    "typeOfLevel": "surface", "indicatorOfUnitForTimeRange": 1, "stepRange": "0-1",
                }  # fmt: skip
            for key, value in keys.items():
                codes.codes_set(handle, key, value)
            codes.codes_set_values(handle, values.ravel())
            codes.codes_write(handle, stream)
            codes.codes_release(handle)
    return path
