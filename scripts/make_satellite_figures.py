"""Draw the pictures of docs/satellite.md from the sample granules.

    python scripts/make_satellite_figures.py [--data DIR] [--out docs]

DIR holds ``satellite/tropomi_blended``; by default ../shared/data, or the path in OBSNET_SAMPLE_DATA. What is
made on the way goes to a temporary folder and is thrown away.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np

from obsnet.work.work import Work

mpl.use("Agg")
import matplotlib.pyplot as plt

from obsnet.atomic import atomic_path
from obsnet.grid import Grid
from obsnet.store import ObservationStore
from retrieval.ingest.options import IngestOptions
from retrieval.ingest.run import ingest
from retrieval.mapping.figures import draw_field
from retrieval.mapping.maps import make_map
from retrieval.mapping.settings import MapSettings
from retrieval.superobs.options import Selection, Superobs
from retrieval.superobs.store import combine_store

SOURCE = "s5p_ch4_blended_v20400"
DAY = ("2018-05-02", "2018-05-03")
UNIT = "XCH4 (ppb)"


def save(figure, path):
    """Write a picture whole."""
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=80)
    plt.close(figure)
    with atomic_path(path) as temporary:
        # colours of few pixels, as those of a legend, must stay apart
        few = Image.open(buffer).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
        few.save(temporary, optimize=True)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def superobs_figure(store, made, path):
    """Pixels of one orbit beside their super-observations, value and uncertainty."""
    import cartopy.crs as ccrs
    from matplotlib.collections import PolyCollection

    from obsnet.schema import profile_array

    box = (36.0, 48.0, 73.0, 95.0)
    south, north, west, east = box
    soundings = store.read("CH4", source=SOURCE, start=DAY[0], stop=DAY[1], bounds=box, good_only=True)
    means = made.read("CH4", start=DAY[0], stop=DAY[1], bounds=box)
    limits = tuple(np.percentile(soundings["value"].to_numpy(), (2, 98)))
    panels = (
        (soundings, "value", f"{len(soundings)} pixels", "viridis", limits),
        (means, "value", f"{len(means)} super-observations, 0.5°", "viridis", limits),
        (means, "uncertainty", "their uncertainty", "magma_r", (10, 40)),
    )
    figure = plt.figure(figsize=(11, 3.1), layout="compressed")
    for k, (table, column, title, cmap, span) in enumerate(panels):
        axes = figure.add_subplot(1, 3, k + 1, projection=ccrs.PlateCarree())
        corners = np.stack([profile_array(table[f"corner_{c}"]) for c in ("longitude", "latitude")], axis=-1)
        patches = PolyCollection(
            corners, array=table[column].to_numpy(), cmap=cmap, linewidths=0, rasterized=True
        )
        patches.set_clim(*span)
        axes.add_collection(patches)
        axes.set_extent((west, east, south, north), ccrs.PlateCarree())
        draw_borders(axes)
        axes.set_title(title, fontsize=10)
        figure.colorbar(
            patches, ax=axes, orientation="horizontal", shrink=0.85, pad=0.03, label=UNIT, extend="both"
        )
    save(figure, path)


def draw_borders(axes):
    """Draw the provinces' borders."""
    import cartopy.crs as ccrs

    from obsnet.regions import provinces

    axes.add_geometries(
        provinces().geometry.simplify(0.03),
        ccrs.PlateCarree(),
        facecolor="none",
        edgecolor="0.3",
        linewidth=0.5,
        zorder=4,
    )


def maps_figure(made, path):
    """One day mapped three ways, value above and standard error below; return the held-out scores."""
    grid = Grid.regular(18, 54, 73, 135, 0.5, 0.5)
    figure = plt.figure(figsize=(12, 7.4), layout="compressed")
    scores = {}
    for k, (method, title) in enumerate(
        (("bin", "means"), ("kriging", "local kriging"), ("frk", "fixed-rank kriging"))
    ):
        result = make_map(
            made, MapSettings(species="CH4", grid=grid, start=DAY[0], stop=DAY[1], method=method, r=0.55)
        )
        scores[method] = result.report
        value, error = (result.data[n].values[0] for n in ("xch4", "xch4_uncertainty"))
        draw_field(figure, 231 + k, grid, value, title=title, label=UNIT, limits=(1780, 1880))
        draw_field(
            figure,
            234 + k,
            grid,
            error,
            title="standard error",
            label="(ppb)",
            cmap="magma_r",
            limits=(0, 20),
        )
    save(figure, path)
    return scores


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = os.environ.get("OBSNET_SAMPLE_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / "docs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store, made = ObservationStore(Path(folder) / "store"), ObservationStore(Path(folder) / "superobs")
        granules = sorted((options.data / "satellite" / "tropomi_blended").glob("*.nc"))
        ingest(granules, store.path, IngestOptions(), work=Work(scheduler="serial"))
        # a map has no transport model, so its observations carry no transport error
        settings = Superobs(method="area", grid="18,54,73,135,0.5", errors="chen2023_ch4", transport=0.0)
        summary = combine_store(store.path, made.path, Selection(species="CH4", sources=[SOURCE]), settings)
        print(json.dumps(summary.by_source(), indent=1))
        superobs_figure(store, made, options.out / "satellite_superobs.png")
        scores = maps_figure(made, options.out / "satellite_maps.png")
        print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
