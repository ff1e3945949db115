"""Pressure weights: how much of a column's dry air each layer or level stands for.

The kernels take arrays with the vertical on the last axis, **surface first** (pressure decreases along it).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obsnet.constants import GRAVITY, MOLAR_MASS_DRY_AIR
from obsnet.errors import ConfigError, RangeError, SchemaError
from obsnet.typing import Floats

__all__ = [
    "PressureWeights",
    "check_pressure",
    "dry_air_columns",
    "half_split",
    "half_split_adjoint",
    "layer_weights",
    "level_weights",
]


@dataclass(frozen=True)
class PressureWeights:
    """Weights that sum to one along the last axis, and what air they weigh.

    Parameters
    ----------
    weight : ndarray of float64, shape (..., n)
        Share of the column's air, surface first.
    basis : str
        ``"dry air"`` where humidity was known; ``"all air"`` where it was not and water vapour is counted
        in. On real ACOS profiles the second differs by at most 1e-3 in a weight and 0.03 ppm in XCO2.
    """

    weight: Floats
    basis: str


def check_pressure(pressure: npt.ArrayLike, name: str) -> Floats:
    """Return pressures as float64 after checking that they are in hPa and decrease along the last axis.

    Parameters
    ----------
    pressure : array_like, shape (..., n)
        hPa, surface first.
    name : str
        Named in the error text.

    Raises
    ------
    SchemaError
        Fewer than two values.
    RangeError
        Top first, not finite, or outside 0 to 1100 hPa.
    """
    p = np.asarray(pressure, dtype=np.float64)
    if p.ndim == 0 or p.shape[-1] < 2:
        raise SchemaError(f"{name} needs at least two values along its last axis, found shape {p.shape}")
    if p.size == 0:
        return p
    rows = p.reshape(-1, p.shape[-1])
    with np.errstate(invalid="ignore"):
        rising = ~(np.diff(rows, axis=1) < 0).all(axis=1)
        outside = ~((rows[:, 0] <= 1100.0) & (rows[:, -1] >= 0.0))
    if rising.any():
        row = int(np.argmax(rising))
        raise RangeError(
            f"row {row}: {name} must decrease (surface first), found {rows[row]}; reverse kernel, weights and "
            "prior together with it"
        )
    if outside.any():
        row = int(np.argmax(outside))
        raise RangeError(
            f"row {row}: {name} must lie within 0 and 1100 hPa, found {rows[row, -1]:g} to {rows[row, 0]:g}; "
            "Pa must be divided by 100"
        )
    return p


def dry_air_columns(
    pressure_edges: npt.ArrayLike,
    specific_humidity: npt.ArrayLike | None = None,
    *,
    gravity: npt.ArrayLike = GRAVITY,
) -> Floats:
    """Return the amount of dry air between pressure edges.

    Parameters
    ----------
    pressure_edges : array_like, shape (..., n + 1)
        hPa, surface first.
    specific_humidity : array_like, shape (..., n), optional
        Layer means, kg water per kg moist air. Without it all air is counted.
    gravity : array_like, broadcast to (..., n)
        m s-2, layer means; standard gravity by default.

    Returns
    -------
    ndarray of float64, shape (..., n)
        mol m-2.

    Raises
    ------
    RangeError
        Edges that do not decrease, humidity outside [0, 0.1].

    Notes
    -----
    O'Dell et al. (2012), doi:10.5194/amt-5-99-2012, eq. A2: ``c = dp (1 - q) / (g M_dry)``.
    """
    edges = check_pressure(pressure_edges, "pressure_edges")
    thickness = -np.diff(edges, axis=-1) * 100.0
    if specific_humidity is None:
        q: Floats = np.zeros(1)
    else:
        q = np.asarray(specific_humidity, dtype=np.float64)
        if not ((q >= 0.0) & (q <= 0.1)).all():
            raise RangeError(
                f"specific humidity must lie within 0 and 0.1 kg kg-1, found {np.nanmin(q):g} to "
                f"{np.nanmax(q):g}; g kg-1 must be divided by 1000"
            )
    return np.asarray(thickness * (1.0 - q) / (np.asarray(gravity, dtype=np.float64) * MOLAR_MASS_DRY_AIR))


def layer_weights(
    pressure_edges: npt.ArrayLike,
    specific_humidity: npt.ArrayLike | None = None,
    *,
    gravity: npt.ArrayLike = GRAVITY,
) -> PressureWeights:
    """Return the share of the column's dry air in each layer; parameters as in `dry_air_columns`."""
    columns = dry_air_columns(pressure_edges, specific_humidity, gravity=gravity)
    share = columns / columns.sum(axis=-1, keepdims=True)
    return PressureWeights(share, "all air" if specific_humidity is None else "dry air")


