"""Model profiles onto a product's own vertical grid, forward and adjoint.

Layers are remapped by the overlap of pressure intervals, which conserves the column, and so are levels, each
of which stands for the air half way to its neighbours; `interpolate_levels` is for profiles that are themselves
known on levels. All are linear maps, one small matrix a sounding, applied without being kept. Surface first.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from obsnet.errors import ConfigError, SchemaError
from obsnet.typing import Bools, Floats
from retrieval.columns.pressure_weights import check_pressure

__all__ = [
    "average_levels",
    "average_levels_adjoint",
    "edges_between",
    "interpolate_levels",
    "overlap_layers",
    "overlap_layers_adjoint",
]


@numba.njit(cache=True)
def _overlap(model: Floats, product: Floats, values: Floats, out: Floats, adjoint: bool) -> None:
    """Add ``W values`` (or its transpose) to `out`; W[l, i] = overlap(l, i) / thickness(l); surface first."""
    for row in range(product.shape[0]):
        first = 0
        for layer in range(product.shape[1] - 1):
            bottom, top = product[row, layer], product[row, layer + 1]
            while first < model.shape[1] - 2 and model[row, first + 1] >= bottom:
                first += 1
            i = first
            while i < model.shape[1] - 1 and model[row, i] > top:
                shared = min(bottom, model[row, i]) - max(top, model[row, i + 1])
                if shared > 0.0:
                    weight = shared / (bottom - top)
                    if adjoint:
                        out[row, i] += weight * values[row, layer]
                    else:
                        out[row, layer] += weight * values[row, i]
                i += 1


@numba.njit(cache=True)
def _interpolate(model: Floats, product: Floats, values: Floats, out: Floats) -> None:
    """Write ``W values`` to `out`; linear in the coordinate given, constant under ground.

    Product levels above the highest model level have a row of zeros.
    """
    last = model.shape[1] - 1
    for row in range(product.shape[0]):
        for level in range(product.shape[1]):
            p = product[row, level]
            if p < model[row, last]:
                continue
            i = 0
            while i < last - 1 and model[row, i + 1] > p:
                i += 1
            upper = (model[row, i] - p) / (model[row, i] - model[row, i + 1])
            upper = min(max(upper, 0.0), 1.0)
            out[row, level] = (1.0 - upper) * values[row, i] + upper * values[row, i + 1]


def _fit_edges(model: Floats, product: Floats, surface: str, *, extend: bool = True) -> Floats:
    """Return model edges whose surface is the product's, and which reach the product's top if asked to."""
    edges = model.copy()
    target = product[:, :1]
    if surface == "scale":
        # sigma: the whole column is stretched, the top edge stays where it is
        edges = edges[:, -1:] + (edges - edges[:, -1:]) * (target - edges[:, -1:]) / (
            edges[:, :1] - edges[:, -1:]
        )
    elif surface == "clip":
        edges = np.minimum(edges, target)
        edges[:, 0] = target[:, 0]
    else:
        raise ConfigError(f"surface is 'scale' or 'clip', found {surface!r}")
    if extend:
        edges[:, -1] = np.minimum(edges[:, -1], product[:, -1])
    return edges


def _rows(values: npt.ArrayLike, rows: int, name: str, length: int | None = None) -> Floats:
    array = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if (
        array.ndim != 2
        or array.shape[0] not in {1, rows}
        or (length is not None and array.shape[1] != length)
    ):
        wanted = "any" if length is None else length
        raise SchemaError(f"{name} must have {rows} rows of {wanted} values, found shape {array.shape}")
    return np.ascontiguousarray(np.broadcast_to(array, (rows, array.shape[1])))


def _pressures(model: npt.ArrayLike, product: npt.ArrayLike) -> tuple[Floats, Floats]:
    product = np.atleast_2d(np.asarray(product, dtype=np.float64))
    rows = max(product.shape[0], np.atleast_2d(np.asarray(model)).shape[0])
    pair = (_rows(model, rows, "model pressure"), _rows(product, rows, "product pressure"))
    for name, p in zip(("model", "product"), pair, strict=True):
        check_pressure(p, f"{name} pressure")
    return pair


def overlap_layers(
    values: npt.ArrayLike, model_edges: npt.ArrayLike, product_edges: npt.ArrayLike, *, surface: str = "scale"
) -> Floats:
    """Return the means of a model profile over a product's layers.

    Parameters
    ----------
    values : array_like, shape (rows, m)
        Layer means of the model, dry mole fraction, surface first.
    model_edges : array_like, shape (m + 1,) or (rows, m + 1)
        hPa, surface first.
    product_edges : array_like, shape (n + 1,) or (rows, n + 1)
        hPa, surface first.
    surface : {"scale", "clip"}
        What to do where the two surfaces differ. ``scale`` stretches the model column to the product's
        surface pressure, so that its column average is kept. ``clip`` leaves the pressures alone: layers
        under the product's ground are lost, and the lowest layer is extended down to it.

    Returns
    -------
    ndarray of float64, shape (rows, n)
        With ``scale``: ``sum_l dp_l x_l / sum_l dp_l`` equals the model's own. Where the model ends below the
        product's top, its highest layer is extended to there.

    Notes
    -----
    ``W[l, i] = overlap(dp_l, dp_i) / dp_l``: each row sums to one.
    """
    model, product = _pressures(model_edges, product_edges)
    x = _rows(values, len(product), "model values", model.shape[1] - 1)
    out = np.zeros((len(product), product.shape[1] - 1))
    _overlap(_fit_edges(model, product, surface), product, x, out, False)
    return out


def overlap_layers_adjoint(
    sensitivity: npt.ArrayLike,
    model_edges: npt.ArrayLike,
    product_edges: npt.ArrayLike,
    *,
    surface: str = "scale",
) -> Floats:
    """Return the adjoint of `overlap_layers`: product layers (rows, n) -> model layers (rows, m)."""
    model, product = _pressures(model_edges, product_edges)
    s = _rows(sensitivity, len(product), "sensitivity", product.shape[1] - 1)
    out = np.zeros((len(product), model.shape[1] - 1))
    _overlap(_fit_edges(model, product, surface), product, s, out, True)
    return out


def edges_between(pressure: npt.ArrayLike) -> Floats:
    """Return the edges (..., m + 1) of layers from their middles (..., m), hPa, surface first.

    Edges lie half way between; the first and the last layer reach as far beyond their middle as before it, but
    not beyond 0 hPa.
    """
    p = np.asarray(pressure, dtype=np.float64)
    between = 0.5 * (p[..., 1:] + p[..., :-1])
    ends = 2.0 * p[..., [0, -1]] - between[..., [0, -1]]
    return np.concatenate([ends[..., :1], between, np.maximum(ends[..., 1:], 0.0)], axis=-1)


def _level_cells(product_levels: Floats) -> Floats:
    """Return the edges (rows, n + 1) of the air that each level stands for: half way to its neighbours."""
    between = 0.5 * (product_levels[:, 1:] + product_levels[:, :-1])
    return np.concatenate([product_levels[:, :1], between, product_levels[:, -1:]], axis=1)


def average_levels(
    values: npt.ArrayLike,
    model_edges: npt.ArrayLike,
    product_levels: npt.ArrayLike,
    *,
    surface: str = "scale",
) -> tuple[Floats, Floats]:
    """Return the means of a model profile over the air that a product's levels stand for.

    Parameters
    ----------
    values : array_like, shape (rows, m)
        Layer means of the model, dry mole fraction, surface first.
    model_edges : array_like, shape (m + 1,) or (rows, m + 1)
        hPa, surface first.
    product_levels : array_like, shape (n,) or (rows, n)
        hPa, surface first.
    surface : {"scale", "clip"}
        See `overlap_layers`.

    Returns
    -------
    part : ndarray of float64, shape (rows, n)
        ``sum_i W_li x_i``.
    covered : ndarray of float64, shape (rows, n)
        ``sum_i W_li``: 1, less where the model ends below the level's air, 0 above the model's top. What is
        missing must come from elsewhere, from the prior for one.

    Notes
    -----
    A level of a column product is weighed by half of either layer beside it (`half_split`), so the mean of these
    means by those weights is the mean of the model's column: a layer thinner than the product's keeps its mass.
    A profile read off at the levels does not: +20 ppm in the lowest 15 hPa of 1000 make 0.3 ppm of the column,
    and 0.5 on the 20 levels of ACOS.
    """
    model, product = _pressures(model_edges, product_levels)
    x = _rows(values, len(product), "model values", model.shape[1] - 1)
    edges, cells = _fit_edges(model, product, surface, extend=False), _level_cells(product)
    part, covered = np.zeros(product.shape), np.zeros(product.shape)
    _overlap(edges, cells, x, part, False)
    _overlap(edges, cells, np.ones_like(x), covered, False)
    return part, covered


def average_levels_adjoint(
    sensitivity: npt.ArrayLike,
    model_edges: npt.ArrayLike,
    product_levels: npt.ArrayLike,
    *,
    surface: str = "scale",
) -> Floats:
    """Return the adjoint of `average_levels`: product levels (rows, n) -> model layers (rows, m)."""
    model, product = _pressures(model_edges, product_levels)
    s = _rows(sensitivity, len(product), "sensitivity", product.shape[1])
    out = np.zeros((len(product), model.shape[1] - 1))
    _overlap(_fit_edges(model, product, surface, extend=False), _level_cells(product), s, out, True)
    return out


def _coordinates(model: npt.ArrayLike, product: npt.ArrayLike, linear_in: str) -> tuple[Floats, Floats]:
    pair = _pressures(model, product)
    if linear_in == "pressure":
        return pair
    if linear_in != "log_pressure":
        raise ConfigError(f"linear_in is 'pressure' or 'log_pressure', found {linear_in!r}")
    return np.log(pair[0]), np.log(np.maximum(pair[1], 1e-6))


def interpolate_levels(
    values: npt.ArrayLike,
    model_pressure: npt.ArrayLike,
    product_levels: npt.ArrayLike,
    *,
    linear_in: str = "pressure",
) -> tuple[Floats, Bools]:
    """Return a model profile on a product's levels.

    Parameters
    ----------
    values : array_like, shape (rows, m)
        Dry mole fraction at `model_pressure`, surface first.
    model_pressure : array_like, shape (m,) or (rows, m)
        hPa, surface first.
    product_levels : array_like, shape (n,) or (rows, n)
        hPa, surface first.
    linear_in : {"pressure", "log_pressure"}
        Coordinate of the interpolation.

    Returns
    -------
    profile : ndarray of float64, shape (rows, n)
        Below the lowest model level its value; above the highest one 0.
    known : ndarray of bool, shape (rows, n)
        False above the highest model level: let the prior stand there.
    """
    model, product = _coordinates(model_pressure, product_levels, linear_in)
    x = _rows(values, len(product), "model values", model.shape[1])
    out = np.zeros(product.shape)
    _interpolate(model, product, x, out)
    return out, product >= model[:, -1:]
