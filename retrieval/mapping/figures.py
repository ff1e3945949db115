"""Pictures of maps, drawn from installed files only: cartopy never goes to a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from obsnet.atomic import atomic_path
from obsnet.constants import species as species_of
from obsnet.drawing.fonts import drawn_in
from obsnet.grid import Grid
from obsnet.language import Language, Words
from retrieval.mapping.dataset import periods_without_columns, stamp_of, variable_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["draw_field", "map_figure", "write_pictures"]

_ERROR = Words("standard error", "标准误差")
_ERROR_OF = Words("standard error of {what} ({unit})", "{what} 标准误差（{unit}）")


def _axes(figure: Any, position: Any, grid: Grid) -> Any:
    """Return map axes that suit a grid: China in equal areas, all else by longitude and latitude."""
    import cartopy.crs as ccrs

    from obsnet.drawing.maps import in_china, map_axes

    if in_china(grid):
        return map_axes(figure, position)
    south, north, _, _ = grid.bounds
    from frykit.shp import get_land

    centre = 0.5 * float(grid.lon_edges[0] + grid.lon_edges[-1])
    axes = figure.add_subplot(position, projection=ccrs.PlateCarree(centre))
    axes.add_geometries(
        [get_land()], ccrs.PlateCarree(), facecolor="none", edgecolor="0.35", linewidth=0.4, zorder=4
    )
    half = 0.5 * float(grid.lon_edges[-1] - grid.lon_edges[0])
    axes.set_xlim(-half, half)
    axes.set_ylim(south, north)
    return axes


def draw_field(
    figure: Any,
    position: Any,
    grid: Grid,
    field: npt.ArrayLike,
    *,
    title: str,
    label: str,
    cmap: str = "viridis",
    limits: tuple[float, float] | None = None,
) -> Any:
    """Draw a field (lat, lon) on a map with a colour bar below; NaN is left white.

    Parameters
    ----------
    figure, position
        See `matplotlib.figure.Figure.add_subplot`.
    grid : Grid
        Cells.
    field : array_like, shape (lat, lon)
        Values.
    title, label : str
        Of the map and of the colour bar, with the unit.
    cmap : str
        A matplotlib colour map.
    limits : (low, high), optional
        By default the 2nd and 98th percentile.

    Returns
    -------
    cartopy.mpl.geoaxes.GeoAxes
    """
    import cartopy.crs as ccrs

    axes = _axes(figure, position, grid)
    values = np.ma.masked_invalid(np.asarray(field, dtype=np.float64))
    if limits is None:
        limits = tuple(np.percentile(values.compressed(), (2, 98))) if values.count() else (0.0, 1.0)
    for place in filter(None, (axes, getattr(axes, "south_china_sea", None))):
        mesh = place.pcolormesh(
            grid.lon_edges,
            grid.lat_edges,
            values,
            transform=ccrs.PlateCarree(),
            cmap=cmap,
            vmin=limits[0],
            vmax=limits[1],
            zorder=1,
            rasterized=True,
        )
    figure.colorbar(mesh, ax=axes, orientation="horizontal", shrink=0.8, pad=0.04, label=label, extend="both")
    axes.set_title(title, fontsize=10)
    return axes


def map_figure(
    grid: Grid,
    value: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    species: str,
    *,
    title: str,
    language: Language = "en",
) -> Any:
    """Return a figure of a mapped column beside its standard error.

    Parameters
    ----------
    grid : Grid
        Cells.
    value, uncertainty : array_like, shape (lat, lon)
        In the species' customary unit.
    species : str
        Formula.
    title : str
        Above the value.
    language : {"en", "zh"}
        Of the labels.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    entry = species_of(species)
    language = drawn_in(language)
    error = _ERROR.said(language)
    figure = plt.figure(figsize=(10, 4.6), layout="constrained")
    draw_field(figure, 121, grid, value, title=title, label=f"X{entry.name} ({entry.unit_name})")
    draw_field(
        figure,
        122,
        grid,
        uncertainty,
        title=error,
        label=_ERROR_OF.said(language).format(what=f"X{entry.name}", unit=entry.unit_name),
        cmap="magma_r",
    )
    return figure


def write_pictures(
    data: xr.Dataset,
    grid: Grid,
    species: str,
    folder: str | Path,
    *,
    dpi: int = 90,
    language: Language = "en",
) -> list[Path]:
    """Write a PNG of each period of a map.

    Parameters
    ----------
    data : xarray.Dataset
        See `column_map`.
    grid : Grid
        Its cells.
    species : str
        Formula.
    folder : path
        Files are named ``<variable>_<start>.png``.
    dpi : int
        Dots an inch.
    language : {"en", "zh"}
        Of the labels.

    Returns
    -------
    list of Path
        Periods without any value, or without a column of their own, are left out.
    """
    import matplotlib.pyplot as plt

    names = variable_of(species), variable_of(species, "uncertainty")
    borrowed = periods_without_columns(data, species)
    written = []
    for k, start in enumerate(data["time_bnds"].values[:, 0]):
        value, uncertainty = (data[n].values[k] for n in names)
        stamp = stamp_of(start)
        if not np.isfinite(value).any() or stamp in borrowed:
            continue
        title = f"{data.attrs['source']}, {stamp}"
        figure = map_figure(grid, value, uncertainty, species, title=title, language=language)
        path = Path(folder) / f"{names[0]}_{stamp}.png"
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=dpi)
        plt.close(figure)
        written.append(path)
    return written
