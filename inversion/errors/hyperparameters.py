"""Sizes and lengths of the errors from the observations themselves: (restricted) maximum likelihood with gradients.

The innovations' covariance is a sum of terms, ``S(theta) = sum_b s_b^2 H_b B_b(l_b, t_b) H_b' + R(theta)``. The
parameters are logarithms of factors on standard deviations, of lengths and of times, so that none can become negative.
Value and gradient are

    L = (ln det S + ln det X'H'S^-1HX + d' Pi d) / 2,    dL = (tr(Pi dS) - d' Pi dS Pi d) / 2

with ``Pi = S^-1 - S^-1 HX (X'H'S^-1HX)^-1 X'H'S^-1``; without a trend Pi is S^-1 (Michalak et al. 2005, J. Geophys.
Res. 110, D24107, doi:10.1029/2005JD005970). Holds n_obs^2 numbers a parameter: for some thousands of observations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.operators.covariance import project
from inversion.operators.kernels import KERNEL_SLOPES, KERNELS, as_matrix
from inversion.operators.kronecker import KroneckerCovariance
from obsnet.errors import ConfigError, SolverError, nearest
from obsnet.typing import Bools, Floats
from obsnet.work.progress import progress

__all__ = [
    "HyperFit",
    "KroneckerTerm",
    "MatrixTerm",
    "ModelErrorTerm",
    "VarianceModel",
    "VarianceTerm",
    "fit_hyperparameters",
]


class VarianceTerm(Protocol):
    """A part of the innovations' covariance with parameters of its own."""

    @property
    def parameters(self) -> dict[str, float]:
        """Names and first guesses."""

    def parts(self, values: Mapping[str, float]) -> tuple[Floats, dict[str, Floats]]:
        """Return the part and its derivatives by the logarithms; one dimension stands for a diagonal matrix."""


@dataclass(frozen=True, eq=False)
class MatrixTerm:
    """A component that is known but for its size.

    Parameters
    ----------
    name : str
        Of the factor on its standard deviation.
    matrix : ndarray, shape (n_obs, n_obs) or (n_obs,)
        H B H' of the component, or the variances of independent errors.
    """

    name: str
    matrix: Floats

    @property
    def parameters(self) -> dict[str, float]:
        """See `VarianceTerm`."""
        return {self.name: 1.0}

    def parts(self, values: Mapping[str, float]) -> tuple[Floats, dict[str, Floats]]:
        """See `VarianceTerm`."""
        part = values[self.name] ** 2 * self.matrix
        return part, {self.name: 2.0 * part}


@dataclass(frozen=True, eq=False)
class KroneckerTerm:
    """A component of the prior error, separable in time and space.

    Parameters
    ----------
    names : tuple of str
        Of the factor on its standard deviation, of the correlation length (km) and of the correlation time (days).
    jacobian : ndarray or sparse, shape (n_obs, times * cells)
        Its columns of H.
    sigma : ndarray, shape (times * cells,)
        Standard deviation, of which the factor is estimated.
    distance_km : ndarray
        Between cells, see `inversion.operators.kernels.grid_distance` or `chord_km`.
    lag_days : ndarray, shape (times, times)
        Absolute time differences.
    length_km, days : float
        First guesses; 0 for no correlation, which then is no parameter.
    kernel : str
        In space, see `inversion.operators.kernels.KERNELS`; time is exponential.
    """

    names: tuple[str, str, str]
    jacobian: Any
    sigma: Floats
    distance_km: Floats
    lag_days: Floats
    length_km: float
    days: float
    kernel: str = "exponential"

    @property
    def parameters(self) -> dict[str, float]:
        """See `VarianceTerm`."""
        guesses = zip(self.names, (1.0, self.length_km, self.days), strict=True)
        return {name: guess for name, guess in guesses if guess > 0.0}

    def parts(self, values: Mapping[str, float]) -> tuple[Floats, dict[str, Floats]]:
        """See `VarianceTerm`."""
        size, length, time = self.names
        factor, far, lag = values[size] ** 2, self.distance_km, self.lag_days
        e = np.exp(-lag / values[time]) if self.days > 0.0 else np.eye(len(lag))
        d = KERNELS[self.kernel](far / values[length]) if self.length_km > 0.0 else (far == 0.0) * 1.0
        part = factor * self._project(e, d)
        slopes = {size: 2.0 * part}
        if self.length_km > 0.0:
            slopes[length] = factor * self._project(e, KERNEL_SLOPES[self.kernel](far / values[length]))
        if self.days > 0.0:
            slopes[time] = factor * self._project(lag / values[time] * e, d)
        return part, slopes

    def _project(self, time: Floats, space: Floats) -> Floats:
        """Return ``H diag(sigma) (E (x) D) diag(sigma) H'`` for any symmetric E and D."""
        scaled = (
            sp.csr_array(self.jacobian @ sp.diags_array(self.sigma))
            if sp.issparse(self.jacobian)
            else np.asarray(self.jacobian) * self.sigma
        )
        return project(scaled, _Product(time, as_matrix(space)))


