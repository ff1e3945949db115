"""The observation error of a case: measurement, transport and representation, sampling of the footprints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import scipy.sparse as sp

from inversion.case.inputs.evaluation import orbits, passes
from inversion.case.options import ErrorOptions
from inversion.jacobian.store import Jacobian
from inversion.operators.covariance import Covariance, DiagonalCovariance
from inversion.operators.observation_error import MarkovError
from obsnet.errors import ConfigError, nearest
from obsnet.run_words import line
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats, Ints, Texts

__all__ = ["ErrorParts", "error_parts", "sampling_variance"]


@dataclass(frozen=True, eq=False)
class ErrorParts:
    """The observation error of a case in its parts.

    Attributes
    ----------
    own : ndarray, shape (n_obs,)
        Variance of measurement and of the footprints' sampling, as far as that is not `sampled`.
    model : ndarray, shape (n_obs,)
        Standard deviation of transport and representation, without what an overpass has in common.
    common : ndarray, shape (n_obs,)
        Standard deviation of that; 0 at stations. It is an unknown of the state, see `shared_blocks`, and not in R.
    overpass : ndarray of str, shape (n_obs,)
        Pass of the satellite, or the station.
    sampled : ndarray, shape (n_obs,)
        Standard deviation of the sampling error that observations with the same particles have in common, 0 where
        they have their own. An unknown of the state too.
    swarm : ndarray of str, shape (n_obs,)
        Which particles, "" where the footprints share none.
    key : ndarray of str, shape (n_obs,)
        Option within ``[invert.error]`` that gave it: ``point``, ``column``, ``source.<name>`` or ``platform.<name>``.
    memory : ndarray of str, shape (n_obs,)
        Option that gives its correlation length, ``correlation_hours`` or ``along_track_km``; empty for none.
    group, position : ndarray, shape (n_obs,)
        Station or orbit that shares it; hours or km there.
    length : dict of str to float
        The correlation lengths.
    notes : tuple of str
        What errors have in common, for people and the output.
    """

    own: Floats
    model: Floats
    common: Floats
    overpass: Texts
    sampled: Floats
    swarm: Texts
    key: Texts
    memory: Texts
    group: Ints
    position: Floats
    length: dict[str, float]
    notes: tuple[str, ...] = ()

    def covariance(self) -> Covariance:
        """Return R."""
        if not self.length:
            return DiagonalCovariance(self.own + self.model**2)
        length = np.array([self.length.get(m, 1.0) for m in self.memory])
        return MarkovError(self.own, self.model, self.group, self.position / length, 1.0)

    def select(self, rows: npt.NDArray[Any]) -> ErrorParts:
        """Return the parts of some observations."""
        errors, labels = ("own", "model", "common", "sampled"), ("overpass", "swarm", "key", "memory")
        names = (*errors, *labels, "group", "position")
        return replace(self, **{n: getattr(self, n)[rows] for n in names})


def error_parts(options: ErrorOptions, table: pa.Table, sampling: Floats | float = 0.0) -> ErrorParts:
    """Return the observation error: measurement, transport and representation, and the footprints' sampling error.

    Parameters
    ----------
    options : ErrorOptions
        The table ``[invert.error]``: the model's part.
    table : pyarrow.Table
        Observations: ``source, kind, platform, time, latitude, longitude, uncertainty``, and ``transport_variance`` of
        `inversion.case.inputs.reading.with_transport_error` where that was asked for, ``particles_of`` of
        `inversion.case.inputs.reading.with_particles` where footprints share particles.
    sampling : ndarray, shape (n_obs,), or float
        Further variance, see `sampling_variance`.

    Raises
    ------
    ConfigError
        No model error for a kind of observation that is there.
    """
    source, kind, platform = (
        table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("source", "kind", "platform")
    )
    given = {n: v for n in ("column", "point") if (v := getattr(options, n)) is not None}
    model, key = np.full(len(table), np.nan), np.full(len(table), "", dtype=object)
    for name, value in given.items():
        model[kind == name], key[kind == name] = value, name
    for table_name, labels in (("source", source), ("platform", platform)):
        for name, value in getattr(options, table_name).items():
            if name not in labels:
                raise ConfigError(
                    f"[invert.error.{table_name}] no observation is from {name!r}{nearest(name, set(labels))}"
                )
            model[labels == name], key[labels == name] = value, f"{table_name}.{name}"
    bare = np.isnan(model)
    if bare.any():
        raise ConfigError(
            f"set invert.error.{kind[bare][0]} (transport and representation error): "
            f"{int(bare.sum())} observations are of that kind, first of {source[bare][0]!r}"
        )
    swarm, sampled = _sampled(table, sampling)
    own = table["uncertainty"].to_numpy(zero_copy_only=False).astype(np.float64) ** 2
    own += np.where(sampled > 0.0, 0.0, sampling)
    share = np.where(kind == "column", options.overpass_share, 0.0)
    points, averaged = kind == "point", _hours(table)
    if options.correlation_hours > 0.0:
        model[points] *= np.sqrt(_averaged(averaged[points] / options.correlation_hours)[0])
    model = np.hypot(model, np.sqrt(_transport(options, table)))
    memory, group, position = _neighbours(options, table, kind, platform, averaged)
    length = {m: float(getattr(options, m)) for m in np.unique(memory) if m}
    own_part, common = np.sqrt(1.0 - share) * model, np.sqrt(share) * model
    parts = ErrorParts(
        own, own_part, common, passes(table), sampled, swarm, key.astype(str), memory, group, position, length
    )
    return replace(
        parts, notes=(*_described(options, parts), *_sampled_notes(parts), *_transport_notes(options, table))
    )


def _transport(options: ErrorOptions, table: pa.Table) -> Floats:
    """Return the variance that a file gives to each observation; an estimate below 0 is 0."""
    if options.transport is None:
        return np.zeros(len(table))
    if "transport_variance" not in table.column_names:
        raise ConfigError(
            "error.transport: a file of transport errors is for observations with footprints; leave it out"
        )
    return np.maximum(table["transport_variance"].to_numpy().astype(np.float64), 0.0)


def _sampled(table: pa.Table, sampling: Floats | float) -> tuple[Texts, Floats]:
    """Return whose particles each observation has, and its sampling error where others have the same."""
    if "particles_of" not in table.column_names:
        return np.full(len(table), ""), np.zeros(len(table))
    swarm = table["particles_of"].to_numpy(zero_copy_only=False).astype(str)
    _, which, count = np.unique(swarm, return_inverse=True, return_counts=True)
    return swarm, np.sqrt(np.where(count[which] > 1, sampling, 0.0))


def _sampled_notes(errors: ErrorParts) -> tuple[str, ...]:
    shared = errors.sampled > 0.0
    if not shared.any():
        return ()
    cells = np.unique(errors.swarm[shared]).size
    return (line("sampled together", n=int(shared.sum()), cells=cells),)


def _neighbours(
    options: ErrorOptions, table: pa.Table, kind: Texts, platform: Texts, averaged: Floats
) -> tuple[Texts, Ints, Floats]:
    """Return which length an observation's model error has, what it shares it with, and where it lies there.

    Stations are groups in time (hours; longer ago where rows are means over `averaged` hours), orbits groups along the
    track (straight distance from the orbit's first sounding, km); kinds without a correlation are groups of one.
    """
    n = len(table)
    time = table["time"].to_numpy()
    memory, group, position = np.full(n, "", dtype="<U17"), np.arange(n), np.zeros(n)
    points = np.flatnonzero(kind == "point")
    if options.correlation_hours > 0.0 and points.size:
        memory[points] = "correlation_hours"
        group[points] = n + np.unique(platform[points], return_inverse=True)[1]
        hours = time.astype("datetime64[us]").astype(np.int64) / 3.6e9
        for station in np.unique(group[points]):
            rows = points[group[points] == station]
            position[rows] = hours[rows] / _stretch(hours[rows], averaged[rows], options.correlation_hours)
    columns = np.flatnonzero(kind == "column")
    if options.along_track_km > 0.0 and columns.size:
        memory[columns] = "along_track_km"
        number = orbits(platform[columns], time[columns])
        group[columns] = 2 * n + number
        place = unit_vectors(table["latitude"].to_numpy()[columns], table["longitude"].to_numpy()[columns])
        order = np.lexsort((time[columns], number))
        first = order[np.flatnonzero(np.diff(number[order], prepend=-1))]
        position[columns] = np.linalg.norm(place - place[first][number], axis=1) * EARTH_RADIUS_KM
    return memory, group, position


def _hours(table: pa.Table) -> Floats:
    """Return how long the air of each row was averaged, 0 where that is not known."""
    if not {"time_start", "time_end"} <= set(table.column_names):
        return np.zeros(len(table))
    start, end = (table[n].to_numpy().astype("datetime64[us]") for n in ("time_start", "time_end"))
    length = (end - start).astype("timedelta64[us]")
    return np.where(np.isnat(length), 0.0, length.astype(np.int64) / 3.6e9)


def _averaged(x: Floats) -> tuple[Floats, Floats]:
    """Return the variance of means over x memories of a process with correlation exp(-t), and their covariance.

    As shares of the variance of one moment: ``f = 2 (x - 1 + exp(-x)) / x^2``, and g of the covariance ``g exp(-d)``
    of means whose middles are d >= x memories apart, ``g = 2 (cosh x - 1) / x^2``.
    """
    long = x > 1e-3
    safe = np.where(long, np.minimum(x, 700.0), 1.0)
    variance = 2.0 * (safe + np.expm1(-safe)) / safe**2
    return np.where(long, variance, 1.0), np.where(long, 2.0 * (np.cosh(safe) - 1.0) / safe**2, 1.0)


def _stretch(hours: Floats, averaged: Floats, memory: float) -> float:
    """Return by how much longer the means of one station remember than its moments, at the distance they have.

    Means d memories apart have the variance f and the covariances ``g exp(-k d)``. What many of them know of a constant
    depends on ``f + 2 g sum exp(-k d)`` alone; an exponential memory of the right length gives them that.
    """
    if hours.size < 2:
        return 1.0
    x = float(np.mean(averaged)) / memory
    apart = max(float(np.median(np.diff(np.sort(hours)))) / memory, x)
    if apart <= 0.0:
        return 1.0
    f, g = (float(a[0]) for a in _averaged(np.array([x])))
    beside = 2.0 * g / np.expm1(min(apart, 700.0))
    return float(apart / np.log1p(2.0 * f / beside)) if beside > 0.0 else 1.0


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


def _transport_notes(options: ErrorOptions, table: pa.Table) -> tuple[str, ...]:
    if options.transport is None:
        return ()
    sigma = np.sqrt(_transport(options, table))
    low = int((table["transport_variance"].to_numpy() < 0.0).sum())
    return (
        f"error.transport: {np.median(sigma):.3g} in the median, {sigma.min():.3g} to {sigma.max():.3g}, from "
        f"{options.transport}" + (f"; {low} estimates below 0 taken as 0" if low else ""),
    )


def _described(options: ErrorOptions, errors: ErrorParts) -> tuple[str, ...]:
    """Return what the model error has in common, and why where that was chosen for the user."""
    found = []
    for name, concerned in (
        ("correlation_hours", errors.memory == "correlation_hours"),
        ("along_track_km", errors.memory == "along_track_km"),
        ("overpass_share", errors.common > 0.0),
    ):
        if concerned.any():
            why = (ErrorOptions.model_fields[name].description or "").split("; ", 1)[1]
            said = "as stated" if name in options.model_fields_set else f"not stated: {why}"
            found.append(f"error.{name} = {getattr(options, name):g}, {said}")
    return tuple(found)
