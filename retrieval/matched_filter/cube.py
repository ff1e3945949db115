"""Cubes of radiances: netCDF in the layout of EMIT's L1B, and ENVI images; read by detector columns, never whole.

Both have been tried on made-up files only.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from obsnet.errors import FormatError, MissingVariableError, ObsnetError, SchemaError, nearest
from obsnet.opening import open_netcdf4
from obsnet.reading import reading, refuse_claim, refuse_claims
from obsnet.typing import Floats, Ints, Singles
from obsnet.work.isolated import apart
from retrieval.matched_filter.bands import Bands, read_bands

__all__ = ["Cube", "open_cube", "read_columns", "read_places"]

_IMAGES = ("", ".img", ".bin", ".dat", ".raw", ".bil", ".bip", ".bsq")
_CACHE = 16  # MB
_MICRO = {"micrometers", "micrometer", "micrometres", "microns", "um", "µm"}
_NANO = {"nanometers", "nanometer", "nanometres", "nm"}
_PLACES = {"latitude": ("lat", "latitude"), "longitude": ("lon", "longitude")}


@dataclass(frozen=True, eq=False)
class Cube:
    """What a file of radiances says of itself.

    Parameters
    ----------
    path : Path
        As the user gave it.
    rows, columns : int
        Along and across the track.
    bands : Bands
        All of them.
    band_index : ndarray of int, shape (bands,)
        Where a band lies in the file, which may have them in another order.
    time : str, optional
        Of the overpass, as the file says it.
    variable : str
        Of a netCDF file; empty for ENVI.
    axes : tuple of int
        Which axes of the variable are rows, columns and bands.
    notes : tuple of str
        What a user should know.
    """

    path: Path
    rows: int
    columns: int
    bands: Bands
    band_index: Ints
    time: str | None = None
    variable: str = ""
    axes: tuple[int, int, int] = (0, 1, 2)
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """In names of files."""
        return self.path.stem


def open_cube(path: str | Path, bands: str | Path | None = None, variable: str = "radiance") -> Cube:
    """Look into a file of radiances.

    Parameters
    ----------
    path : path
        An ENVI header (``.hdr``), else netCDF with a variable on three dimensions and, in any group,
        ``wavelengths`` and ``fwhm``.
    bands : path, optional
        Table of bands where the file has none; see `retrieval.matched_filter.bands.read_bands`.
    variable : str
        Of a netCDF file.

    Raises
    ------
    FormatError
        No such file, no image, no wavelengths, fewer bytes than it claims.
    """
    known = None if bands is None else read_bands(bands)
    return apart(_look, Path(path), known, variable)


def read_columns(cube: Cube, first: int, last: int, which: Ints) -> Singles:
    """Return radiances of some detector columns; NaN where the file has none.

    Parameters
    ----------
    cube : Cube
        Opened by `open_cube`.
    first, last : int
        Columns from and up to, without the last.
    which : ndarray of int, shape (k,)
        Bands, as numbers of `cube.bands`.

    Returns
    -------
    ndarray of float32, shape (rows, last - first, k)
    """
    there = cube.band_index[which]
    with reading(cube.path, "radiances"):
        if cube.variable:
            with open_netcdf4(cube.path) as file:
                lowest, highest = int(there.min()), int(there.max()) + 1
                part: list[slice] = [slice(None)] * 3
                part[cube.axes[1]], part[cube.axes[2]] = slice(first, last), slice(lowest, highest)
                raw = np.ma.filled(np.ma.asarray(file[cube.variable][tuple(part)], dtype=np.float32), np.nan)
            return np.ascontiguousarray(np.transpose(raw, cube.axes)[..., there - lowest])
        with _envi(cube.path) as image:
            from rasterio.windows import Window

            window = Window(first, 0, last - first, cube.rows)
            raw = image.read([int(b) + 1 for b in there], window=window, out_dtype=np.float32)
            ignored = image.nodata
        if ignored is not None:
            raw[raw == np.float32(ignored)] = np.nan
        return np.ascontiguousarray(np.moveaxis(raw, 0, -1))


def read_places(cube: Cube, location: str | Path | None = None) -> tuple[Floats, Floats] | None:
    """Return latitudes and longitudes of the pixels, degrees, where the cube or an image beside it has them.

    Parameters
    ----------
    cube : Cube
        Opened by `open_cube`.
    location : path, optional
        ENVI header of an image of the same size with longitude and latitude as its first two bands.

    Raises
    ------
    SchemaError
        An image of another size.
    """
    found = apart(_places, cube, None if location is None else Path(location))
    if found is not None:
        for values, name, limit in zip(found, ("latitude", "longitude"), (90.0, 360.0), strict=True):
            if values.shape != (cube.rows, cube.columns):
                raise SchemaError(
                    f"{location or cube.path}: {name} of {values.shape} pixels, the cube has {cube.rows} x "
                    f"{cube.columns}"
                )
            if not (np.abs(values[np.isfinite(values)]) <= limit).all():
                raise FormatError(
                    f"{location or cube.path}: {name} reaches {np.nanmax(np.abs(values)):g}; the first band is "
                    "longitude, the second latitude, in degrees"
                )
    return found


def _look(path: Path, bands: Bands | None, variable: str) -> Cube:
    if not path.exists():
        raise FormatError(f"{path}: no such file")
    with reading(path, "a cube of radiances"):
        return (
            _look_envi(path, bands) if path.suffix.lower() == ".hdr" else _look_netcdf(path, bands, variable)
        )


def _look_netcdf(path: Path, bands: Bands | None, variable: str) -> Cube:
    with open_netcdf4(path) as file:
        every = dict(_variables(file))
        refuse_claims(path, every)
        if variable not in every:
            raise MissingVariableError(
                f"{path}: no variable {variable!r}{nearest(variable, every)}; say which are the radiances (--radiance)"
            )
        cube = every[variable]
        if cube.ndim != 3:
            raise FormatError(
                f"{path}: {variable} is on {cube.ndim} dimensions; rows, columns and bands are wanted"
            )
        found = {n.rpartition("/")[2]: v for n, v in every.items()}
        axis = 2
        if "wavelengths" in found and found["wavelengths"].dimensions[0] in cube.dimensions:
            axis = cube.dimensions.index(found["wavelengths"].dimensions[0])
        if bands is None:
            if not {"wavelengths", "fwhm"} <= set(found):
                raise MissingVariableError(
                    f"{path}: no wavelengths and fwhm; give them as a table (--bands); there is: "
                    f"{', '.join(sorted(every)[:15])}"
                )
            centre, fwhm = (
                np.ma.filled(found[n][...].astype(np.float64), np.nan) for n in ("wavelengths", "fwhm")
            )
        else:
            centre, fwhm = bands.centre, bands.fwhm
        rows, columns = (n for n in range(3) if n != axis)
        time = getattr(file, "time_coverage_start", None)
        size = cube.shape
    order, table = _sorted(path, centre, fwhm, size[axis])
    return Cube(
        path,
        size[rows],
        size[columns],
        table,
        order,
        None if time is None else str(time),
        variable,
        (rows, columns, axis),
    )


def _look_envi(path: Path, bands: Bands | None) -> Cube:
    with _envi(path) as image:
        head = {k.lower().replace(" ", "_"): v for k, v in image.tags(ns="ENVI").items()}
        rows, columns, count = image.height, image.width, image.count
        kind = np.dtype(image.dtypes[0])
        if kind.kind not in "fiu":
            raise FormatError(f"{path}: values of type {kind}; radiances are real numbers")
        claimed = int(head.get("header_offset", 0)) + rows * columns * count * kind.itemsize
        held = Path(image.name).stat().st_size
        if held < claimed:
            raise FormatError(
                f"{image.name}: {held:,} bytes, its header claims {claimed:,}; is it whole, and is the header its own?"
            )
        refuse_claim(path, "a column", rows * count * kind.itemsize, held)
        placed = image.crs is not None
    notes = ("map-projected: its columns are not those of detectors, and mix their errors",) if placed else ()
    if bands is None:
        missing = [n for n in ("wavelength", "fwhm", "wavelength_units") if n not in head]
        if missing:
            raise FormatError(
                f"{path}: the header has no {', '.join(missing)}; give a table of bands (--bands)"
            )
        unit = head["wavelength_units"].strip().lower()
        if unit not in _MICRO | _NANO:
            raise FormatError(f"{path}: wavelength units {unit!r}; nanometers or micrometers are known")
        scale = 1000.0 if unit in _MICRO else 1.0
        centre, fwhm = (scale * _listed(path, n, head[n]) for n in ("wavelength", "fwhm"))
    else:
        centre, fwhm = bands.centre, bands.fwhm
    order, table = _sorted(path, centre, fwhm, count)
    return Cube(path, rows, columns, table, order, head.get("acquisition_time"), notes=notes)


def _sorted(path: Path, centre: Floats, fwhm: Floats, count: int) -> tuple[Ints, Bands]:
    if not len(centre) == len(fwhm) == count:
        raise FormatError(f"{path}: {len(centre)} wavelengths and {len(fwhm)} widths for {count} bands")
    order = np.argsort(centre, kind="stable")
    try:
        return order, Bands(centre[order], fwhm[order])
    except ObsnetError as error:
        raise FormatError(f"{path}: {error}") from None


def _listed(path: Path, name: str, text: str) -> Floats:
    try:
        return np.array([float(word) for word in text.strip("{} \n").split(",")])
    except ValueError as error:
        raise FormatError(f"{path}: {name} of the header is no list of numbers ({error})") from None


def _places(cube: Cube, location: Path | None) -> tuple[Floats, Floats] | None:
    if location is not None:
        with reading(location, "an image of places"), _envi(location) as image:
            if image.count < 2:
                raise FormatError(f"{location}: {image.count} band; longitude and latitude are wanted")
            longitude, latitude = (image.read(b, out_dtype=np.float64) for b in (1, 2))
        return latitude, longitude
    with reading(cube.path, "places"):
        if cube.variable:
            with open_netcdf4(cube.path) as file:
                every = {n.rpartition("/")[2].lower(): v for n, v in _variables(file)}
                found = [next((every[n] for n in names if n in every), None) for names in _PLACES.values()]
                if any(v is None or v.ndim != 2 for v in found):
                    return None
                both = [
                    np.ma.filled(np.ma.asarray(v[...], dtype=np.float64), np.nan)
                    for v in found
                    if v is not None
                ]
                return both[0], both[1]
        with _envi(cube.path) as image:
            if image.crs is None:
                return None
            from rasterio.warp import transform

            row, column = np.mgrid[: cube.rows, : cube.columns] + 0.5
            x, y = image.transform @ (column.ravel(), row.ravel())
            lon, lat = transform(image.crs, "EPSG:4326", x, y)
        return np.reshape(lat, row.shape), np.reshape(lon, row.shape)


def _variables(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, variable in group.variables.items():
        yield before + name, variable
    for name, inner in group.groups.items():
        yield from _variables(inner, f"{before}{name}/")


@contextlib.contextmanager
def _envi(header: Path) -> Iterator[Any]:
    """Open the image that stands beside a header, by the driver for ENVI and no other."""
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    base = header.with_suffix("")
    images = [p for s in _IMAGES if (p := base.with_name(base.name + s)).is_file()]
    if len(images) != 1:
        there = ", ".join(p.name for p in images) or "none"
        raise FormatError(
            f"{header}: one image of the same name is wanted beside it (without suffix or {', '.join(_IMAGES[1:])}), "
            f"found {there}"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        # what was read once is not read again: GDAL would keep a twentieth of the machine's memory full of it
        with rasterio.Env(GDAL_CACHEMAX=_CACHE), rasterio.open(images[0], driver="ENVI") as image:
            yield image
