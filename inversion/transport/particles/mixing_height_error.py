"""Errors of the weather's boundary-layer height: a random field in time and space that the height is multiplied by.

The error of ln h is Gaussian with the covariance ``relative^2 exp(-|t - t'| / T - |r - r'| / L)``: heights stay
positive, and their median is the weather's. The layer's air goes along with its height and w* with the cube root, as
its definition has it; u*, L and the winds stay. That errors of mixing heights are carried by particles and correlated
in time and space is Gerbig et al.'s (2008, Atmos. Chem. Phys. 8, 591-602). The field is a sum of waves like that of the
winds, see `inversion.transport.particles.wind_error`, without a part in height.
"""

from __future__ import annotations

import numpy as np

from inversion.transport.kernels.interpolation import jit
from inversion.transport.particles.settings import MixingHeightError
from inversion.transport.particles.wind_error import WAVES, draw_waves, wave_sum
from obsnet.typing import Floats

__all__ = ["height_factor", "mixing_height_waves"]


def mixing_height_waves(error: MixingHeightError, seed: int, member: int) -> Floats:
    """Draw one error field of ln h.

    Parameters
    ----------
    error : MixingHeightError
        Its statistics.
    seed, member : int
        The same for the same two.

    Returns
    -------
    ndarray of float64, shape (WAVES, 7)
        As of `inversion.transport.particles.wind_error.wind_error_waves`; amplitudes have no unit.

    Examples
    --------
    >>> mixing_height_waves(MixingHeightError(relative=0.4, hours=6.0, km=150.0), seed=0, member=1).shape
    (16, 7)
    """
    return draw_waves(
        f"mixing height error {member}", seed, WAVES, error.relative, (error.hours, error.km, np.inf)
    )


@jit
def height_factor(waves: Floats, axes: Floats, t: float, x: float, y: float) -> float:
    """Return what the boundary-layer height is multiplied by, 1 without waves.

    Parameters
    ----------
    waves : ndarray of float64, shape (n, 7)
        Of `mixing_height_waves`.
    axes, t, x, y
        As in `inversion.transport.kernels.interpolation.wind_at`.
    """
    return np.exp(wave_sum(waves, 0, waves.shape[0], axes, t, x, y, 0.0))
