"""Sizes and lengths of the errors from the observations themselves: (restricted) maximum likelihood with gradients.

``S(theta) = sum_b s_b^2 H_b B_b(l_b, t_b) H_b' + sum_r c_r^2 diag(v_r)``. The parameters are logarithms of the factors
s and c and of the correlation lengths l and times t, so that none can become negative. Value and gradient are

    L = (ln det S + ln det X'H'S^-1HX + d' Pi d) / 2,    dL = (tr(Pi dS) - d' Pi dS Pi d) / 2

with ``Pi = S^-1 - S^-1 HX (X'H'S^-1HX)^-1 X'H'S^-1``; without a trend Pi is S^-1 (Michalak et al. 2005, J. Geophys.
Res. 110, D24107, doi:10.1029/2005JD005970). Holds n_obs^2 numbers a parameter: for some thousands of observations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg as la
import scipy.sparse as sp

from inversion.covariance import BlockDiagonalCovariance, DiagonalCovariance, KroneckerCovariance, project
from inversion.kernels import chord_km
from inversion.posterior import Posterior
from inversion.problem import Problem
from obsnet.errors import ConfigError, ResourceError, SolverError, nearest

__all__ = [
    "ErrorModel",
    "HyperFit",
    "MatrixTerm",
    "ObservationTerm",
    "PriorTerm",
    "desroziers",
    "fit_hyperparameters",
    "fit_sizes",
    "prior_term",
]

Floats = npt.NDArray[np.float64]
_MOST_OBSERVATIONS = 4000


def _exponential(r: Floats) -> tuple[Floats, Floats]:
    k = np.exp(-r)
    return k, r * k


def _matern32(r: Floats) -> tuple[Floats, Floats]:
    e = np.exp(-2.0 * r)
    return (1.0 + 2.0 * r) * e, 4.0 * r * r * e


def _wendland(r: Floats) -> tuple[Floats, Floats]:
    q = np.minimum(r / 3.0, 1.0)
    return (1.0 - q) ** 4 * (4.0 * q + 1.0), 20.0 * q * q * (1.0 - q) ** 3


# Correlation at distance / length, and its derivative by the logarithm of the length.
_KERNELS = {"exponential": _exponential, "matern32": _matern32, "wendland": _wendland}


@dataclass(frozen=True, eq=False)
class PriorTerm:
    """One component of the prior error, separable in time and space.

    Parameters
    ----------
    name : str
    jacobian : ndarray or sparse, shape (n_obs, times * cells)
        Its columns of H.
    sigma : ndarray, shape (times * cells,)
        Standard deviation, of which a factor is estimated.
    distance_km : ndarray, shape (cells, cells)
        See `inversion.kernels.chord_km`.
    lag_days : ndarray, shape (times, times)
        Absolute time differences.
    length_km, days : float
        First guess of correlation length and time; 0 for none, which is then not estimated.
    kernel : {"exponential", "matern32", "wendland"}
        In space; time is exponential.
    """

    name: str
    jacobian: Any
    sigma: Floats
    distance_km: Floats
    lag_days: Floats
    length_km: float
    days: float
    kernel: str = "exponential"

    def correlations(self, length: float, days: float) -> tuple[Floats, Floats, Floats, Floats]:
        """Return E, D and their derivatives by ln(days), ln(length)."""
        space = self.distance_km
        d, dd = (
            _KERNELS[self.kernel](space / length)
            if length > 0.0
            else (np.eye(len(space)), np.zeros_like(space))
        )
        lag = self.lag_days
        e, de = _exponential(lag / days) if days > 0.0 else (np.eye(len(lag)), np.zeros_like(lag))
        return e, d, de, dd


@dataclass(frozen=True, eq=False)
class MatrixTerm:
    """A component of the innovations' covariance that is known but for its size.

    Parameters
    ----------
    name : str
    matrix : ndarray, shape (n_obs, n_obs)
        H B H' of one component, or an observation error with correlations.
    """

    name: str
    matrix: Floats


@dataclass(frozen=True, eq=False)
class ObservationTerm:
    """One part of the observation error, independent between observations.

    Parameters
    ----------
    name : str
    variance : ndarray, shape (n_obs,)
        Zero for observations it does not concern.
    """

    name: str
    variance: Floats


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """Everything that the likelihood depends on.

    Parameters
    ----------
    innovation : ndarray, shape (n_obs,)
        Observation minus prior simulation.
    prior : sequence of PriorTerm or MatrixTerm
    observation : sequence of ObservationTerm
    trend : ndarray, shape (n_obs, q), optional
        H X of trend coefficients that are integrated out (restricted likelihood).
    """

    innovation: Floats
    prior: Sequence[PriorTerm | MatrixTerm]
    observation: Sequence[ObservationTerm]
    trend: Floats | None = None

    @property
    def parameters(self) -> dict[str, float]:
        """Names and first guesses: factors ``<name>.sigma`` (1), ``<name>.length_km``, ``<name>.days``."""
        found = {}
        for term in self.prior:
            found[f"{term.name}.sigma"] = 1.0
            if isinstance(term, MatrixTerm):
                continue
            if term.length_km > 0.0:
                found[f"{term.name}.length_km"] = term.length_km
            if term.days > 0.0:
                found[f"{term.name}.days"] = term.days
        return found | {f"{term.name}.sigma": 1.0 for term in self.observation}

    def matrices(self, values: Mapping[str, float]) -> tuple[Floats, dict[str, Floats]]:
        """Return S and its derivatives by the logarithm of each parameter, at the values given."""
        n = self.innovation.size
        total, slopes = np.zeros((n, n)), {}
        for term in self.prior:
            factor = values[f"{term.name}.sigma"] ** 2
            if isinstance(term, MatrixTerm):
                total += factor * term.matrix
                slopes[f"{term.name}.sigma"] = 2.0 * factor * term.matrix
                continue
            length, days = (values.get(f"{term.name}.{k}", 0.0) for k in ("length_km", "days"))
            e, d, de, dd = term.correlations(length, days)
            part = factor * _project(term, e, d)
            total += part
            slopes[f"{term.name}.sigma"] = 2.0 * part
            if length > 0.0:
                slopes[f"{term.name}.length_km"] = factor * _project(term, e, dd)
            if days > 0.0:
                slopes[f"{term.name}.days"] = factor * _project(term, de, d)
        for noise in self.observation:
            variance = values[f"{noise.name}.sigma"] ** 2 * noise.variance
            total[np.diag_indices(n)] += variance
            slopes[f"{noise.name}.sigma"] = np.diag(2.0 * variance)
        return total, slopes

    def loss(self, values: Mapping[str, float]) -> tuple[float, dict[str, float], Floats]:
        """Return minus the log likelihood, its gradient by the logarithms, and the Fisher information.

        Raises
        ------
        SolverError
            S is not positive definite at these values.
        """
        s, slopes = self.matrices(values)
        n = self.innovation.size
        try:
            root = la.cholesky(s, lower=True, check_finite=False)
        except la.LinAlgError:
            raise SolverError(
                f"the errors {dict(values)} give a singular covariance of the innovations"
            ) from None
        inverse = la.cho_solve((root, True), np.eye(n), check_finite=False)
        logdet, free = 2.0 * float(np.log(np.diagonal(root)).sum()), n
        if self.trend is not None and self.trend.size:
            moved = inverse @ self.trend
            information = self.trend.T @ moved
            inverse = inverse - moved @ np.linalg.solve(information, moved.T)
            logdet += float(np.linalg.slogdet(information)[1])
            free -= self.trend.shape[1]
        z = inverse @ self.innovation
        value = 0.5 * (logdet + float(self.innovation @ z) + free * np.log(2.0 * np.pi))
        names = list(self.parameters)
        products = {name: inverse @ slopes[name] for name in names}
        gradient = {
            name: 0.5 * (float(np.trace(products[name])) - float(z @ slopes[name] @ z)) for name in names
        }
        fisher = np.array([[0.5 * float(np.sum(products[a] * products[b].T)) for b in names] for a in names])
        return value, gradient, fisher


def _project(term: PriorTerm, time: Floats, space: Floats) -> Floats:
    """Return ``H diag(sigma) (E (x) D) diag(sigma) H'`` for any symmetric E and D."""
    scaled = (
        sp.csr_array(term.jacobian @ sp.diags_array(term.sigma))
        if sp.issparse(term.jacobian)
        else np.asarray(term.jacobian) * term.sigma
    )
    return project(scaled, _Product(time, space))


