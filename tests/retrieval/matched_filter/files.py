"""Cubes and tables of absorption as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retrieval.matched_filter.bands import Bands
from retrieval.matched_filter.target import ColumnAir, UnitAbsorption, write_unit_absorption
from retrieval.matched_filter.twin import comb

AIR = ColumnAir(42.0, 355000.0, 101325.0, 11.0, 1900.0)


def bands(number=20):
    return Bands(2200.0 + 6.0 * np.arange(number), np.full(number, 7.0))


def target(number=20, gas="CH4", air=AIR):
    return UnitAbsorption(gas, bands(number), comb(number), air)


def write_target(path, number=20, gas="CH4"):
    return write_unit_absorption(target(number, gas), path)


def places(shape):
    """Pixels of 60 m, a little turned against north."""
    row, column = np.mgrid[: shape[0], : shape[1]] * 60.0
    lat = 38.0 - (row + 0.1 * column) / 111195.0
    return lat, 100.0 + (column - 0.1 * row) / (111195.0 * np.cos(np.deg2rad(38.0)))


def write_netcdf_cube(path, radiance, band, time="2026-07-01T05:30:00"):
    """Write the layout of EMIT's L1B: radiance(downtrack, crosstrack, bands), groups for bands and places."""
    import netCDF4

    with netCDF4.Dataset(path, "w") as file:
        if time:
            file.time_coverage_start = time
        dims = ("downtrack", "crosstrack", "bands")
        for name, size in zip(dims, radiance.shape, strict=True):
            file.createDimension(name, size)
        cube = file.createVariable("radiance", "f4", dims, fill_value=-9999.0)
        cube.units = "uW/cm^2/SR/nm"
        cube[:] = np.where(np.isnan(radiance), -9999.0, radiance)
        group = file.createGroup("sensor_band_parameters")
        for name, values in (("wavelengths", band.centre), ("fwhm", band.fwhm)):
            group.createVariable(name, "f4", ("bands",))[:] = values
        group = file.createGroup("location")
        for name, values in zip(("lat", "lon"), places(radiance.shape[:2]), strict=True):
            group.createVariable(name, "f8", dims[:2])[:] = values
    return Path(path)


ORDER = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}


def write_envi(header, values, band=None, interleave="bil", unit="Micrometers", more=()):
    """Write an ENVI image of (row, column, band): a text and bare numbers."""
    header = Path(header)
    rows, columns, count = values.shape
    np.ascontiguousarray(np.transpose(values, ORDER[interleave])).astype("<f4").tofile(
        header.with_suffix(".img")
    )
    kind = ["ENVI", f"samples = {columns}", f"lines = {rows}", f"bands = {count}", "header offset = 0"]
    kind += ["file type = ENVI Standard", "data type = 4", f"interleave = {interleave}", "byte order = 0"]
    if band is not None:
        scale = 1e-3 if unit == "Micrometers" else 1.0
        kind += [f"wavelength units = {unit}"]
        for name, numbers in (("wavelength", band.centre), ("fwhm", band.fwhm)):
            kind.append(f"{name} = {{" + ", ".join(f"{scale * v:.7g}" for v in numbers) + "}")
    header.write_text("\n".join([*kind, *more]) + "\n")
    return header
