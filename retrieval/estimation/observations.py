"""Retrieved profiles to rows of the observation table, by the column algebra that granules go through too."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xarray as xr

from obsnet.constants import GRAVITY
from obsnet.constants import species as species_of
from obsnet.errors import SchemaError
from obsnet.schema import Quality, observation_table
from obsnet.typing import Floats
from retrieval.columns.column_operator import ColumnOperator, column_kernel, normalise_kernel
from retrieval.columns.pressure_weights import layer_weights, level_weights
from retrieval.estimation.options import RetrievalOutcome

__all__ = ["column_table"]


def column_table(
    result: xr.Dataset,
    elements: npt.ArrayLike,
    pressure: npt.ArrayLike,
    *,
    species: str,
    time: npt.ArrayLike,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    source: str,
    platform: str,
    unit: str = "1",
    specific_humidity: npt.ArrayLike | None = None,
    gravity: npt.ArrayLike | None = None,
    rejected: npt.ArrayLike | None = None,
    identity: npt.ArrayLike | None = None,
    quality: npt.ArrayLike = 0,
    file_id: str | None = None,
    more: Mapping[str, npt.ArrayLike] | None = None,
) -> pa.Table:
    """Return an observation table of column averages with kernel, prior and pressure weights.

    Parameters
    ----------
    result : xarray.Dataset
        Of `estimate`.
    elements : array_like of int, shape (k,)
        Which elements are the profile of the gas, **surface first**: reverse them where the state is top first.
    pressure : array_like, shape (rows, k) or (k,), or (rows, k + 1) or (k + 1,)
        hPa, surface first: k levels, between which the profile is linear in pressure, or the edges of k layers.
    species : str
        Formula.
    time : array_like of datetime64, shape (rows,)
        UTC, middle.
    latitude, longitude : array_like, shape (rows,)
        Degrees north and east.
    source, platform : str
        Name of the rows' source, with its version, and of the instrument.
    unit : str
        Of the elements as a CF number: ``"1"`` is mol mol-1, ``"1e-6"`` ppm. Dry mole fractions.
    specific_humidity, gravity : array_like, optional
        Of the layers, see `retrieval.level_weights`.
    rejected : array_like of bool, shape (rows,), optional
        Soundings that a screen turned down (clouds); they get the bit ``SCREEN``.
    identity : array_like, shape (rows,), optional
        The instrument's own names of the soundings; numbered without.
    quality : array_like of int, shape (rows,)
        Further bits of `obsnet.schema.Quality`.
    file_id : str, optional
        First 16 digits of the sha256 of the file of spectra; without one of the retrieved values.
    more : mapping of str to array_like, optional
        Further columns of the contract, e.g. ``altitude_m``.

    Returns
    -------
    pyarrow.Table
        ``value = h . x``, ``uncertainty = sqrt(h^T S h)``, ``averaging_kernel = (h A)_j / h_j``, ``prior_profile``,
        ``prior_column = h . x_a``, ``quality_original`` the outcome. A sounding that did not converge gets the bit
        ``PRODUCER``, one whose fit is poor in some band ``SUSPECT``; none is dropped.

    Raises
    ------
    SchemaError
        Elements or pressure that do not fit.
    RangeError
        Pressure that is not in hPa, surface first.
    """
    place = np.asarray(elements)
    rows, n = result.sizes["sounding"], result.sizes["state"]
    k = len(place)
    if place.ndim != 1 or place.dtype.kind not in "iu" or k < 2 or place.min() < 0 or place.max() >= n:
        raise SchemaError(f"elements must be numbers from 0 to {n - 1}, at least two, found {elements!r}")
    p = np.asarray(pressure, dtype=np.float64)
    if p.shape[-1] not in (k, k + 1):
        raise SchemaError(
            f"a profile of {k} needs {k} levels or {k + 1} edges, found {p.shape[-1]} pressures"
        )
    p = np.broadcast_to(p, (rows, p.shape[-1]))
    layers = p.shape[-1] == k + 1
    weigh = layer_weights if layers else level_weights
    weights = weigh(p, specific_humidity, gravity=GRAVITY if gravity is None else gravity).weight
    factor = float(unit) / float(species_of(species).unit)
    value, prior = (np.asarray(result[name])[:, place] * factor for name in ("value", "prior"))
    block = np.ix_(np.arange(rows), place, place)
    covariance = np.asarray(result["covariance"])[block] * factor**2
    kernel = normalise_kernel(column_kernel(weights, np.asarray(result["averaging_kernel"])[block]), weights)
    outcome = np.asarray(result["outcome"])
    known = np.isfinite(value).all(axis=1)
    kernel[~known] = 0.0  # a row without a result says nothing; its quality tells
    operator = ColumnOperator(
        p, weights, kernel, prior, np.sum(weights * prior, axis=1), "layer" if layers else "level"
    )
    columns = {
        "obs_id": _identities(source, identity, rows),
        "platform": np.full(rows, platform),
        "time": np.broadcast_to(np.asarray(time, dtype="datetime64[us]"), (rows,)),
        "latitude": np.broadcast_to(np.asarray(latitude, dtype=np.float64), (rows,)),
        "longitude": np.broadcast_to(np.asarray(longitude, dtype=np.float64), (rows,)),
        "value": np.sum(weights * value, axis=1),
        "uncertainty": _deviation(covariance, weights),
        "quality": _quality(outcome, rejected) | np.asarray(quality, dtype=np.uint32),
        "quality_original": np.array([RetrievalOutcome(o).name.lower() for o in outcome]),
        "vertical": np.full(rows, operator.vertical),
        "prior_column": operator.prior_column,
        "pressure_edges" if layers else "pressure_levels": operator.pressure,
        "pressure_weight": operator.weight,
        "averaging_kernel": operator.kernel,
        "prior_profile": operator.prior_profile,
        **{name: np.asarray(values) for name, values in (more or {}).items()},
    }
    digest = file_id or hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:16]
    return observation_table(columns, species=species, kind="column", source=source, file_id=digest)


def _deviation(covariance: Floats, weights: Floats) -> Floats:
    return np.asarray(np.sqrt(np.maximum(np.einsum("ri,rij,rj->r", weights, covariance, weights), 0.0)))


def _quality(outcome: np.ndarray, rejected: npt.ArrayLike | None) -> np.ndarray:
    quality = np.zeros(len(outcome), dtype=np.uint32)
    quality[outcome > RetrievalOutcome.CONVERGED_POOR_FIT] |= Quality.PRODUCER.value
    quality[outcome == RetrievalOutcome.CONVERGED_POOR_FIT] |= Quality.SUSPECT.value
    if rejected is not None:
        quality[np.broadcast_to(np.asarray(rejected, dtype=bool), quality.shape)] |= Quality.SCREEN.value
    return quality


def _identities(source: str, identity: npt.ArrayLike | None, rows: int) -> np.ndarray:
    own = np.arange(rows) if identity is None else np.asarray(identity)
    if own.shape != (rows,) or len(np.unique(own)) != rows:
        raise SchemaError(f"identity must hold {rows} different names, found shape {own.shape}")
    return np.array([f"{source}:{name}" for name in own])