def level_weights(
    pressure_levels: npt.ArrayLike,
    specific_humidity: npt.ArrayLike | None = None,
    *,
    surface_pressure: npt.ArrayLike | None = None,
    linear_in: str = "pressure",
    gravity: npt.ArrayLike = GRAVITY,
) -> PressureWeights:
    """Return the weight of each level of a profile that is linear between levels.

    Parameters
    ----------
    pressure_levels : array_like, shape (..., n)
        hPa, surface first.
    specific_humidity : array_like, shape (..., n - 1) or (..., n), optional
        kg kg-1, means of the layers between levels, or on the levels (then averaged in pairs).
    surface_pressure : array_like, shape (...), optional
        hPa, where the surface is not the first level: the lowest layer then ends there, and its profile is
        the line through the two lowest levels, continued where the surface lies below both.
    linear_in : {"pressure", "log_pressure"}
        Coordinate in which the profile is linear.
    gravity : array_like, broadcast to (..., n - 1)
        m s-2.

    Returns
    -------
    PressureWeights
        Shape (..., n), the weight of the mean over the column from the surface to the last level.

    Raises
    ------
    RangeError
        Levels that do not decrease, a surface above the second level.

    Notes
    -----
    O'Dell et al. (2012), doi:10.5194/amt-5-99-2012, appendix A. ACOS and OCO-2 Lite files (B3 and later) take
    the surface as their last level and are linear in pressure, so each layer counts half to either side.
    ACOS build 2 has fixed levels, the surface anywhere, and is linear in the logarithm (Connor et al. 2008,
    doi:10.1029/2006JD008336).

    Examples
    --------
    >>> level_weights([1000.0, 500.0, 0.0]).weight
    array([0.25, 0.5 , 0.25])
    """
    levels = check_pressure(pressure_levels, "pressure_levels")
    edges = levels
    if surface_pressure is not None:
        surface = np.asarray(surface_pressure, dtype=np.float64)
        if not (surface > levels[..., 1]).all():
            raise RangeError(
                f"the surface must lie below the second level, found {surface.min():g} hPa where that level "
                f"reaches {levels[..., 1].max():g} hPa; drop the levels under ground"
            )
        edges = np.broadcast_to(
            levels, (*np.broadcast_shapes(surface.shape, levels.shape[:-1]), levels.shape[-1])
        ).copy()
        edges[..., 0] = surface
    q = specific_humidity
    if q is not None:
        q = np.asarray(q, dtype=np.float64)
        if q.shape[-1] == levels.shape[-1]:
            q = 0.5 * (q[..., 1:] + q[..., :-1])
    layers = layer_weights(edges, q, gravity=gravity)
    lower = _share_of_lower_level(edges, levels, linear_in)
    weight = np.zeros(edges.shape)
    weight[..., :-1] += lower * layers.weight
    weight[..., 1:] += (1.0 - lower) * layers.weight
    return PressureWeights(weight, layers.basis)


def _share_of_lower_level(edges: Floats, levels: Floats, linear_in: str) -> Floats:
    """Return the weight of the lower level in each layer's mean; the layer ends at its edge, not there."""
    above, below, bottom = levels[..., 1:], levels[..., :-1], edges[..., :-1]
    if linear_in == "pressure":
        return np.asarray((bottom - above) / (2.0 * (below - above)))
    if linear_in != "log_pressure":
        raise ConfigError(f"linear_in is 'pressure' or 'log_pressure', found {linear_in!r}")
    if not (levels > 0.0).all():
        raise RangeError("a profile linear in log pressure needs a top level above 0 hPa")
    ratio = bottom / above
    return np.asarray((ratio * np.log(ratio) - ratio + 1.0) / (np.log(below / above) * (ratio - 1.0)))


def half_split(layer_share: npt.ArrayLike) -> Floats:
    """Return level weights from layer shares: half of each layer to either side.

    Parameters
    ----------
    layer_share : array_like, shape (..., n - 1)
        Any additive quantity of layers.

    Returns
    -------
    ndarray of float64, shape (..., n)
        ``h_0 = f_0 / 2, h_i = (f_{i-1} + f_i) / 2, h_{n-1} = f_{n-2} / 2``; the sum is kept.
    """
    share = np.asarray(layer_share, dtype=np.float64)
    level = np.zeros((*share.shape[:-1], share.shape[-1] + 1))
    level[..., :-1] += 0.5 * share
    level[..., 1:] += 0.5 * share
    return level


def half_split_adjoint(level_values: npt.ArrayLike) -> Floats:
    """Return the means of neighbouring levels: layer means of a profile linear in pressure.

    Parameters
    ----------
    level_values : array_like, shape (..., n)
        Surface first.

    Returns
    -------
    ndarray of float64, shape (..., n - 1)
        The adjoint of `half_split`, so ``half_split(f) . x == f . half_split_adjoint(x)``.
    """
    x = np.asarray(level_values, dtype=np.float64)
    return np.asarray(0.5 * (x[..., 1:] + x[..., :-1]))