class _Product(KroneckerCovariance):
    """E (x) D of matrices that need not be correlations."""

    def __init__(self, time: Floats, space: Any) -> None:
        self.time, self.space = time, space
        self.shape = (len(time), space.shape[0])
        self.sigma = np.ones(len(time) * space.shape[0])


@dataclass(frozen=True, eq=False)
class ModelErrorTerm:
    """Errors of the model, of one size a kind of observation, with memory inside groups.

    Parameters
    ----------
    sigma : mapping of str to ndarray (n_obs,)
        Name of a factor and the standard deviations it multiplies; each observation has one that is not zero.
    memory : mapping of str to ndarray of bool (n_obs,)
        Name of an e-folding length and the observations whose errors have it.
    length : mapping of str to float
        First guesses of these.
    group, position : ndarray, shape (n_obs,)
        Station or orbit; time or distance in the unit of the length.
    share : mapping of str to float
        Name and first guess of the share of the variance that all of an overpass have in common, at most one.
    overpass : ndarray of int, shape (n_obs,)
        Overpass; negative where nothing is shared.
    """

    sigma: Mapping[str, Floats]
    memory: Mapping[str, Bools] = field(default_factory=dict)
    length: Mapping[str, float] = field(default_factory=dict)
    group: npt.NDArray[Any] | None = None
    position: Floats | None = None
    share: Mapping[str, float] = field(default_factory=dict)
    overpass: npt.NDArray[Any] | None = None

    @property
    def parameters(self) -> dict[str, float]:
        """See `VarianceTerm`."""
        return {**dict.fromkeys(self.sigma, 1.0), **self.length, **self.share}

    def parts(self, values: Mapping[str, float]) -> tuple[Floats, dict[str, Floats]]:
        """See `VarianceTerm`."""
        own = {name: values[name] * sigma for name, sigma in self.sigma.items()}
        total = np.sum(list(own.values()), axis=0)
        if not self.memory and not self.share:
            return total**2, {name: 2.0 * sigma**2 for name, sigma in own.items()}
        c, slopes = np.eye(total.size), {}
        for name, concerned in self.memory.items():
            assert self.group is not None
            assert self.position is not None
            rows = np.flatnonzero(concerned)
            place = self.position[rows] / values[name]
            apart = np.abs(place[:, None] - place)
            near = np.where(self.group[rows, None] == self.group[rows], np.exp(-apart), 0.0)
            c[np.ix_(rows, rows)] = near
            slopes[name] = np.zeros_like(c)
            slopes[name][np.ix_(rows, rows)] = apart * near
        for name in self.share:
            assert self.overpass is not None
            rows, share = np.flatnonzero(self.overpass >= 0), values[name]
            same = (self.overpass[rows, None] == self.overpass[rows]) * 1.0
            block = np.ix_(rows, rows)
            for slope in slopes.values():
                slope[block] *= 1.0 - share
            slopes[name] = np.zeros_like(c)
            slopes[name][block] = share * (same - c[block])
            c[block] = (1.0 - share) * c[block] + share * same
        slopes = {name: np.outer(total, total) * slope for name, slope in slopes.items()}
        for name, sigma in own.items():
            half = np.outer(sigma, total) * c
            slopes[name] = half + half.T
        return np.outer(total, total) * c, slopes


