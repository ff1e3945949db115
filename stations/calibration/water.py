"""Dry mole fractions from wet ones: the water correction of cavity ring-down analysers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from obsnet.errors import ConfigError, RangeError, nearest

__all__ = [
    "FACTORY",
    "WaterCorrection",
    "dry_mole_fraction",
    "fit_water_correction",
    "water_correction",
    "wet_mole_fraction",
]


@dataclass(frozen=True)
class WaterCorrection:
    """Wet over dry as ``1 + a H + b H^2``, H the analyser's reported water vapour in per cent.

    Attributes
    ----------
    a, b : float
        Per %, per %^2.
    covariance : ndarray, shape (2, 2)
        Of a and b; zeros where it is not known.
    """

    a: float
    b: float
    covariance: np.ndarray

    def ratio(self, water: np.ndarray) -> np.ndarray:
        """Return wet over dry at a reported water vapour (per cent)."""
        return 1.0 + self.a * water + self.b * water * water


# With these a Picarro analyser computes its own dry values from `h2o_reported`: they reproduce CO2_dry and
# CH4_dry of a raw log. Chen et al. 2010, doi:10.5194/amt-3-375-2010.
FACTORY = {
    "CO2": WaterCorrection(-0.012, -2.674e-4, np.zeros((2, 2))),
    "CH4": WaterCorrection(-0.00982, -2.393e-4, np.zeros((2, 2))),
}


def water_correction(species: str) -> WaterCorrection:
    """Return a species' factory coefficients; better ones come from a test of one's own analyser."""
    if species not in FACTORY:
        raise ConfigError(
            f"no factory water correction is known for {species}{nearest(species, FACTORY)}; give a and b"
        )
    return FACTORY[species]


def dry_mole_fraction(
    wet: np.ndarray, water: np.ndarray, correction: WaterCorrection
) -> tuple[np.ndarray, np.ndarray]:
    """Return dry mole fractions and the standard uncertainty that the coefficients bring.

    Parameters
    ----------
    wet : ndarray, shape (n,)
        Any mole-fraction unit.
    water : ndarray, shape (n,)
        The analyser's reported (not actual) water vapour, per cent.
    correction : WaterCorrection
        Of the species.

    Returns
    -------
    dry, uncertainty : ndarray, shape (n,)
        Unit of `wet`; the uncertainty is systematic.

    Raises
    ------
    RangeError
        Water vapour below -0.5 or above 10 per cent: the unit is wrong.

    Notes
    -----
    C. W. Rella et al. (2013), Atmos. Meas. Tech. 6, 837-860, doi:10.5194/amt-6-837-2013, section 2.
    """
    h = _per_cent(water)
    factor = correction.ratio(h)
    dry = np.asarray(wet, dtype=np.float64) / factor
    rows = np.stack([h, h * h], axis=-1)
    relative = np.sqrt(np.einsum("...i,ij,...j->...", rows, correction.covariance, rows)) / factor
    return dry, dry * relative


def wet_mole_fraction(dry: np.ndarray, water: np.ndarray, correction: WaterCorrection) -> np.ndarray:
    """Return what an analyser measured before it corrected for water: the inverse of `dry_mole_fraction`.

    Parameters
    ----------
    dry : ndarray, shape (n,)
        Dry mole fractions as the analyser gives them.
    water : ndarray, shape (n,)
        Its reported water vapour, per cent.
    correction : WaterCorrection
        That it applied: the factory's.

    Raises
    ------
    RangeError
        Water vapour below -0.5 or above 10 per cent: the unit is wrong.
    """
    return np.asarray(dry, dtype=np.float64) * correction.ratio(_per_cent(water))


def _per_cent(water: np.ndarray) -> np.ndarray:
    h = np.asarray(water, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        wrong = (h < -0.5) | (h > 10.0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RangeError(f"reported water vapour is in per cent, -0.5 to 10; row {row + 1} has {h[row]:g}")
    return h


def fit_water_correction(wet: np.ndarray, water: np.ndarray) -> tuple[WaterCorrection, float]:
    """Fit a and b to a droplet test: one tank of constant dry mole fraction, humidified and let dry.

    Parameters
    ----------
    wet : ndarray, shape (n,)
        Wet mole fractions.
    water : ndarray, shape (n,)
        Reported water vapour, per cent, spanning at least 0.5 %.

    Returns
    -------
    WaterCorrection, float
        Coefficients with covariance, and the tank's dry mole fraction.
    """
    y, h = np.asarray(wet, dtype=np.float64), np.asarray(water, dtype=np.float64)
    good = np.isfinite(y) & np.isfinite(h)
    y, h = y[good], h[good]
    if y.size < 10 or np.ptp(h) < 0.5:
        spread = float(np.ptp(h)) if h.size else 0.0
        raise RangeError(
            f"a water test needs 10 values over at least 0.5 % of water, found {y.size} over {spread:g} %"
        )
    rows = np.stack([np.ones_like(h), h, h * h], axis=1)
    inverse = np.linalg.inv(rows.T @ rows)
    c = inverse @ (rows.T @ y)
    residual = y - rows @ c
    covariance = inverse * (residual @ residual) / (y.size - 3)
    # a = c1/c0, b = c2/c0
    jacobian = np.array([[-c[1] / c[0] ** 2, 1 / c[0], 0.0], [-c[2] / c[0] ** 2, 0.0, 1 / c[0]]])
    spread_ab = jacobian @ covariance @ jacobian.T
    return WaterCorrection(float(c[1] / c[0]), float(c[2] / c[0]), spread_ab), float(c[0])
