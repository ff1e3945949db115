"""How true the stated errors of super-observations by area are: `python scripts/check_superobs_errors.py`.

Pixels of 7 km of a slanted swath get errors of 1 that are drawn, independent or with a part r that all pixels of a
cell's own have in common. Their means over cells are compared with what is stated of them, by how many soundings a
cell holds; and so are the best means over squares of a degree and over the whole swath, made of the cells with the
stated errors as independent, which is what an inversion and a map do. Printed are stated : true standard deviations.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np

from obsnet.grid import Grid
from retrieval.superobs.errors import ErrorModel
from retrieval.superobs.groups import Groups, area_groups

DRAWS = 500
HOLDS = (0.0, 0.1, 0.3, 1.0, 3.0, np.inf)  # whole soundings


def swath(share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return corners (pixels, 4) of a swath over 3 by 3 degrees at 35 N, of which a share has a sounding."""
    step = np.arange(0.0, 5.0, 0.07)
    x, y = (a.ravel() for a in np.meshgrid(step, step))
    keep = rng.random(x.size) < share
    turn = np.deg2rad(13.0)
    side = 0.035 * np.array([[-1, 1, 1, -1], [-1, -1, 1, 1]])
    x, y = x[keep, None] - 2.5 + side[0], y[keep, None] - 2.5 + side[1]
    lon, lat = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    return 35.0 + lat, 105.0 + lon / np.cos(np.deg2rad(35.0))


def drawn(groups: Groups, pixels: int, owner: np.ndarray, r: float, rng: np.random.Generator) -> np.ndarray:
    """Return errors of the groups' means, shape (draws, groups)."""
    own, common = rng.standard_normal((DRAWS, pixels)), rng.standard_normal((DRAWS, owner.max() + 1))
    error = np.sqrt(1.0 - r) * own + np.sqrt(r) * common[:, owner]
    return np.add.reduceat(error[:, groups.row] * groups.weight, groups.offsets[:-1], axis=1)


def ratios(degrees: float, share: float, r: float) -> list[float]:
    """Return stated : true for cells by the soundings they hold, for squares of a degree, and for all cells."""
    rng = np.random.default_rng(1)
    lat, lon = swath(share, rng)
    grid = Grid.regular(33.5, 36.5, 103.5, 106.5, degrees, degrees)
    time = np.full(len(lat), np.datetime64("2020-06-01T06:00", "us"))
    groups = area_groups(lat, lon, time, np.zeros(len(lat), int), grid)
    stated = ErrorModel(r=r).uncertainty(
        np.ones(len(groups.row)), groups.weight, groups.offsets, soundings=groups.soundings
    )
    tile = np.floor(np.stack([lat.mean(axis=1), lon.mean(axis=1)]) / degrees).astype(int)
    owner = np.unique(tile, axis=1, return_inverse=True)[1].reshape(-1)
    error = drawn(groups, len(lat), owner, r, rng)
    true = error.std(axis=0)
    out = []
    for low, high in pairwise(HOLDS):
        some = (groups.soundings >= low) & (groups.soundings < high)
        out.append(
            float(np.sqrt(np.mean(stated[some] ** 2) / np.mean(true[some] ** 2))) if some.any() else np.nan
        )
    row, column = np.divmod(groups.cell, grid.shape[1])
    square = np.floor(grid.lat[row]).astype(int) * 1000 + np.floor(grid.lon[column]).astype(int)
    for part in (np.unique(square, return_inverse=True)[1], np.zeros(len(groups), int)):
        weight = 1.0 / stated**2
        total = np.bincount(part, weight)
        mean = np.stack([np.bincount(part, weight * e) for e in error]) / total
        out.append(float(np.sqrt(np.mean(1.0 / total) / np.mean(mean**2))))
    return out


def main() -> None:
    """Print a table."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    names = [f"{a:g}-{b:g}" for a, b in pairwise(HOLDS)]
    print("cells  pixels    r   whole soundings:" + "".join(f"{n:>9}" for n in names) + "   1 degree    all")
    for degrees in (0.1, 0.25, 0.5):
        for share in (1.0, 0.2):
            for r in (0.0, 0.55):
                found = ratios(degrees, share, r)
                print(
                    f"{degrees:5g} {share:7.0%} {r:5.2f} {'':18s}" + "".join(f"{x:9.2f}" for x in found),
                    flush=True,
                )


if __name__ == "__main__":
    main()
