"""Before a run: which time bins, what is told of the meteorology, and how long it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from inversion.transport.particles.settings import ParticleSettings
from inversion.transport.run.options import TransportErrors
from obsnet.met import Met
from obsnet.times import round_time, time_bins
from obsnet.typing import Times

__all__ = ["estimate", "flux_bins", "span", "told_of"]

# CPU seconds a particle-hour on a server of 2023, from scripts/bench_transport.py, for the estimate before a run.
_SECONDS = {"mixed-layer": 8e-7, "hanna": 1.2e-5, "stilt": 9e-5, "none": 1e-5}
_MEMBER = 0.06  # of a swarm's time: a further column that takes its particles


def flux_bins(first: Any, last: Any, step: str) -> Times:
    """Return flux time bins on round times that cover first to last.

    Parameters
    ----------
    first, last : datetime64
        Earliest moment a particle reaches and latest receptor.
    step : str
        pandas frequency such as ``"3h"``, ``"1D"``, ``"MS"``, or ``"whole"`` for a single bin.
    """
    if step == "whole":
        return np.array([first, last]).astype("datetime64[us]")
    return time_bins(round_time(first, step), last, step)


def span(table: pa.Table) -> tuple[np.datetime64, np.datetime64]:
    """Return the earliest and latest moment at which a receptor releases particles."""
    times = table["time"].to_numpy().astype("datetime64[us]")
    first, last = times, times
    for name in ("time_start", "time_end"):
        bound = table[name].to_numpy(zero_copy_only=False).astype("datetime64[us]")
        bound = np.where(np.isnat(bound) | (np.abs(bound - times) > np.timedelta64(7, "D")), times, bound)
        first, last = np.minimum(first, bound), np.maximum(last, bound)
    return first.min(), last.max()


def told_of(met: Met) -> list[str]:
    """Return what was assumed or changed in the meteorology, and what is wanting in it, for people."""
    notes = list(met.meta.get("notes", []))
    if met.step > 3 * 3600.0 + 1.0:
        notes.append(f"every {met.step / 3600:g} h: coarser than 3 h blurs fronts and the daily cycle")
    return [f"meteorology: {line}" for line in notes]


def estimate(
    receptors: int,
    parts: int,
    settings: ParticleSettings,
    workers: int,
    errors: TransportErrors = (),
    swarms: int | None = None,
) -> str:
    """Return how long the particles will take, for people; by default each receptor has a swarm of its own."""
    swarms = receptors if swarms is None else swarms
    particles = (settings.particles or 0) + sum(error.members * error.particles for error in errors)
    each = _SECONDS[settings.turbulence] * particles * settings.hours
    passes = 2.0 if settings.smooth else 1.0
    seconds = passes * each * (swarms + _MEMBER * (receptors - swarms)) / max(min(workers, parts), 1)
    shown = f"{seconds / 3600:.1f} h" if seconds > 7200 else f"{seconds / 60:.1f} min"
    sharing = f" that share {swarms} swarms of particles" if swarms < receptors else ""
    return f"{receptors} receptors{sharing} in {parts} parts, about {shown} on {workers} workers"
