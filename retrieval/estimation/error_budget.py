r"""What a retrieved quantity's uncertainty is made of: noise, smoothing, interference, parameters of the model.

For a quantity ``c = h^T x`` of some elements (a column average of a profile): ``h^T (G S_eps G^T) h`` from noise,
``h^T (A_cc - I) S_a,cc (A_cc - I)^T h`` from smoothing, ``h^T A_ci S_a,ii A_ci^T h`` from the other elements i, and
``h^T (G K_b S_b K_b^T G^T) h`` from parameters b that are not in the state. Rodgers (2000), Inverse Methods for
Atmospheric Sounding, chapter 3; Connor et al. (2008), doi:10.1029/2006JD008336.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obsnet.errors import SchemaError
from obsnet.typing import Floats, Ints

__all__ = ["ErrorBudget", "error_budget", "noise_covariance"]


@dataclass(frozen=True)
class ErrorBudget:
    """Standard deviations of one quantity of many soundings, in its unit, shape (rows,).

    Parameters
    ----------
    noise, smoothing, interference : ndarray, shape (rows,)
        Parts that the posterior holds; see the module.
    covariance : ndarray, shape (rows,)
        Twice the covariance of the smoothing and interference parts, a variance of either sign: 0 where the prior
        does not correlate the profile with other elements.
    posterior : ndarray, shape (rows,)
        ``sqrt(h^T S h)``: the squares of the three parts and `covariance` add to its square.
    parameter : ndarray, shape (rows,), optional
        From parameters outside the state; it adds in square to `posterior`.
    """

    noise: Floats
    smoothing: Floats
    interference: Floats
    covariance: Floats
    posterior: Floats
    parameter: Floats | None = None

    @property
    def total(self) -> Floats:
        """Posterior and parameter error together."""
        return self.posterior if self.parameter is None else np.hypot(self.posterior, self.parameter)


def noise_covariance(posterior: npt.ArrayLike, prior_covariance: npt.ArrayLike) -> Floats:
    """Return ``G S_eps G^T = S - S S_a^-1 S`` (..., n, n) of products that give only S and S_a.

    Parameters
    ----------
    posterior, prior_covariance : array_like, shape (..., n, n)
        S, without a Levenberg-Marquardt parameter in it, and S_a, which must be invertible.
    """
    s = np.asarray(posterior, dtype=np.float64)
    return np.asarray(s - s @ _divided(np.asarray(prior_covariance, dtype=np.float64), s))


def _divided(covariance: Floats, right: Floats) -> Floats:
    """Return ``covariance^-1 right``, solved in scaled variables."""
    root = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))[..., None]
    correlation = covariance / (root * np.swapaxes(root, -1, -2))
    return np.asarray(np.linalg.solve(correlation, right / root) / root)


def error_budget(
    averaging_kernel: npt.ArrayLike,
    prior_covariance: npt.ArrayLike,
    noise: npt.ArrayLike,
    elements: npt.ArrayLike,
    weight: npt.ArrayLike,
    *,
    gain: npt.ArrayLike | None = None,
    parameter_jacobian: npt.ArrayLike | None = None,
    parameter_covariance: npt.ArrayLike | None = None,
) -> ErrorBudget:
    """Split the uncertainty of a weighted sum of state elements.

    Parameters
    ----------
    averaging_kernel : array_like, shape (rows, n, n) or (n, n)
        A, rows answer to the truth in columns.
    prior_covariance : array_like, shape (n, n) or (rows, n, n)
        S_a.
    noise : array_like, shape (rows, n, n) or (n, n)
        ``G S_eps G^T``.
    elements : array_like of int, shape (k,)
        Which elements the quantity is made of.
    weight : array_like, shape (k,) or (rows, k)
        h, in the unit of the quantity by that of the element.
    gain : array_like, shape (rows, n, m) or (n, m), optional
        G, with the two following.
    parameter_jacobian : array_like, shape (rows, m, q) or (m, q), optional
        K_b = dF/db.
    parameter_covariance : array_like, shape (q, q), optional
        S_b.

    Returns
    -------
    ErrorBudget

    Raises
    ------
    SchemaError
        Elements outside the state, weights that do not fit, a part of the parameter error missing.
    """
    a = np.asarray(averaging_kernel, dtype=np.float64)
    a = a[None] if a.ndim == 2 else a
    rows, n, _ = a.shape
    s_a = np.broadcast_to(np.asarray(prior_covariance, dtype=np.float64), a.shape)
    s_n = np.broadcast_to(np.asarray(noise, dtype=np.float64), a.shape)
    place: Ints = np.asarray(elements)
    if (
        place.ndim != 1
        or place.dtype.kind not in "iu"
        or (len(place) and not (0 <= place.min() <= place.max() < n))
    ):
        raise SchemaError(f"elements must be numbers from 0 to {n - 1}, found {elements!r}")
    h = np.asarray(weight, dtype=np.float64)
    if h.shape not in {(len(place),), (rows, len(place))}:
        raise SchemaError(f"weight must have shape {(rows, len(place))} or {(len(place),)}, found {h.shape}")
    full = np.zeros((rows, n))
    full[:, place] = h
    inside = np.zeros(n, dtype=bool)
    inside[place] = True
    response = np.einsum("ri,rij->rj", full, a) - full  # h^T (A - I)
    own, others = np.where(inside, response, 0.0), np.where(inside, 0.0, response)
    parts = [_quadratic(full, s_n, full), _quadratic(own, s_a, own), _quadratic(others, s_a, others)]
    crossed = 2.0 * _quadratic(own, s_a, others)
    given = [v is not None for v in (gain, parameter_jacobian, parameter_covariance)]
    if any(given) and not all(given):
        raise SchemaError("the parameter error needs gain, parameter_jacobian and parameter_covariance")
    parameter = None
    if all(given):
        g, k_b, s_b = (
            np.asarray(v, dtype=np.float64) for v in (gain, parameter_jacobian, parameter_covariance)
        )
        through = np.einsum("ri,rim->rm", full, np.broadcast_to(g, (rows, *g.shape[-2:])))
        effect = np.einsum("rm,rmq->rq", through, np.broadcast_to(k_b, (rows, *k_b.shape[-2:])))
        variance = _quadratic(effect, np.broadcast_to(s_b, (rows, *s_b.shape)), effect)
        parameter = np.sqrt(np.maximum(variance, 0.0))
    deviations = [np.sqrt(np.maximum(v, 0.0)) for v in parts]
    posterior = np.sqrt(np.maximum(sum(parts) + crossed, 0.0))
    noise_part, smoothing, interference = deviations
    return ErrorBudget(noise_part, smoothing, interference, crossed, posterior, parameter)


def _quadratic(left: Floats, matrix: Floats, right: Floats) -> Floats:
    return np.asarray(np.einsum("ri,rij,rj->r", left, matrix, right))
