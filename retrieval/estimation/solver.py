r"""Levenberg-Marquardt steps and posterior of one sounding: the kernel, compiled, on plain arrays.

Symbols: x state (n), x_a prior, S_a prior covariance, y measurement (m), F forward model, K = dF/dx (m, n),
W = diag(1 / S_eps) (0 for a channel that is not used), gamma the Levenberg-Marquardt parameter. The step solves

``[(1 + gamma) S_a^-1 + K^T W K] dx = K^T W (y - F) + S_a^-1 (x_a - x)``

(Rodgers 2000, Inverse Methods for Atmospheric Sounding, eq. 5.36; Connor et al. 2008, doi:10.1029/2006JD008336).
It is solved in ``z``, x - x_a = N L z, where N = diag(S_a)^1/2 and L L^T is the prior correlation of the elements
that the measurement sees: S_a becomes the unit matrix, no prior is inverted, and the matrix of the step has no
eigenvalue below 1. Elements whose column of K is zero stand still, and a direction in which the prior has no
variance is not entered.
"""

from __future__ import annotations

import numba
import numpy as np

from obsnet.typing import Bools, Floats

__all__ = ["CONDITION", "advance", "characterise", "factorise", "normal_equations"]

CHANNELS = 128  # of a block of the normal equations
CONDITION = 1e-12  # eigenvalues of a correlation below this part of the largest are taken for zero

# Places in the row of numbers that follows a sounding.
(
    COST,
    COST_FORECAST,
    GAMMA,
    ITERATIONS,
    DIVERGENCES,
    DECREASE,
    CHI2,
    CHI2_FORECAST,
    PRIOR,
    PRIOR_FORECAST,
    USED,
) = range(11)
STATE = 11
# What `advance` decides.
GO_ON, DONE, TOO_LONG, DIVERGED, NOT_FINITE = range(5)


@numba.njit(cache=True)
def factorise(correlation: Floats, used: Bools, condition: float) -> tuple[Floats, Floats]:
    """Return L (n, n) with ``L L^T`` the correlation among the used elements, and its pseudo-inverse.

    Rows of unused elements and columns of directions without variance are zero.
    """
    n = len(used)
    place = np.flatnonzero(used)
    factor, inverse = np.zeros((n, n)), np.zeros((n, n))
    if len(place) == 0:
        return factor, inverse
    part = np.empty((len(place), len(place)))
    for i in range(len(place)):
        for j in range(len(place)):
            part[i, j] = correlation[place[i], place[j]]
    value, vector = np.linalg.eigh(part)
    for k in range(len(place)):
        if value[k] > condition * value[-1]:
            root = np.sqrt(value[k])
            for i in range(len(place)):
                factor[place[i], k] = vector[i, k] * root
                inverse[k, place[i]] = vector[i, k] / root
    return factor, inverse


@numba.njit(cache=True)
def normal_equations(
    jacobian: Floats, residual: Floats, weight: Floats, scale: Floats
) -> tuple[Floats, Floats, float, bool]:
    """Return ``N K^T W K N``, ``N K^T W (y - F)``, ``(y - F)^T W (y - F)`` and whether all of it is finite.

    Parameters
    ----------
    jacobian : ndarray, shape (m, n)
        K.
    residual : ndarray, shape (m,)
        y - F; anything where the weight is 0.
    weight : ndarray, shape (m,)
        Diagonal of W.
    scale : ndarray, shape (n,)
        Diagonal of N.
    """
    n = jacobian.shape[1]
    product = _weighed_product(jacobian, residual, weight, scale)
    normal, gradient, chi2 = np.empty((n, n)), product[n, :n].copy(), product[n, n]
    finite = np.isfinite(chi2)
    for i in range(n):
        finite = finite and np.isfinite(product[i, i]) and np.isfinite(gradient[i])
        for j in range(i + 1):
            normal[i, j] = normal[j, i] = product[i, j]
    return normal, gradient, float(chi2), bool(finite)