@dataclass(frozen=True, eq=False)
class VarianceModel:
    """Everything that the likelihood depends on.

    Parameters
    ----------
    innovation : ndarray, shape (n_obs,)
        Observation minus prior simulation.
    terms : sequence of VarianceTerm
    known : ndarray, shape (n_obs,), optional
        Variances that are not in question, such as the instruments'.
    trend : ndarray, shape (n_obs, q), optional
        H X of trend coefficients that are integrated out (restricted likelihood).
    """

    innovation: Floats
    terms: Sequence[VarianceTerm]
    known: Floats | None = None
    trend: Floats | None = None

    @property
    def parameters(self) -> dict[str, float]:
        """Names and first guesses."""
        return {name: guess for term in self.terms for name, guess in term.parameters.items()}

    @property
    def degrees(self) -> int:
        """Observations less coefficients of the trend."""
        return self.innovation.size - (0 if self.trend is None else self.trend.shape[1])

    def matrices(self, values: Mapping[str, float]) -> tuple[Floats, dict[str, Floats]]:
        """Return S and its derivatives by the logarithm of each parameter; one dimension means a diagonal."""
        n = self.innovation.size
        total = np.diag(np.zeros(n) if self.known is None else np.asarray(self.known, dtype=np.float64))
        slopes: dict[str, Floats] = {}
        for term in self.terms:
            part, own = term.parts(values)
            if part.ndim == 1:
                total[np.diag_indices(n)] += part
            else:
                total += part
            # terms may share a parameter
            slopes |= {name: slopes[name] + slope if name in slopes else slope for name, slope in own.items()}
        return total, slopes

    def loss(self, values: Mapping[str, float]) -> tuple[float, dict[str, float]]:
        """Return minus the log likelihood and its gradient by the logarithms.

        Raises
        ------
        SolverError
            S is not positive definite at these values.
        """
        value, inverse, z, slopes = self._evaluate(values)
        gradient = {}
        for name, slope in slopes.items():
            if slope.ndim == 1:
                trace, quadratic = np.diagonal(inverse) @ slope, z**2 @ slope
            else:  # both symmetric: the trace of their product is the sum over elements
                trace, quadratic = np.einsum("ij,ij->", inverse, slope), z @ slope @ z
            gradient[name] = 0.5 * float(trace - quadratic)
        return value, gradient

    def fisher(self, values: Mapping[str, float]) -> Floats:
        """Return the Fisher information of the logarithms, in the order of `parameters`."""
        _, inverse, _, slopes = self._evaluate(values)
        products = [
            inverse * slopes[n] if slopes[n].ndim == 1 else inverse @ slopes[n] for n in self.parameters
        ]
        return np.array([[0.5 * float(np.einsum("ij,ji->", a, b)) for b in products] for a in products])

    def chi_square(self, values: Mapping[str, float]) -> float:
        """Return ``d' Pi d / (n_obs - q)``."""
        _, _, z, _ = self._evaluate(values)
        return float(self.innovation @ z) / self.degrees

    def _evaluate(self, values: Mapping[str, float]) -> tuple[float, Floats, Floats, dict[str, Floats]]:
        """Return minus the log likelihood, Pi, Pi d, and the derivatives of S."""
        s, slopes = self.matrices(values)
        try:
            root = la.cholesky(s, lower=True, overwrite_a=True, check_finite=False)
        except la.LinAlgError:
            raise SolverError(
                f"the errors {dict(values)} give a singular covariance of the innovations"
            ) from None
        logdet = 2.0 * float(np.log(np.diagonal(root)).sum())
        inverse = np.asarray(la.cho_solve((root, True), np.eye(len(s)), overwrite_b=True, check_finite=False))
        if self.trend is not None and self.trend.size:
            moved = inverse @ self.trend
            information = self.trend.T @ moved
            inverse -= moved @ np.linalg.solve(information, moved.T)
            logdet += float(np.linalg.slogdet(information)[1])
        z = inverse @ self.innovation
        value = 0.5 * (logdet + float(self.innovation @ z) + self.degrees * float(np.log(2.0 * np.pi)))
        return value, inverse, z, slopes