class _Product(KroneckerCovariance):
    """E (x) D of matrices that need not be correlations."""

    def __init__(self, time: Floats, space: Floats) -> None:
        self.time, self.space = time, space
        self.shape = (len(time), len(space))
        self.sigma = np.ones(len(time) * len(space))


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
    model: ErrorModel,
    *,
    free: Sequence[str] | None = None,
    factor: float = 30.0,
    tolerance: float = 1e-6,
    limit: int = 100,
) -> HyperFit:
    """Estimate error sizes and correlation lengths by (restricted) maximum likelihood.

    Parameters
    ----------
    model : ErrorModel
        With a trend the likelihood is the restricted one.
    free : sequence of str, optional
        Parameters to estimate; the others stay at their first guess. By default all.
    factor : float
        Each parameter stays within its first guess divided and multiplied by this.
    tolerance, limit : float, int
        Of L-BFGS-B.

    Returns
    -------
    HyperFit

    Raises
    ------
    ConfigError
        An unknown parameter.
    """
    from scipy.optimize import minimize

    first = model.parameters
    chosen = list(first) if free is None else list(free)
    for name in chosen:
        if name not in first:
            raise ConfigError(f"unknown error parameter {name!r}{nearest(name, first)}")
    start = np.log([first[n] for n in chosen])

    def loss(theta: Floats) -> tuple[float, Floats]:
        value, gradient, _ = model.loss(first | dict(zip(chosen, np.exp(theta).tolist(), strict=True)))
        return value, np.array([gradient[n] for n in chosen])

    reach = np.log(factor)
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(s - reach, s + reach) for s in start],
        options={"ftol": tolerance * 1e-4, "gtol": tolerance, "maxiter": limit},
    )
    values = first | dict(zip(chosen, np.exp(found.x).tolist(), strict=True))
    value, _, fisher = model.loss(values)
    rows = [list(first).index(n) for n in chosen]
    spread = np.sqrt(np.maximum(np.diagonal(np.linalg.pinv(fisher[np.ix_(rows, rows)])), 0.0))
    at_bounds = tuple(
        n for n, x, s in zip(chosen, found.x, start, strict=True) if abs(abs(x - s) - reach) < 1e-6
    )
    n = model.innovation.size
    free_count = n - (0 if model.trend is None else model.trend.shape[1])
    s, _ = model.matrices(values)
    quadratic = _restricted_quadratic(s, model)
    return HyperFit(
        values,
        dict(zip(chosen, spread.tolist(), strict=True)),
        -value,
        -float(loss(start)[0]),
        at_bounds,
        int(found.nit),
        quadratic / free_count,
    )


