"""Fixed-rank kriging: a field as a sum of a few hundred bumps, fitted to any number of observations by EM.

``z = X beta + S eta + xi + error``: a mean, bisquare functions S of several widths in space and time with
random coefficients eta, fine-scale variation xi that is independent from cell to cell, and measurement
errors of the stated sizes times one factor. Coefficients of one resolution have an exponential covariance with its
own variance and lengths, so that the model holds also where there are no data.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numba
import numpy as np
import numpy.typing as npt
from scipy import linalg, optimize, sparse
from threadpoolctl import threadpool_limits

from obsnet.errors import RangeError, ResourceError
from obsnet.provenance import available_memory
from obsnet.sphere import EARTH_RADIUS_KM, unit_vectors
from obsnet.typing import Floats, Ints
from obsnet.work.progress import progress
from retrieval.mapping.bisquares import Bisquares, Resolution

__all__ = ["FixedRank", "fit_fixed_rank", "in_one_cell", "mean_exponential", "memory_gib"]

_MATRICES = 8  # of all functions by all, that a fit holds at once
_PULL = 0.1  # e-folds of the stated error variances that cost as much as an error of one standard deviation


@dataclass
class _Block:
    """The prior of one resolution's coefficients: a variance times exponentials in space and time."""

    distance_km: Floats
    lag: Floats
    variance: float
    length_km: float
    length_days: float

    @classmethod
    def start(cls, r: Resolution, variance: float) -> _Block:
        chord = np.linalg.norm(r.centres[:, None] - r.centres[None], axis=2)
        km = 2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chord / 2.0, 1.0))
        lag = np.abs(r.days[:, None] - r.days[None])
        return cls(km, lag, variance, r.radius_km, r.radius_days)

    def parts(self, length_km: float, length_days: float) -> tuple[Floats, Floats]:
        return np.exp(-self.distance_km / length_km), np.exp(-self.lag / length_days)

    def inverse(self) -> tuple[Floats, float]:
        """Return K^-1 and log |K|."""
        (space, log_space), (time, log_time) = map(_invert, self.parts(self.length_km, self.length_days))
        m, k = len(space), len(time)
        log = k * log_space + m * log_time + m * k * float(np.log(self.variance))
        return np.asarray(np.kron(space, time) / self.variance, np.float64), log

    def update(self, moment: Floats) -> None:
        """Take the parameters that best explain the second moment of the coefficients (M step)."""
        m, k = len(self.distance_km), len(self.lag)
        cube = moment.reshape(m, k, m, k)

        def variance_and_cost(p: Floats) -> tuple[float, float]:
            # the variance that is best for given lengths is known, which leaves two numbers to search
            (space, log_space), (time, log_time) = map(_invert, self.parts(*np.exp(p)))
            variance = float(np.sum(space * np.einsum("iajb,ab->ij", cube, time))) / (m * k)
            return variance, k * log_space + m * log_time + m * k * float(np.log(max(variance, 1e-300)))

        here = np.log([self.length_km, self.length_days])
        extent = np.log([self.distance_km.max() or 4e3, self.lag.max() or 4.0])
        found = optimize.minimize(
            lambda p: variance_and_cost(p)[1],
            here,
            method="L-BFGS-B",
            bounds=list(zip(extent - np.log(80.0), extent + np.log(5.0), strict=True)),
            options={"maxiter": 2},
        )
        # a step that does not help is not taken, so that the likelihood never falls
        best = found.x if found.fun <= variance_and_cost(here)[1] else here
        self.length_km, self.length_days = (float(v) for v in np.exp(best))
        self.variance = max(variance_and_cost(best)[0], 1e-12)


def _invert(matrix: Floats) -> tuple[Floats, float]:
    """Return the inverse of a positive definite matrix and the logarithm of its determinant."""
    factor = linalg.cholesky(matrix, lower=True)
    lower, _ = linalg.lapack.dpotri(factor, lower=1)  # a third of the work of solving for the identity
    return np.tril(lower) + np.tril(lower, -1).T, 2.0 * float(np.sum(np.log(np.diag(factor))))


