"""What a column sees of the air: its weights by pressure.

Each level stands for the air it represents, weighted by ``averaging_kernel * pressure_weight``. Levels whose kernel is
given per level are interpolated linearly between levels; those given per layer hold over the layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from obsnet.typing import Floats

__all__ = ["NO_PIECES", "Pieces", "pieces_of"]

# From the ground up: lower and upper pressure (Pa), weight at the lower and at the upper end.
Pieces = tuple[Floats, Floats, Floats, Floats]
NO_PIECES: Pieces = (np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))


def pieces_of(row: dict[str, Any], model: Floats) -> tuple[str, Pieces, float]:
    """Return why a column cannot be modelled ("" if it can), its weights by pressure, and its known part.

    Parameters
    ----------
    row : dict
        Of `obsnet.schema.OBSERVATIONS`.
    model : ndarray
        Pressures of the meteorology there, Pa, from the ground up.
    """
    if row["averaging_kernel"] is None or row["pressure_weight"] is None or row["prior_profile"] is None:
        return "no averaging kernel, pressure weights and prior profile", NO_PIECES, 0.0
    kernel, share, prior = (
        np.asarray(row[k], float) for k in ("averaging_kernel", "pressure_weight", "prior_profile")
    )
    layered = row["pressure_edges"] is not None
    axis = row["pressure_edges"] if layered else row["pressure_levels"]
    if axis is None:
        return "no pressures of the profile", NO_PIECES, 0.0
    pressure = 100.0 * np.asarray(axis, float)
    n = kernel.size
    if share.size != n or prior.size != n or pressure.size != n + int(layered):
        return (
            f"profiles of {n}, {share.size}, {prior.size} and {pressure.size} entries do not fit together",
            NO_PIECES,
            0.0,
        )
    if not (
        np.isfinite(pressure).all()
        and np.isfinite(kernel * share * prior).all()
        and (np.diff(pressure) < 0).all()
    ):
        return "profiles are not finite, or pressures do not fall from the surface up", NO_PIECES, 0.0
    # The retrieval's ground is the model's ground: pressures scale with the surface pressure.
    pressure = np.maximum(pressure * model[0] / pressure[0], 0.0)
    top = float(model[-1])
    weight = kernel * share
    above = np.zeros(n)
    pieces: list[list[float]] = []  # lower and upper pressure, weight at the lower and the upper end
    if layered:
        for k in range(n):
            low, high = pressure[k], pressure[k + 1]
            inside = np.clip((low - max(high, top)) / (low - high), 0.0, 1.0)
            above[k] = 1.0 - inside
            if inside > 0.0:
                pieces.append([low, max(high, top), 0.5 * weight[k] * inside, 0.5 * weight[k] * inside])
    else:
        span = np.empty(n)  # the air that belongs to a level: half of each neighbouring layer
        gaps = -np.diff(pressure)
        span[0], span[-1], span[1:-1] = gaps[0], gaps[-1], gaps[1:] + gaps[:-1]
        above = np.ones(n)
        for k in range(n - 1):
            low, high = pressure[k], pressure[k + 1]
            if low <= top:
                break
            ends_w = [weight[k] * gaps[k] / span[k], weight[k + 1] * gaps[k] / span[k + 1]]
            inside = np.clip((low - top) / (low - high), 0.0, 1.0)
            # A layer cut by the top keeps the linear weight up to the cut.
            kept = [inside * (2.0 - inside), inside**2]
            above[k] -= kept[0] * gaps[k] / span[k]
            above[k + 1] -= kept[1] * gaps[k] / span[k + 1]
            cut = (1.0 - inside) * ends_w[0] + inside * ends_w[1]
            pieces.append([low, max(high, top), inside * ends_w[0], inside * cut])
    known = float(np.sum((share - weight) * prior) + np.sum(above * weight * prior))
    if not pieces:
        return "no level below the top of the meteorology", NO_PIECES, 0.0
    lower, upper, w0, w1 = np.array(pieces).T
    if not np.any(w0) and not np.any(w1):
        return "the averaging kernel is zero below the top of the meteorology", NO_PIECES, 0.0
    return "", (lower, upper, w0, w1), known
