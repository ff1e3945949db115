"""Honesty tests against STILT on the very same meteorology, beside STILT's own noise.

STILT's mixing height is taken from its particles, for it computes its own. Two runs are compared: with STILT's
choices of turbulence, which must agree within the noise, and with our own, which shows what the choices are worth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from inversion.transport.check.mixing_height import with_mixing_height
from inversion.transport.check.worlds import Row, release
from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.particles.simulate import simulate
from obsnet.grid import Grid
from obsnet.met import Met, open_met
from obsnet.sphere import METRES_PER_DEGREE
from obsnet.times import from_epoch, to_epoch
from obsnet.typing import Floats

__all__ = ["stilt"]

END = float(to_epoch(np.datetime64("2024-04-02T06:00:00")))
HOURS = 24
PLACE = (39.9, 116.4, 10.0)  # latitude, longitude, m above ground
# STILT drops particles half a degree before the edge of its meteorology.
GRID = Grid.regular(31.0, 44.5, 106.0, 124.0, 0.1, 0.1)
ROWS = 130  # of the grid that STILT's file has
OWN = ("2000_nosmooth", "2000", "1000", "100", "100_rep2")


@dataclass(frozen=True)
class _Run:
    """Hourly footprints (hour, lat, lon), first the latest hour, and the relative noise of their sum."""

    hours: Floats
    noise: float

    @property
    def curve(self) -> Floats:
        return self.hours.sum(axis=(1, 2))

    @property
    def map(self) -> Floats:
        """Half-degree sums over all hours, as shares of the total."""
        total = self.hours.sum(axis=0)
        coarse = total.reshape(ROWS // 5, 5, -1, 5).sum(axis=(1, 3))
        return np.asarray(coarse / coarse.sum())


def stilt(reference: Path, particles: int = 2000) -> Iterator[Row]:
    """Compare sum, hourly curve, plume and map of a day before a receptor at 10 m."""
    folder = reference / "stilt_synthetic"
    ages = pd.read_csv(folder / "synt_surf_2000_byage.csv", header=[0, 1], index_col=0)
    file = reference / "met" / "synt.nc"
    met = with_mixing_height(open_met([file]), file, ages["mlht"]["mean"], END)
    theirs = {
        name: _Run(
            xr.load_dataset(folder / f"synt_surf_{name}_foot.nc", engine="netcdf4")["foot"].to_numpy()[::-1],
            np.nan,
        )
        for name in OWN
    }
    like = ParticleSettings(turbulence="stilt", hours=HOURS, particles=particles)
    same = _ours(met, like)
    yield from _agreement(same, theirs)
    yield _plume(met, ages, like)
    own = _ours(met, ParticleSettings(turbulence="hanna", hours=HOURS, particles=particles))
    yield _map(own, theirs, "our turbulence", np.nan)
    yield Row(
        "STILT: our turbulence, total and first hour",
        100.0 * (own.curve.sum() / theirs["2000_nosmooth"].curve.sum() - 1.0),
        np.nan,
        "%",
        f"total {own.curve.sum():.3f} against {theirs['2000_nosmooth'].curve.sum():.3f}, first hour "
        f"{own.curve[0]:.3f} against {theirs['2000_nosmooth'].curve[0]:.3f}; after it "
        f"{100 * (own.curve[1:].sum() / theirs['2000_nosmooth'].curve[1:].sum() - 1):+.0f} %",
        {
            "kind": "hours",
            "STILT's choices": same.curve,
            "our turbulence": own.curve,
            **{name: run.curve for name, run in theirs.items()},
        },
    )


def _foot(path: Path) -> xr.DataArray:
    return xr.load_dataset(path, engine="netcdf4")["foot"]


def _ours(met: Met, run: ParticleSettings) -> _Run:
    edges = from_epoch(END + 3600.0 * np.arange(-HOURS, 1))
    found = simulate(met, _receptor(run), GRID, edges, run)
    hours = np.zeros((HOURS, GRID.size))
    flat = found.sensitivity
    hours[flat["time_bin"].to_numpy(), flat["cell"].to_numpy()] = flat["sensitivity"].to_numpy()
    total = found.receptors.to_pylist()[0]
    shaped = hours.reshape(HOURS, *GRID.shape)[::-1, :ROWS]
    return _Run(shaped, float(total["total_stderr"] / total["total"]))


def _receptor(run: ParticleSettings) -> Any:
    return release("stilt", END, *PLACE, int(run.particles or 0))


def _agreement(ours: _Run, theirs: dict[str, _Run]) -> Iterator[Row]:
    """Sum, first hour, later hours and map, each beside STILT's noise."""
    ideal, other = theirs["2000_nosmooth"], theirs["1000"]
    sums = {name: run.curve.sum() for name, run in theirs.items()}
    # The same spread belongs to STILT's particles: two realisations differ by sqrt(2) of it.
    noise = np.sqrt(2.0) * ours.noise
    yield Row(
        "STILT: total sensitivity",
        abs(ours.curve.sum() / sums["2000_nosmooth"] - 1.0) / noise,
        2.0,
        "sigma",
        f"ours {ours.curve.sum():.3f}, STILT {sums['2000']:.3f} (2000), {sums['1000']:.3f} (1000), "
        f"{sums['100']:.2f} and {sums['100_rep2']:.2f} (100); noise of two runs {100 * noise:.1f} %",
    )
    yield Row(
        "STILT: first hour",
        100.0 * abs(ours.curve[0] / ideal.curve[0] - 1.0),
        100.0 * 2.0 * noise,
        "%",
        f"ours {ours.curve[0]:.3f}, STILT {ideal.curve[0]:.3f} (2000), {other.curve[0]:.3f} (1000)",
    )

    def apart(run: _Run) -> float:
        return float(np.sqrt(np.mean((run.curve[3:] - ideal.curve[3:]) ** 2)) / ideal.curve[3:].mean())

    yield Row(
        "STILT: hourly curve after 3 h",
        100.0 * apart(ours),
        100.0 * 2.0 * max(apart(other), noise),
        "% rms",
        f"STILT 1000 against 2000 particles: {100 * apart(other):.1f} %",
    )
    yield _map(ours, theirs, "STILT's choices", 2.0 * (1.0 - _overlap(other, ideal)))


