"""Maps: shapes of one's own, missing values, colours for everybody."""

import numpy as np
import pandas as pd

from obsnet.drawing.figures import figure_png
from obsnet.drawing.maps import VERDICT_COLOURS, grid_map, map_axes, region_map
from tests.obsnet.report.synthetic import GRID


def test_text_on_the_colours_of_verdicts_is_readable():
    """Black on each, 4.5 to 1 at least (WCAG AA)."""

    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    assert min((light(c) + 0.05) / 0.05 for c in VERDICT_COLOURS.values()) > 4.5


def test_regions_of_ones_own_are_drawn_where_they_are():
    """From the shares of cells in the posterior file; provinces keep their borders."""
    import xarray as xr

    from obsnet.drawing.shapes import shapes_of
    from obsnet.grid import Grid

    grid = Grid.regular(45, 55, 0, 10, 5, 5)
    data = xr.Dataset(
        {
            "share": ("entry", [1.0, 0.4, 0.6, 1.0]),
            "share_region": ("entry", [0, 0, 1, 1]),
            "share_cell": ("entry", [0, 1, 1, 3]),
            "lat_bnds": (("lat", "nv"), np.column_stack([grid.lat_edges[:-1], grid.lat_edges[1:]])),
            "lon_bnds": (("lon", "nv"), np.column_stack([grid.lon_edges[:-1], grid.lon_edges[1:]])),
        },
        coords={"lat": grid.lat, "lon": grid.lon, "region": ["A", "B"]},
    )
    table = pd.DataFrame({"region": ["A", "B", "A+B"], "kind": ["region", "region", "joint"]})
    shapes = shapes_of(data, table)
    assert shapes.geometry["A"].bounds == (0, 45, 5, 50)
    assert shapes.geometry["B"].bounds == (5, 45, 10, 55)
    assert shapes_of(data, table.assign(region="110000", kind="region")) is None
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(3, 3))
    axes = map_axes(figure, grid=grid, shapes=shapes)
    region_map(axes, {"A": "red"})
    west, east, south, north = axes.get_extent()
    assert axes.south_china_sea is None
    assert east - west > 0
    assert north - south > 0
    plt.close(figure)


def test_colours_are_told_apart_without_red_and_green():
    def luminance(colour):
        r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    values = sorted(luminance(c) for c in VERDICT_COLOURS.values())
    assert len(set(VERDICT_COLOURS.values())) == 4
    assert min(np.diff(values)) > 5


def test_map_with_missing_values():
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(3, 3))
    axes = map_axes(figure)
    values = np.full(GRID.shape, np.nan)
    grid_map(axes, GRID, values, label="nothing")
    region_map(axes, {"110000": "red", "999999": "blue"})
    assert figure_png(figure, dpi=40).startswith(b"\x89PNG")