@dataclass(frozen=True)
class FixedRank:
    """A fitted model.

    Parameters
    ----------
    basis : Bisquares
        S.
    mean : ndarray, shape (functions + columns of X,)
        Posterior mean of (eta, beta).
    covariance : ndarray
        Its posterior covariance.
    fine_variance : float
        Of xi.
    error_scale : float
        What the stated variances of the errors are multiplied with. Only its sum with `fine_variance` is well known
        where all observations state much the same error.
    likelihood : tuple of float
        Restricted log-likelihood after each iteration; never falls.
    lengths : tuple of dict
        Prior of each resolution: ``variance``, ``length_km``, ``length_days``.
    noise : float
        Stated variance of a typical error: the harmonic mean. Slivers of pixels state hundreds of times that of others
        and tell nothing; the plain mean is theirs.
    shared_variance, shared_km : float
        What neighbouring columns have in common beyond the functions: its variance, and the length of its exponential
        correlation; see `sharing`.
    coefficient_factor : float
        How many times the covariance of the coefficients is what it would be of independent columns.
    """

    basis: Bisquares
    mean: Floats
    covariance: Floats
    fine_variance: float
    error_scale: float
    likelihood: tuple[float, ...] = field(repr=False)
    lengths: tuple[dict[str, float], ...]
    noise: float
    shared_variance: float = 0.0
    shared_km: float = 1.0
    coefficient_factor: float = 1.0

    def sharing(
        self, share: float, km: float, left: float | None = None, coefficients: float = 1.0
    ) -> FixedRank:
        """Return the model with a part of what the functions leave over correlated from place to place.

        The functions are hundreds of kilometres wide, and xi and errors have structure that they do not resolve. Taken
        as independent it averages out of the mean of a block, in truth it does not; and neighbours that have it in
        common say less of the coefficients than as many independent ones. Nothing is foretold with it.

        Parameters
        ----------
        share : float
            Variance in common, in units of ``fine_variance`` and a typical error variance together.
        km : float
            Length of its exponential.
        left : float, optional
            What is left of `fine_variance` and the errors' variances beside it; by default the rest of 1.
        coefficients : float
            Factor of the coefficients' covariance.
        """
        rest = 1.0 - share if left is None else left
        return replace(
            self,
            fine_variance=rest * self.fine_variance,
            error_scale=rest * self.error_scale,
            shared_variance=share * (self.fine_variance + self.error_scale * self.noise),
            shared_km=km,
            coefficient_factor=coefficients,
        )

    def predict(
        self,
        latitude: npt.ArrayLike,
        longitude: npt.ArrayLike,
        days: npt.ArrayLike,
        design: npt.ArrayLike,
        *,
        value: npt.ArrayLike | None = None,
        error: npt.ArrayLike | None = None,
    ) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the field, fine scale included, at cells.

        Parameters
        ----------
        latitude, longitude, days : array_like, shape (m,)
            Cells, in the clock of the fit.
        design : array_like, shape (m, p)
            X there.
        value, error : array_like, shape (m,), optional
            What was observed of the cell itself, NaN where nothing was, and the stated standard deviation of its
            error: the cell's own xi is learnt from it.

        Returns
        -------
        mean, sd : ndarray of float64, shape (m,)
        """
        rows = sparse.hstack(
            [self.basis.evaluate(latitude, longitude, days), sparse.csr_array(np.asarray(design))]
        )
        matrix = sparse.csr_array(rows)
        mean = np.asarray(matrix @ self.mean, np.float64)
        variance = _quadratic_forms(matrix.indptr, matrix.indices, matrix.data, self.covariance)
        smooth = self.coefficient_factor * np.maximum(variance, 0.0)
        fine = self.fine_variance + self.shared_variance
        share = np.zeros(len(mean))
        if value is not None and error is not None:
            z, e = np.asarray(value, np.float64), np.asarray(error, np.float64)
            seen = np.isfinite(z) & np.isfinite(e)
            share[seen] = fine / (fine + self.error_scale * e[seen] ** 2)
            mean = np.where(seen, share * np.where(seen, z, 0.0) + (1.0 - share) * mean, mean)
        return mean, np.sqrt((1.0 - share) ** 2 * smooth + fine * (1.0 - share))

    def predict_means(
        self,
        latitude: npt.ArrayLike,
        longitude: npt.ArrayLike,
        days: npt.ArrayLike,
        design: npt.ArrayLike,
        cell: Ints,
        offsets: Ints,
    ) -> tuple[Floats, Floats]:
        """Return mean and standard deviation of the field's mean over groups of unseen places.

        Parameters
        ----------
        latitude, longitude, days, design
            See `predict`; the places of a group stand together.
        cell : ndarray of int64, shape (places,)
            Which places share one fine-scale value.
        offsets : ndarray of int64, shape (groups + 1,)
            Where each group begins.

        Returns
        -------
        mean, sd : ndarray of float64, shape (groups,)
        """
        number = np.diff(offsets)
        group = np.repeat(np.arange(len(number)), number)
        average = sparse.csr_array(
            (1.0 / number[group], (group, np.arange(len(group)))), shape=(len(number), len(group))
        )
        rows = sparse.hstack(
            [self.basis.evaluate(latitude, longitude, days), sparse.csr_array(np.asarray(design))]
        )
        matrix = sparse.csr_array(average @ sparse.csr_array(rows))
        smooth = _quadratic_forms(matrix.indptr, matrix.indices, matrix.data, self.covariance)
        fine = self.fine_variance * in_one_cell(cell, offsets)
        if self.shared_variance:
            fine = fine + self.shared_variance * mean_exponential(
                unit_vectors(latitude, longitude), offsets, self.shared_km
            )
        mean = np.asarray(matrix @ self.mean, np.float64)
        return mean, np.sqrt(self.coefficient_factor * np.maximum(smooth, 0.0) + fine)


def in_one_cell(cell: Ints, offsets: Ints) -> Floats:
    """Return which share of the pairs of places of each group lies in one cell, shape (groups,)."""
    number = np.diff(offsets)
    pairs, count = np.unique(
        np.stack([np.repeat(np.arange(len(number)), number), cell]), axis=1, return_counts=True
    )
    return np.asarray(np.bincount(pairs[0], (count / number[pairs[0]]) ** 2), np.float64)


@numba.njit(cache=True)
def mean_exponential(xyz: Floats, offsets: Ints, km: float) -> Floats:
    """Return the mean of ``exp(-distance / km)`` over all pairs of places of each group, each with itself too.

    Parameters
    ----------
    xyz : ndarray, shape (places, 3)
        Unit vectors.
    offsets : ndarray of int64, shape (groups + 1,)
        Where each group begins.
    km : float
        Of the chord, which within a block is as good as the arc.

    Returns
    -------
    ndarray of float64, shape (groups,)
    """
    out = np.empty(offsets.shape[0] - 1)
    for g in range(out.shape[0]):
        first, last = offsets[g], offsets[g + 1]
        total = float(last - first)
        for i in range(first, last):
            for j in range(first, i):
                chord = 0.0
                for axis in range(3):
                    chord += (xyz[i, axis] - xyz[j, axis]) ** 2
                total += 2.0 * np.exp(-np.sqrt(chord) * EARTH_RADIUS_KM / km)
        out[g] = total / (last - first) ** 2
    return out


def fit_fixed_rank(
    basis: Bisquares,
    latitude: npt.ArrayLike,
    longitude: npt.ArrayLike,
    days: npt.ArrayLike,
    value: npt.ArrayLike,
    uncertainty: npt.ArrayLike,
    design: npt.ArrayLike,
    *,
    iterations: int = 25,
    tolerance: float = 1e-3,
    start: FixedRank | None = None,
) -> FixedRank:
    """Fit the model by expectation and maximisation.

    Parameters
    ----------
    basis : Bisquares
        See `make_basis`.
    latitude, longitude, days, value, uncertainty : array_like, shape (n,)
        One observation a cell: average several of one cell first. Uncertainties are positive.
    design : array_like, shape (n, p)
        X, columns of the mean.
    iterations : int
        At most.
    tolerance : float
        Stop when the log-likelihood gains less than this times the number of observations over 1000.
    start : FixedRank, optional
        A fit with the same basis whose parameters to begin from; with no iteration they are kept.

    Returns
    -------
    FixedRank

    Raises
    ------
    RangeError
        Fewer observations than columns of X, values or errors that cannot be used.

    Notes
    -----
    Cressie and Johannesson (2008), doi:10.1111/j.1467-9868.2007.00633.x; EM after Katzfuss and Cressie
    (2011), doi:10.1111/j.1467-9892.2011.00732.x, with exponential covariances of the coefficients within a
    resolution as in Zammit-Mangion and Cressie (2021), doi:10.18637/jss.v098.i04. beta has a flat
    prior, so its uncertainty is in every prediction.
    """
    z, sigma = np.asarray(value, np.float64), np.asarray(uncertainty, np.float64)
    x = np.asarray(design, np.float64)
    if not (np.isfinite(z).all() and (sigma > 0).all() and np.isfinite(x).all()):
        raise RangeError("fixed-rank kriging needs finite values and positive uncertainties")
    if len(z) <= x.shape[1]:
        raise RangeError(f"{len(z)} observations cannot fit the {x.shape[1]} coefficients of the mean")
    _check_memory(len(basis) + x.shape[1])
    r, p = len(basis), x.shape[1]
    matrix = sparse.csr_array(sparse.hstack([basis.evaluate(latitude, longitude, days), sparse.csr_array(x)]))
    noise, scale = sigma**2, 1.0
    guess = np.linalg.lstsq(x, z, rcond=None)[0]
    z = z - x @ guess  # beta is flat, so nothing changes but the number of digits that are lost
    spread = max(float(np.var(z) - np.mean(noise)), 0.1 * float(np.mean(noise)))
    blocks = [_Block.start(res, 0.5 * spread / len(basis.resolutions)) for res in basis.resolutions]
    fine = 0.3 * spread
    if start is not None:
        fine, scale = start.fine_variance, start.error_scale
        for block, known in zip(blocks, start.lengths, strict=True):
            block.variance, block.length_km = known["variance"], known["length_km"]
            block.length_days = known["length_days"]
    history: list[float] = []
    # many small matrices: the threads of a linear algebra library mostly wait for each other
    with (
        threadpool_limits(1 if r + p < 3000 else None),
        progress(iterations, "iterations at most") as advance,
    ):
        for step in range(iterations + 1):
            mean, covariance, likelihood = _posterior(matrix, z, fine + scale * noise, blocks)
            history.append(likelihood)
            gain = history[-1] - history[-2] if step else np.inf
            if step == iterations or gain < tolerance * len(z) / 1000.0:
                break
            a = 0
            for block, res in zip(blocks, basis.resolutions, strict=True):
                piece = slice(a, a + len(res))
                block.update(covariance[piece, piece] + np.outer(mean[piece], mean[piece]))
                a += len(res)
            fine, scale = _small_variances(matrix, z, mean, covariance, fine, scale, noise)
            advance(1)
    lengths = tuple(
        {"variance": b.variance, "length_km": b.length_km, "length_days": b.length_days} for b in blocks
    )
    mean[r:] += guess
    return FixedRank(
        basis, mean, covariance, fine, scale, tuple(history), lengths, float(1.0 / np.mean(1.0 / noise))
    )


def memory_gib(functions: int) -> float:
    """Return the memory that a fit of so many functions takes, GiB: a few matrices of all by all."""
    return _MATRICES * 8.0 * functions**2 / 2**30


def _check_memory(functions: int) -> None:
    """Refuse what does not fit this machine before anything is allocated."""
    needed, free = memory_gib(functions), available_memory() / 2**30
    if needed > free:
        raise ResourceError(
            f"fixed-rank kriging is for regions: {functions} functions need {needed:.1f} GiB of memory, {free:.1f} GiB "
            "are free; take fewer functions by a wider spacing_km or spacing_days, a smaller region or shorter "
            "window_days, or method kriging"
        )


def _posterior(
    matrix: sparse.csr_array, z: Floats, variance: Floats, blocks: list[_Block]
) -> tuple[Floats, Floats, float]:
    """Return mean and covariance of (eta, beta), and the restricted log-likelihood (E step)."""
    weight = 1.0 / variance
    precision = (matrix.T @ matrix.multiply(weight[:, None])).toarray()
    a, log_prior = 0, 0.0
    for block in blocks:
        inverse, log = block.inverse()
        b = a + len(inverse)
        precision[a:b, a:b] += inverse
        log_prior += log
        a = b
    covariance, log_precision = _invert(precision)
    right = matrix.T @ (weight * z)
    mean = np.asarray(covariance @ right, np.float64)
    misfit = float(z @ (weight * z) - right @ mean)
    return mean, covariance, -0.5 * (log_prior + log_precision - float(np.sum(np.log(weight))) + misfit)


def _small_variances(
    matrix: sparse.csr_array,
    z: Floats,
    mean: Floats,
    covariance: Floats,
    fine: float,
    scale: float,
    noise: Floats,
) -> tuple[float, float]:
    """Return the variance of xi and the factor of the errors' that explain best what the functions leave (M step).

    xi and error of one observation are known only as their sum, of variance ``fine + scale noise``; taking them apart
    in the E step would take hundreds of iterations. A pull to the stated errors decides where all are alike.
    """
    square = (z - matrix @ mean) ** 2 + _quadratic_forms(
        matrix.indptr, matrix.indices, matrix.data, covariance
    )

    def cost(p: Floats) -> tuple[float, Floats]:
        parts = np.exp(p[0]), np.exp(p[1]) * noise
        variance = parts[0] + parts[1]
        slope = (1.0 - square / variance) / variance
        value = np.sum(np.log(variance) + square / variance) + (p[1] / _PULL) ** 2
        return float(value), np.array(
            [np.sum(slope * parts[0]), np.sum(slope * parts[1]) + 2.0 * p[1] / _PULL**2]
        )

    here = np.log([fine, scale])
    found = optimize.minimize(cost, here, jac=True, method="L-BFGS-B", bounds=[(-60.0, 60.0), (-9.0, 9.0)])
    best = found.x if found.fun <= cost(here)[0] else here
    return float(np.exp(best[0])), float(np.exp(best[1]))


@numba.njit(cache=True)
def _quadratic_forms(
    indptr: npt.NDArray[np.int32], indices: npt.NDArray[np.int32], data: Floats, matrix: Floats
) -> Floats:
    """Return ``s C s'`` of each sparse row s; a row touches a few dozen of a thousand functions."""
    out = np.zeros(indptr.shape[0] - 1)
    for row in range(out.shape[0]):
        first, last = indptr[row], indptr[row + 1]
        for a in range(first, last):
            total = 0.5 * data[a] * matrix[indices[a], indices[a]]
            for b in range(first, a):
                total += data[b] * matrix[indices[a], indices[b]]
            out[row] += 2.0 * data[a] * total
    return out