@numba.njit(cache=True, fastmath={"reassoc", "contract", "nsz"})  # sums in any order; NaN stays NaN
def _weighed_product(jacobian: Floats, residual: Floats, weight: Floats, scale: Floats) -> Floats:
    """Return the lower half of ``[K N, y - F]^T W [K N, y - F]``, by blocks that stay in the nearest cache."""
    m, n = jacobian.shape
    part, product = np.empty((n + 1, CHANNELS)), np.zeros((n + 1, n + 1))
    for first in range(0, m, CHANNELS):
        count = min(m - first, CHANNELS)
        for i in range(count):
            root = np.sqrt(weight[first + i])
            if root > 0.0:
                for j in range(n):
                    part[j, i] = jacobian[first + i, j] * (root * scale[j])
                part[n, i] = residual[first + i] * root
            else:
                part[:, i] = 0.0
        for a in range(n + 1):
            x, b = part[a], 0
            while b + 3 <= a:  # four products share what is loaded of the first
                y0, y1, y2, y3 = part[b], part[b + 1], part[b + 2], part[b + 3]
                s0 = s1 = s2 = s3 = 0.0
                for i in range(count):
                    s0 += x[i] * y0[i]
                    s1 += x[i] * y1[i]
                    s2 += x[i] * y2[i]
                    s3 += x[i] * y3[i]
                product[a, b] += s0
                product[a, b + 1] += s1
                product[a, b + 2] += s2
                product[a, b + 3] += s3
                b += 4
            while b <= a:
                y, s = part[b], 0.0
                for i in range(count):
                    s += x[i] * y[i]
                product[a, b] += s
                b += 1
    return product


@numba.njit(cache=True)
def _cholesky(matrix: Floats) -> Floats:
    n = len(matrix)
    lower = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest -= lower[i, k] * lower[j, k]
            lower[i, j] = np.sqrt(rest) if i == j else rest / lower[j, j]
    return lower