@dataclass(frozen=True)
class HyperFit:
    """Estimated errors.

    Attributes
    ----------
    values, relative_error : dict of str to float
        Estimates, and the standard error of their logarithms (from the Fisher information).
    log_likelihood, log_likelihood_start : float
        At the estimate and at the first guess.
    at_bounds : tuple of str
        Parameters that ran to a limit: the observations do not determine them.
    iterations : int
    chi_square : float
        ``d' Pi d / (n - q)`` at the estimate.
    """

    values: dict[str, float]
    relative_error: dict[str, float]
    log_likelihood: float
    log_likelihood_start: float
    at_bounds: tuple[str, ...]
    iterations: int
    chi_square: float


def fit_hyperparameters(
    model: VarianceModel,
    *,
    free: Sequence[str] | None = None,
    factor: float = 30.0,
    most: Mapping[str, float] | None = None,
    tolerance: float = 1e-6,
    limit: int = 100,
) -> HyperFit:
    """Estimate error sizes and correlation lengths by (restricted) maximum likelihood.

    Parameters
    ----------
    model : VarianceModel
        With a trend the likelihood is the restricted one.
    free : sequence of str, optional
        Parameters to estimate; the others stay at their first guess. By default all.
    factor : float
        Each parameter stays within its first guess divided and multiplied by this.
    most : mapping of str to float, optional
        Upper limits of parameters that have one, such as shares.
    tolerance, limit : float, int
        Of L-BFGS-B.

    Returns
    -------
    HyperFit

    Raises
    ------
    ConfigError
        An unknown parameter, or none.
    """
    from scipy.optimize import minimize

    first = model.parameters
    chosen = list(first) if free is None else list(free)
    for name in chosen:
        if name not in first:
            raise ConfigError(f"unknown error parameter {name!r}{nearest(name, first)}")
    if not chosen:
        raise ConfigError(f"no error parameter to estimate; there is: {', '.join(first) or 'none'}")
    start = np.log([first[n] for n in chosen])

    def at(theta: Floats) -> dict[str, float]:
        return first | dict(zip(chosen, np.exp(theta).tolist(), strict=True))

    def loss(theta: Floats) -> tuple[float, Floats]:
        value, gradient = model.loss(at(theta))
        return value, np.array([gradient[n] for n in chosen])

    reach = np.log(factor)
    top = [min(s + reach, np.log((most or {}).get(n, np.inf))) for n, s in zip(chosen, start, strict=True)]
    with progress(limit, "iterations at most") as advance:
        found = minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=[(s - reach, end) for s, end in zip(start, top, strict=True)],
            options={"ftol": tolerance * 1e-4, "gtol": tolerance, "maxiter": limit},
            callback=lambda _: advance(1),
        )
    values = at(found.x)
    rows = [list(first).index(n) for n in chosen]
    information = model.fisher(values)[np.ix_(rows, rows)]
    size, direction = np.linalg.eigh(information)
    # a direction that changes nothing is not determined at all, rather than exactly
    spread = np.sqrt(direction**2 @ (1.0 / np.maximum(size, 1e-12 * max(size[-1], 1e-300))))
    ends = zip(chosen, found.x, start - reach, top, strict=True)
    return HyperFit(
        values,
        dict(zip(chosen, spread.tolist(), strict=True)),
        -float(found.fun),
        -float(loss(start)[0]),
        tuple(n for n, x, low, high in ends if min(x - low, high - x) < 1e-6),
        int(found.nit),
        model.chi_square(values),
    )