def _restricted_quadratic(s: Floats, model: ErrorModel) -> float:
    d = model.innovation
    z = la.solve(s, d, assume_a="pos")
    if model.trend is None or not model.trend.size:
        return float(d @ z)
    moved = la.solve(s, model.trend, assume_a="pos")
    beta = np.linalg.solve(model.trend.T @ moved, moved.T @ d)
    rest = d - model.trend @ beta
    return float(rest @ la.solve(s, rest, assume_a="pos"))


def fit_sizes(problem: Problem, *, factor: float = 10.0) -> tuple[HyperFit, Problem]:
    """Estimate how many times too small or too large each assumed error is, by maximum likelihood.

    Parameters
    ----------
    problem : Problem
        With a state and a prior error of the same blocks, and at most 4000 observations.
    factor : float
        Each size stays within 1 / factor and factor.

    Returns
    -------
    HyperFit, Problem
        Factors on the standard deviations, ``<block>.sigma`` and ``observations.sigma``; the problem with these errors.

    Raises
    ------
    SolverError
        No blocks.
    ResourceError
        More observations: each block takes n_obs^2 numbers.
    """
    state, error = problem.state, problem.prior_error
    if state is None or not isinstance(error, BlockDiagonalCovariance) or not state.fits(error.blocks):
        raise SolverError(
            "sizes of errors are estimated by block: a state and a prior error of the same blocks are needed"
        )
    if problem.n_obs > _MOST_OBSERVATIONS:
        raise ResourceError(
            f"sizes of errors can be estimated from {_MOST_OBSERVATIONS} observations at most, found {problem.n_obs}; "
            "thin them with invert.start, invert.stop or invert.sources for the estimate"
        )
    terms: list[PriorTerm | MatrixTerm] = []
    for name, block in zip(state.names, error.blocks, strict=True):
        columns = problem.jacobian[:, state.span(name)]
        terms.append(MatrixTerm(name, project(columns, block)))
    noise = problem.observation_error
    if isinstance(noise, DiagonalCovariance):
        model = ErrorModel(problem.innovation, terms, [ObservationTerm("observations", noise.diagonal())])
    else:
        model = ErrorModel(problem.innovation, [*terms, MatrixTerm("observations", noise.dense())], [])
    fit = fit_hyperparameters(model, factor=factor)
    blocks = [b.scaled(fit.values[f"{n}.sigma"] ** 2) for n, b in zip(state.names, error.blocks, strict=True)]
    changed = problem.with_(
        prior_error=BlockDiagonalCovariance(blocks),
        observation_error=noise.scaled(fit.values["observations.sigma"] ** 2),
    )
    return fit, changed


