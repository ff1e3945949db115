"""Draw the pictures of docs/plumes.md from a made-up scene.

    python scripts/make_plume_figures.py [--out docs]

The scene is drawn from `WORLD`, the cube of radiances from `CUBE`, with fixed seeds.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from obsnet.atomic import atomic_path
from retrieval.matched_filter.bands import Bands
from retrieval.matched_filter.block import FilteredBlock, filter_block
from retrieval.matched_filter.figures import filtered_figure
from retrieval.matched_filter.options import FilterSettings
from retrieval.matched_filter.target import ColumnAir, UnitAbsorption
from retrieval.matched_filter.twin import CubeWorld, comb, make_cube
from retrieval.plume.figures import plume_figure, scene_figure
from retrieval.plume.images.detect import detect
from retrieval.plume.options import DetectSettings, RateSettings
from retrieval.plume.rates.estimate import source_rates
from retrieval.plume.twin import PlumeWorld, make_twin

SEED = 6
WORLD = PlumeWorld(rate=1500.0, wind=5.0, direction=70.0, clouds=0.08, noise=0.6)


CUBE = CubeWorld(rows=300, columns=120, strength=4000.0, share=0.03, dark=0.05)


def filtered():
    """Filter a made-up cube of made-up absorption, column by column."""
    bands = Bands(2200.0 + 6.0 * np.arange(40), np.full(40, 7.0))
    target = UnitAbsorption("CH4", bands, comb(40), ColumnAir(42.0, 355000.0, 101325.0, 11.0, 1900.0))
    cube = make_cube(CUBE, target.value, SEED)
    whole = FilteredBlock.empty(CUBE.rows, CUBE.columns)
    for c in range(CUBE.columns):
        whole.put(c, filter_block(cube.radiance[:, c : c + 1], target.value, FilterSettings()))
    good = (whole.reason == 0) & (cube.enhancement > 1000.0)
    print(f"true mean {cube.enhancement[good].mean():.0f}, told {whole.enhancement[good].mean():.0f} ppm m")
    return filtered_figure("made-up cube", target, whole)


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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs"))
    out = parser.parse_args().out
    twin = make_twin(WORLD, SEED)
    scene = twin.scene
    found = detect(scene.value, scene.uncertainty, scene.spacing_km, DetectSettings())
    rates = source_rates(scene, found, twin.source, (), twin.wind, RateSettings())
    print(f"true rate {twin.rate:.0f} kg s-1, true wind {WORLD.wind:.1f}, given {twin.wind.speed:.1f} m s-1")
    for e in rates.estimates:
        print(f"{e.method:6s} {e.rate:6.0f} ({e.low:.0f} to {e.high:.0f})")
    save(filtered(), out / "plumes_filter.png")
    save(scene_figure(scene, found, [twin.source]), out / "plumes_scene.png")
    save(plume_figure(scene, found, rates), out / "plumes_source.png")
    save(plume_figure(scene, found, rates, "zh"), out / "plumes_source_zh.png")


if __name__ == "__main__":
    main()
