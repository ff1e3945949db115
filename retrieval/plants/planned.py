"""What a plant that is not built yet would add to XCO2, and whether that could be seen from space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf

from obsnet.errors import ConfigError
from obsnet.typing import Floats
from obsnet.work.kept import map_ordered
from obsnet.work.work import Work
from retrieval.plants.options import PlannedTable
from retrieval.plume.images.amounts import mass_per_unit
from retrieval.plume.images.detect import detect
from retrieval.plume.options import DetectSettings, RateSettings
from retrieval.plume.rates.estimate import source_rates
from retrieval.plume.twin import PlumeWorld, eddy_diffusion, make_twin

__all__ = ["Visibility", "expected_plume", "visibility", "visibility_rows"]

_MANY = 4  # scenes, from which on starting processes pays
_LIMIT = 3.0  # standard errors that a rate must exceed, as for rates of plumes
_STEPS = 8  # of a pixel along the wind, over which the width is averaged
_REACH = 5.0  # widths to either side


@dataclass(frozen=True)
class Visibility:
    """What one wind leaves to be seen.

    Parameters
    ----------
    wind : float
        m s-1.
    largest : float
        Largest increment of a pixel, ppm.
    at_km : float
        Its distance downwind, km.
    mean : float
        Increment of the pixels on the plume's line, mean of its length, ppm.
    error : float
        Of one pixel, noise and structure, ppm.
    limit : float
        Smallest rate that the whole plume would show, kg s-1.
    seen : bool
        Whether the plant's rate is above it.
    scenes, found, accepted : int
        Made-up scenes; in how many the plume was found; in how many some method gave a rate without a reason
        against it.
    ratio : float
        Median of accepted rates over the true one; NaN without any.
    """

    wind: float
    largest: float
    at_km: float
    mean: float
    error: float
    limit: float
    seen: bool
    scenes: int
    found: int
    accepted: int
    ratio: float

    @property
    def pixel_above(self) -> bool:
        """Whether the largest increment of a pixel exceeds its error."""
        return self.largest > self.error

    @property
    def verdict(self) -> str:
        """``below error``: under the limit; ``at the edge``: above it, found in under half of the scenes."""
        if not self.seen:
            return "below error"
        return "at the edge" if self.scenes and self.found < 0.5 * self.scenes else "above error"


def expected_plume(
    rate: float, wind: float, *, pixel_km: float, length_km: float, surface_pressure: float
) -> tuple[Floats, Floats, Floats]:
    """Return the mean XCO2 increment of pixels under a steady Gaussian plume.

    Parameters
    ----------
    rate : float
        kg s-1.
    wind : float
        m s-1, along the rows of pixels; the plume runs down the middle of one row.
    pixel_km, length_km : float
        Side of a pixel; length of the plume.
    surface_pressure : float
        hPa.

    Returns
    -------
    along, across : ndarray
        Middles of the pixels, km.
    increment : ndarray, shape (across, along)
        ppm, not negative.

    Notes
    -----
    ``Δm = Q / (√(2π) σ u) exp(-y² / 2σ²)``, ``σ² = 2 K x / u`` with the diffusion K of the made-up scenes: the
    plume that
    `gauss` fits. Integrated across the wind and times the wind it is Q at every distance. Pixel means across
    are exact (error function), along they are means of eight cuts.
    """
    columns = max(int(np.ceil(length_km / pixel_km)), 1)
    along = np.asarray((np.arange(columns) + 0.5) * pixel_km, dtype=np.float64)
    cuts = (np.arange(_STEPS) + 0.5) / _STEPS * pixel_km
    x = (along[:, None] - 0.5 * pixel_km + cuts[None, :]) * 1e3
    width = np.sqrt(2.0 * eddy_diffusion(wind) * x / wind)  # m
    side = int(np.ceil(_REACH * float(width.max()) / (pixel_km * 1e3)))
    across = np.arange(-side, side + 1) * pixel_km
    low, high = ((across[:, None, None] + s * 0.5 * pixel_km) * 1e3 for s in (-1.0, 1.0))
    share = 0.5 * (erf(high / (np.sqrt(2.0) * width)) - erf(low / (np.sqrt(2.0) * width)))
    mass = rate / wind * share.mean(axis=2) / (pixel_km * 1e3)  # kg m-2
    per_ppm = float(mass_per_unit(surface_pressure * 100.0, "CO2"))
    return along, np.asarray(across, dtype=np.float64), np.asarray(mass / per_ppm, dtype=np.float64)


def visibility(options: PlannedTable, work: Work | None = None) -> list[Visibility]:
    """Return what each wind leaves to be seen of a planned plant.

    Parameters
    ----------
    options : PlannedTable
        The plant, the winds, the instrument.
    work : Work, optional
        How the made-up scenes are shared out.

    Notes
    -----
    The limit is that of the best weighted sum of the plume's pixels: `_LIMIT` standard errors of noise
    (independent) and
    structure (the same in all of the plume's pixels). Made-up scenes are searched and told as measured ones are, air
    neither straight nor steady, wind known to 1 m s-1; they stand near sea level.
    """
    if work is not None and work.part is not None:
        raise ConfigError("a planned plant is one result: give workers, not a shard")
    tasks = [(options, wind, k) for wind in options.winds for k in range(options.draws)]
    made = map_ordered(_scene, tasks, work or Work(), what="made-up scenes", enough=len(tasks) > _MANY)
    looked = {(wind, k): seen for (_, wind, k), seen in zip(tasks, made, strict=True)}
    return [_one(options, wind, [looked[wind, k] for k in range(options.draws)]) for wind in options.winds]


def _one(options: PlannedTable, wind: float, scenes: list[tuple[bool, float]]) -> Visibility:
    along, across, increment = expected_plume(
        options.emission,
        wind,
        pixel_km=options.pixel_km,
        length_km=options.length_km,
        surface_pressure=options.surface_pressure,
    )
    middle = increment[across.size // 2]
    best = int(np.argmax(middle))
    per_rate = increment / options.emission
    squared = float(np.sum(per_rate**2))
    noise = options.noise / np.sqrt(squared)
    structure = options.structure * float(np.sum(per_rate)) / squared
    limit = _LIMIT * float(np.hypot(noise, structure))
    ratios = [ratio for _, ratio in scenes if np.isfinite(ratio)]
    return Visibility(
        wind,
        float(middle[best]),
        float(along[best]),
        float(middle.mean()),
        float(np.hypot(options.noise, options.structure)),
        limit,
        options.emission > limit,
        len(scenes),
        sum(found for found, _ in scenes),
        len(ratios),
        float(np.median(ratios)) if ratios else float("nan"),
    )


def _scene(task: tuple[PlannedTable, float, int]) -> tuple[bool, float]:
    """Look for the plume in a made-up scene: whether it is found, median of its accepted rates over the truth."""
    options, wind, k = task
    world = PlumeWorld(
        rate=options.emission,
        wind=wind,
        pixel_km=options.pixel_km,
        latitude=float(np.clip(options.latitude, -75, 75)),
        noise=options.noise,
        structure=options.structure,
    )
    twin = make_twin(world, options.seed * 100_000 + k)
    scene = twin.scene
    seen = detect(scene.value, scene.uncertainty, scene.spacing_km, DetectSettings())
    rates = source_rates(scene, seen, twin.source, twin.others, twin.wind, RateSettings())
    ratio = (
        float(np.median([e.rate for e in rates.accepted])) / options.emission
        if rates.accepted
        else float("nan")
    )
    return rates.layout.plume > 0, ratio


def visibility_rows(options: PlannedTable, found: list[Visibility]) -> list[dict[str, Any]]:
    """Return a row a wind for tables and JSON."""
    return [
        {
            "plant": options.name,
            "rate_kg_s": options.emission,
            "wind_m_s": v.wind,
            "largest_increment_ppm": v.largest,
            "at_km": v.at_km,
            "mean_increment_ppm": v.mean,
            "pixel_error_ppm": v.error,
            "pixel": "above error" if v.pixel_above else "below error",
            "limit_kg_s": v.limit,
            "plume": v.verdict,
            "scenes": v.scenes,
            "found": v.found,
            "accepted": v.accepted,
            "median_ratio": v.ratio,
        }
        for v in found
    ]