def _map(ours: _Run, theirs: dict[str, _Run], name: str, accepted: float) -> Row:
    ideal = theirs["2000_nosmooth"]
    own = f"1000 against 2000 {_overlap(theirs['1000'], ideal):.3f}, 100 against 100"
    return Row(
        f"STILT: map, {name}, share that does not overlap at 0.5 degree",
        1.0 - _overlap(ours, ideal),
        accepted,
        "",
        f"overlap {_overlap(ours, ideal):.3f}; STILT's own: {own} {_overlap(theirs['100'], theirs['100_rep2']):.3f}",
        {
            "kind": "maps",
            "name": name,
            "ours": ours.map * ours.curve.sum(),
            "STILT": ideal.map * ideal.curve.sum(),
        },
    )


def _overlap(a: _Run, b: _Run) -> float:
    """Return the shared part of two maps of unit sum."""
    return float(np.minimum(a.map, b.map).sum())


def _plume(met: Met, ages: pd.DataFrame, like: ParticleSettings) -> Row:
    """Compare the plume's middle and width at 3, 6 and 12 h."""
    edges = from_epoch(END + 3600.0 * np.arange(-HOURS, 1))
    rows = []
    for hours in (3, 6, 12):
        run = like.but(hours=float(hours))
        cloud = simulate(met, _receptor(run), GRID, edges, run).endpoints.to_pandas()
        row = ages.loc[-60.0 * hours]
        km = METRES_PER_DEGREE / 1000.0
        scale = {"latitude": km, "longitude": km * np.cos(np.deg2rad(row["lat"]["mean"]))}
        off = [(cloud[n].mean() - row[n[:3]]["mean"]) * k for n, k in scale.items()]
        wide = [
            float(np.hypot(*(w[n] * k for n, k in scale.items())))
            for w in (cloud[list(scale)].std(), {n: row[n[:3]]["std"] for n in scale})
        ]
        gone = abs(row["lon"]["mean"] - PLACE[1]) * scale["longitude"]
        rows.append((hours, float(np.hypot(*off)), float(gone), *wide))
    parts = [f"{h} h: {o:.0f} km of {g:.0f} gone, width {a:.0f} against {b:.0f} km" for h, o, g, a, b in rows]
    return Row("STILT: centroid at 12 h", rows[-1][1] / rows[-1][4], 0.1, "plume widths", "; ".join(parts))
