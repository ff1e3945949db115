"""The observation error of a case: measurement, transport and representation, sampling of the footprints."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from inversion.covariance import Covariance, DiagonalCovariance
from inversion.evaluation import orbits
from inversion.jacobian import Jacobian
from inversion.kernels import EARTH_RADIUS_KM, unit_vectors
from inversion.observation_error import MarkovError
from inversion.options import InvertOptions
from obsnet.errors import ConfigError, nearest

__all__ = ["observation_error", "sampling_variance"]

Floats = npt.NDArray[np.float64]


def observation_error(
    options: InvertOptions, jacobian: Jacobian, table: pa.Table, total_flux: Floats
) -> Covariance:
    """Return R: measurement, transport and representation, and the footprints' sampling error.

    Parameters
    ----------
    options : InvertOptions
        ``error`` gives the model's part.
    jacobian : Jacobian
        With standard errors where it has them.
    table : pyarrow.Table
        Observations in the same order.
    total_flux : ndarray, shape (flux bins, cells)
        Prior flux in the state's unit: the sampling error is taken for the prior signal.

    Raises
    ------
    ConfigError
        No model error for a kind of observation that is there.
    """
    source, kind, platform = (
        table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("source", "kind", "platform")
    )
    model = np.full(len(table), np.nan)
    for name in ("column", "point"):
        value = getattr(options.error, name)
        if value is not None:
            model[kind == name] = value
    for name, value in options.error.source.items():
        if name not in source:
            raise ConfigError(
                f"[invert.error.source] no observation is from {name!r}{nearest(name, set(source))}"
            )
        model[source == name] = value
    bare = np.isnan(model)
    if bare.any():
        raise ConfigError(
            f"set invert.error.{kind[bare][0]} (transport and representation error): "
            f"{int(bare.sum())} observations are of that kind, first of {source[bare][0]!r}"
        )
    own = table["uncertainty"].to_numpy(zero_copy_only=False).astype(np.float64) ** 2
    if options.error.monte_carlo and jacobian.stderr is not None:
        own = own + sampling_variance(jacobian, total_flux)
    if options.error.correlation_hours <= 0.0 and options.error.along_track_km <= 0.0:
        return DiagonalCovariance(own + model**2)
    group, position = _neighbours(options, table, kind, platform)
    return MarkovError(own, model, group, position, 1.0)


def _neighbours(
    options: InvertOptions, table: pa.Table, kind: npt.NDArray[np.str_], platform: npt.NDArray[np.str_]
) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return what each observation shares its model error with, and where it lies in correlation lengths.

    Stations are groups in time, orbits groups along the track (straight distance from the orbit's first sounding);
    kinds without a correlation are groups of one.
    """
    n = len(table)
    time = table["time"].to_numpy()
    group, position = np.arange(n), np.zeros(n)
    hours, km = options.error.correlation_hours, options.error.along_track_km
    points = np.flatnonzero(kind == "point")
    if hours > 0.0 and points.size:
        group[points] = n + np.unique(platform[points], return_inverse=True)[1]
        position[points] = time[points].astype("datetime64[us]").astype(np.int64) / 3.6e9 / hours
    columns = np.flatnonzero(kind == "column")
    if km > 0.0 and columns.size:
        number = orbits(platform[columns], time[columns])
        group[columns] = 2 * n + number
        place = unit_vectors(table["latitude"].to_numpy()[columns], table["longitude"].to_numpy()[columns])
        order = np.lexsort((time[columns], number))
        first = order[np.flatnonzero(np.diff(number[order], prepend=-1))]
        away = np.linalg.norm(place - place[first][number], axis=1) * EARTH_RADIUS_KM
        position[columns] = away / km
    return group, position


def sampling_variance(jacobian: Jacobian, flux: Floats) -> Floats:
    """Return the variance of ``H f`` that comes from a finite number of particles, shape (n_obs,).

    Parameters
    ----------
    jacobian : Jacobian
        With ``stderr``; entries without one count as exact.
    flux : ndarray, shape (flux bins, cells)
        In the Jacobian's flux unit. Cells are taken as independent.
    """
    if jacobian.stderr is None:
        return np.zeros(jacobian.obs_id.size)
    squares = sp.csr_array(jacobian.stderr, dtype=np.float64, copy=True)
    squares.data = np.nan_to_num(squares.data, nan=0.0) ** 2
    return np.asarray(squares @ (flux.ravel() ** 2))