@numba.njit(cache=True)
def _solve(lower: Floats, right: Floats) -> Floats:
    n = len(right)
    x = right.copy()
    for i in range(n):
        for k in range(i):
            x[i] -= lower[i, k] * x[k]
        x[i] /= lower[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            x[i] -= lower[k, i] * x[k]
        x[i] /= lower[i, i]
    return x


@numba.njit(cache=True)
def _step(
    normal: Floats,
    gradient: Floats,
    chi2: float,
    departure: Floats,
    factor: Floats,
    inverse: Floats,
    gamma: float,
    numbers: Floats,
) -> Floats:
    """Return the step in units of the prior's standard deviation, and write what is forecast of it.

    `departure` is N^-1 (x - x_a).
    """
    n = len(gradient)
    z = inverse @ departure
    matrix = factor.T @ normal @ factor
    for i in range(n):
        matrix[i, i] += 1.0 + gamma
    right = factor.T @ gradient - z
    dz = _solve(_cholesky(matrix), right)
    step = factor @ dz
    numbers[DECREASE] = np.dot(dz, right)
    numbers[CHI2] = chi2
    numbers[CHI2_FORECAST] = chi2 - 2.0 * np.dot(step, gradient) + np.dot(step, normal @ step)
    numbers[PRIOR] = np.dot(z, z)
    numbers[PRIOR_FORECAST] = np.dot(z + dz, z + dz)
    return step


@numba.njit(cache=True)
def _factors(
    normal: Floats, correlation: Floats, factor: Floats, inverse: Floats, condition: float
) -> tuple[Floats, Floats]:
    """Return the factors among the elements that the measurement sees."""
    used = np.diag(normal) > 0.0
    if used.all():
        return factor, inverse
    return factorise(correlation, used, condition)


@numba.njit(cache=True)
def advance(
    state: Floats,
    jacobian: Floats,
    residual: Floats,
    weight: Floats,
    prior: Floats,
    scale: Floats,
    correlation: Floats,
    factor: Floats,
    inverse: Floats,
    last_state: Floats,
    last_normal: Floats,
    last_gradient: Floats,
    numbers: Floats,
    threshold: float,
    max_iterations: int,
    max_divergences: int,
    condition: float,
) -> int:
    """Judge the state that the forward model was just run at, and take the next step.

    Parameters
    ----------
    state : ndarray, shape (n,)
        x at which `jacobian` and `residual` were computed; becomes the next one to try.
    jacobian, residual, weight, scale
        See `normal_equations`.
    prior, correlation : ndarray, shapes (n,) and (n, n)
        x_a and N^-1 S_a N^-1.
    factor, inverse : ndarray, shape (n, n)
        `factorise` of all elements.
    last_state, last_normal, last_gradient : ndarray
        Of the last accepted state; kept up to date.
    numbers : ndarray, shape (STATE,)
        What follows the sounding; kept up to date.
    threshold, max_iterations, max_divergences, condition
        Settings.

    Returns
    -------
    int
        GO_ON with a new `state` to try; DONE (the last step is added to `state`); TOO_LONG or DIVERGED (`state` is
        the last accepted one); NOT_FINITE at the first guess.

    Notes
    -----
    With R the actual over the forecast change of the cost (0 where it rose, or where the model is not finite):
    R < 0.25 takes gamma times 10 (1 from nothing), R > 0.75 halves it, and R <= 1e-4 takes the step back, which is
    tried again with the new gamma. The forecast stays that of the accepted state's first step, as in the OCO solver.
    """
    normal, gradient, chi2, finite = normal_equations(jacobian, residual, weight, scale)
    first = numbers[ITERATIONS] == 0.0
    if first and not finite:
        return NOT_FINITE
    numbers[ITERATIONS] += 1.0
    if finite:
        lower, upper = _factors(normal, correlation, factor, inverse, condition)
        z = upper @ ((state - prior) / scale)
        cost = chi2 + np.dot(z, z)
    else:
        cost = np.inf
    gamma = numbers[GAMMA]
    diverged = False
    if not first:
        actual = cost - numbers[COST]
        forecast = numbers[COST_FORECAST] - numbers[COST]
        if not actual < 0.0:
            ratio = 0.0
        elif abs(forecast) < -actual * 1e-20:
            ratio = 1.0
        else:
            ratio = actual / forecast
        if ratio < 0.25:
            gamma = gamma * 10.0 if gamma > 1e-8 else 1.0
        elif ratio > 0.75:
            gamma *= 0.5
        diverged = ratio <= 1e-4
    numbers[GAMMA] = gamma
    if diverged:
        if numbers[DIVERGENCES] + 1.0 > max_divergences:
            state[:] = last_state
            return DIVERGED
        lower, upper = _factors(last_normal, correlation, factor, inverse, condition)
        departure = (last_state - prior) / scale
        step = _step(last_normal, last_gradient, numbers[CHI2], departure, lower, upper, gamma, numbers)
        numbers[ITERATIONS] -= 1.0
        numbers[DIVERGENCES] += 1.0
        state[:] = last_state + scale * step
        return GO_ON
    numbers[USED] = (np.diag(normal) > 0.0).sum()
    step = _step(normal, gradient, chi2, (state - prior) / scale, lower, upper, gamma, numbers)
    last_state[:] = state
    last_normal[:] = normal
    last_gradient[:] = gradient
    numbers[COST] = numbers[CHI2] + numbers[PRIOR]
    numbers[COST_FORECAST] = numbers[CHI2_FORECAST] + numbers[PRIOR_FORECAST]
    if numbers[DECREASE] < threshold * max(numbers[USED], 1.0):
        state[:] = state + scale * step
        return DONE
    if numbers[ITERATIONS] >= max_iterations:
        return TOO_LONG
    state[:] = state + scale * step
    return GO_ON


@numba.njit(cache=True)
def characterise(
    normal: Floats, scale: Floats, correlation: Floats, condition: float
) -> tuple[Floats, Floats, Floats, float, float]:
    r"""Return the posterior covariance, its part from noise, the averaging kernel, degrees of freedom and information.

    Parameters
    ----------
    normal : ndarray, shape (n, n)
        ``N K^T W K N`` at the solution; gamma has no part in what follows.
    scale, correlation
        N and N^-1 S_a N^-1.
    condition : float
        See `factorise`.

    Returns
    -------
    posterior : ndarray, shape (n, n)
        ``(A - I) S_a (A - I)^T + G S_eps G^T``, which is ``(K^T W K + S_a^-1)^-1`` where K sees every element; an
        element that K does not see keeps its prior variance.
    noise : ndarray, shape (n, n)
        ``G S_eps G^T``.
    kernel : ndarray, shape (n, n)
        ``A = G K``, G = posterior K^T W; A_ij = d x_i / d truth_j.
    degrees : float
        ``tr A``.
    information : float
        ``-1/2 ln |I - A|``, nats (Rodgers 2000, eq. 2.80).
    """
    n = len(scale)
    used = np.diag(normal) > 0.0
    factor, inverse = factorise(correlation, used, condition)
    matrix = factor.T @ normal @ factor
    for i in range(n):
        matrix[i, i] += 1.0
    lower = _cholesky(matrix)
    half = np.empty((n, n))  # lower^-1 factor^T, so that half^T half = posterior of the used elements, scaled
    for j in range(n):
        for i in range(n):
            rest = factor[j, i]
            for k in range(i):
                rest -= lower[i, k] * half[k, j]
            half[i, j] = rest / lower[i, i]
    seen = half.T @ half
    posterior = seen.copy()
    if not used.all():
        outer = seen @ (inverse.T @ inverse) @ correlation
        for i in range(n):
            for j in range(n):
                if used[i] and not used[j]:
                    posterior[i, j] = outer[i, j]
                    posterior[j, i] = outer[i, j]
                elif not used[i] and not used[j]:
                    posterior[i, j] = correlation[i, j]
    kernel = seen @ normal
    noise = kernel @ seen
    information = 0.0
    for i in range(n):
        information += np.log(lower[i, i])
    degrees = np.trace(kernel)
    for i in range(n):
        for j in range(n):
            posterior[i, j] *= scale[i] * scale[j]
            noise[i, j] *= scale[i] * scale[j]
            kernel[i, j] *= scale[i] / scale[j]
    return posterior, noise, kernel, degrees, information
