"""Made-up cubes of radiances with plumes of known strength, to try the filter on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy import ndimage

from obsnet.config import Options
from obsnet.typing import Bools, Floats

__all__ = ["CubeWorld", "TwinCube", "comb", "make_cube"]

_ALIKE = 0.05  # depth of what a material absorbs where the gas does


class CubeWorld(Options):
    """What a cube is drawn from.

    Examples
    --------
    >>> CubeWorld(rows=100).columns
    24
    """

    rows: int = Field(400, ge=10, description="along the track")
    columns: int = Field(24, ge=1, description="detectors")
    contrast: float = Field(0.3, ge=0, description="standard deviation of the logarithm of brightness")
    materials: float = Field(
        0.02, ge=0, description="standard deviation of slope and curvature of the surface's spectra"
    )
    noise: float = Field(0.003, gt=0, description="of a mean pixel, relative")
    photons: float = Field(
        0.5, ge=0, le=1, description="share of the noise's variance that goes with radiance"
    )
    stripes: float = Field(0.01, ge=0, description="relative error of gain of each detector and band")
    strength: float = Field(2000.0, ge=0, description="enhancement in the middle of the plume, unit of 1 / k")
    share: float = Field(0.05, ge=0, lt=1, description="of the pixels that the plume covers")
    dark: float = Field(0.0, ge=0, lt=0.9, description="share of water, of a twentieth of the brightness")
    alike: float = Field(
        0.0,
        ge=0,
        lt=0.9,
        description="share of bright patches of a material that absorbs broadly where the gas does",
    )


@dataclass(frozen=True, eq=False)
class TwinCube:
    """Radiances and their truth.

    Parameters
    ----------
    radiance : ndarray of float32, shape (row, column, band)
        Mean about 10.
    enhancement : ndarray, shape (row, column)
        True, unit of 1 / k.
    water : ndarray of bool, shape (row, column)
        Dark pixels.
    alike : ndarray of bool, shape (row, column)
        Pixels of the material that looks like the gas.
    """

    radiance: np.ndarray
    enhancement: Floats
    water: Bools
    alike: Bools


def comb(bands: int, strongest: float = 2e-5) -> Floats:
    """Return a made-up unit absorption: three groups of lines, d ln(radiance) per unit, not positive."""
    x = np.arange(bands) / max(bands - 1, 1)
    shape = sum(
        a * np.exp(-0.5 * ((x - c) / w) ** 2) * (0.7 + 0.3 * np.cos(90.0 * x))
        for a, c, w in ((1.0, 0.3, 0.06), (0.7, 0.45, 0.05), (0.4, 0.8, 0.08))
    )
    return np.asarray(-strongest * shape)


def make_cube(world: CubeWorld, absorption: Floats, seed: int, planted: Floats | None = None) -> TwinCube:
    """Draw a cube.

    Parameters
    ----------
    world : CubeWorld
        The world.
    absorption : ndarray, shape (bands,)
        d ln(radiance) per unit; the plume takes ``exp(k alpha)``.
    seed : int
        Another number, another cube.
    planted : ndarray, optional, shape (row, column)
        An enhancement in the place of one that is drawn, unit of 1 / k.
    """
    rng = np.random.default_rng([seed, 20260301])
    w, bands = world, len(absorption)
    shape = (w.rows, w.columns)
    x = np.linspace(-1.0, 1.0, bands)
    light = 10.0 * (1.0 - 0.3 * x) * (1.0 - 0.25 * np.exp(-0.5 * ((x + 0.4) / 0.1) ** 2))
    log = w.contrast * _patches(shape, rng)
    surface = np.exp(log - 0.5 * w.contrast**2)[..., None] * np.ones(bands)
    for power in (x, 1.5 * x**2 - 0.5, np.exp(-0.5 * ((x - 0.2) / 0.3) ** 2)):
        surface *= 1.0 + w.materials * _patches(shape, rng)[..., None] * power
    water = np.zeros(shape, dtype=bool)
    if w.dark:
        field = _patches(shape, rng)
        water = field > np.quantile(field, 1.0 - w.dark)
        surface[water] *= 0.05
    alike = np.zeros(shape, dtype=bool)
    if w.alike:
        field = _patches(shape, rng)
        alike = field > np.quantile(field, 1.0 - w.alike)
        broad = ndimage.gaussian_filter1d(absorption / np.abs(absorption).max(), bands / 15.0)
        surface[alike] *= 1.7 * np.exp(_ALIKE * broad)
    truth = np.zeros(shape)
    if planted is not None:
        truth = np.array(planted, dtype=np.float64)
    elif w.strength and w.share:
        field = ndimage.gaussian_filter(rng.standard_normal(shape), (8.0, 3.0), mode="wrap")
        edge = np.quantile(field, 1.0 - w.share)
        truth = w.strength * np.clip((field - edge) / (field.max() - edge), 0.0, 1.0) ** 0.5
    gain = 1.0 + w.stripes * rng.standard_normal((w.columns, bands))
    clean = surface * light * gain * np.exp(truth[..., None] * absorption)
    variance = (w.noise * light) ** 2 * (1.0 - w.photons + w.photons * clean / light)
    radiance = clean + np.sqrt(variance) * rng.standard_normal(clean.shape)
    return TwinCube(radiance.astype(np.float32), truth, water, alike)


def _patches(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return fields of patches that differ, smooth ones and sharp ones, standard deviation 1."""
    smooth = ndimage.gaussian_filter(rng.standard_normal(shape), 6.0, mode="wrap")
    fine = rng.standard_normal(shape)
    patches = np.sign(ndimage.gaussian_filter(rng.standard_normal(shape), 3.0, mode="wrap"))
    field = smooth / smooth.std() + 0.3 * fine + 0.7 * patches
    return np.asarray((field - field.mean()) / field.std())
