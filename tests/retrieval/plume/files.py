"""Made-up scenes as files."""

from __future__ import annotations

import netCDF4
import numpy as np


def write_scene(
    path, scene, *, units="ppm", names=("xco2", "xco2_uncertainty"), pressure=(98000.0, "Pa"), time=True
):
    """Write a scene as a producer might."""
    with netCDF4.Dataset(path, "w") as data:
        for dim, size in zip(("row", "column"), scene.value.shape, strict=True):
            data.createDimension(dim, size)

        def put(name, values, unit=None):
            variable = data.createVariable(name, "f8", ("row", "column"), fill_value=-999.0)
            variable[:] = np.where(np.isfinite(values), values, -999.0)
            if unit is not None:
                variable.units = unit

        put("latitude", scene.latitude, "degrees_north")
        put("longitude", scene.longitude, "degrees_east")
        put(names[0], scene.value, units)
        put(names[1], scene.uncertainty, units)
        put("cloud", np.where(scene.latitude > scene.latitude.mean(), 0.5, 0.0), "1")
        put("surface_pressure", np.full(scene.value.shape, pressure[0]), pressure[1])
        put("column_water", np.full(scene.value.shape, 15.0), "kg m-2")
        if scene.no2 is not None:
            put("no2", scene.no2)
            put("no2_uncertainty", scene.no2_uncertainty)
        if time:
            data.createVariable("time", "f8", ())[...] = 5.0
            data["time"].units = "hours since 2026-05-01"
    return path