def desroziers(posterior: Posterior, group: str | None = None) -> dict[str, dict[str, float]]:
    """Compare assumed errors with what innovations and residuals say, by group of observations.

    Parameters
    ----------
    posterior : Posterior
        Solved with the assumed errors.
    group : str, optional
        A key of ``problem.groups``; by default all observations together.

    Returns
    -------
    dict
        By label: ``observation_error`` and ``prior_error`` (standard deviations in observation space that the data
        suggest; NaN where the product is negative), ``assumed_observation_error``, ``assumed_prior_error``.

    Notes
    -----
    Desroziers et al. (2005), Q. J. R. Meteorol. Soc. 131, 3385, doi:10.1256/qj.05.108: with d_b the innovation and d_a
    the residual, E[d_a d_b'] = R and E[(d_b - d_a) d_b'] = H B H' where the assumed errors are right. The cross
    products of one group need no other.
    """
    problem = posterior.problem
    labels = np.full(problem.n_obs, "all") if group is None else problem.labels(group)
    before, after = problem.innovation, posterior.residual
    assumed = problem.observation_error.diagonal()
    # tr(H B H') of a group is tr(S) - tr(R); S_ii from H B H' rows, a block at a time
    seen = np.empty(problem.n_obs)
    for span, block in problem.row_blocks(512):
        rows = block.toarray() if sp.issparse(block) else np.asarray(block)
        seen[span] = np.einsum("ij,ji->i", rows, problem.prior_error.matmul(np.ascontiguousarray(rows.T)))
    out = {}
    for label in np.unique(labels):
        at = labels == label
        observation = float(np.mean(after[at] * before[at]))
        prior = float(np.mean((before - after)[at] * before[at]))
        out[str(label)] = {
            "observation_error": float(np.sqrt(observation)) if observation >= 0 else float("nan"),
            "prior_error": float(np.sqrt(prior)) if prior >= 0 else float("nan"),
            "assumed_observation_error": float(np.sqrt(assumed[at].mean())),
            "assumed_prior_error": float(np.sqrt(seen[at].mean())),
        }
    return out


def prior_term(
    name: str,
    jacobian: Any,
    sigma: npt.ArrayLike,
    lat: npt.ArrayLike,
    lon: npt.ArrayLike,
    times: npt.ArrayLike,
    *,
    length_km: float,
    days: float,
    kernel: str = "exponential",
) -> PriorTerm:
    """Make a `PriorTerm` from positions and times.

    Parameters
    ----------
    name : str
    jacobian : ndarray or sparse, shape (n_obs, times * cells)
    sigma : array_like, shape (times * cells,)
    lat, lon : array_like, shape (cells,)
        Degrees.
    times : array_like of datetime64 or of days, shape (times,)
    length_km, days : float
        First guesses.
    kernel : str
        See `PriorTerm`.
    """
    t = np.asarray(times)
    t = t.astype("datetime64[us]").astype(np.int64) / 86400e6 if t.dtype.kind == "M" else t.astype(np.float64)
    return PriorTerm(
        name,
        jacobian,
        np.asarray(sigma, np.float64).ravel(),
        chord_km(lat, lon),
        np.abs(t[:, None] - t),
        length_km,
        days,
        kernel,
    )
