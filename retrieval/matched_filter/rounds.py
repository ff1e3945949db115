"""Compiled loops of the reweighted filter: what is taken out of the spectra of a background, round by round.

No round computes a covariance of spectra, nor an inverse. With C the covariance of the first round, keep = 1 - rho its
share that is not shrunk, c the covariance of the spectra with what was taken and v the variance of that, a round's
covariance is ``C + keep (v t t' - c t' - t c')``, and its inverse times t is ``C^-1 (a t + b c)`` with a and b from two
equations. A round reads the spectra that are not zero yet, for two products with a vector.
"""

from __future__ import annotations

import numba
import numpy as np

from obsnet.typing import Floats

__all__ = ["NOTHING", "taken_in_rounds"]

NOTHING = 1e-3  # of the standard deviation: what is taken as zero beside it


@numba.njit(cache=True)
def _rounds(
    amount: Floats,
    centred: Floats,
    seen: Floats,
    mean: Floats,
    absorption: Floats,
    inverse: Floats,
    keep: float,
    rounds: int,
    dim: float,
    still: float,
) -> int:
    """Carry `amount` on from the first round, in place; return how many rounds there were."""
    n = len(centred)
    part, light, some, where = centred, seen, amount, np.arange(n)
    turn = 1
    while turn < rounds:
        turn += 1
        total = some.sum() / n
        v = np.dot(some, some) / n - total * total
        c = np.dot(some, part) / n
        mu = mean / (1.0 + total * absorption)
        t = mu * absorption
        towards_t, towards_c = np.dot(inverse, t), np.dot(inverse, c)
        tt, tc, cc = np.dot(t, towards_t), np.dot(t, towards_c), np.dot(c, towards_c)
        # C w = t for w = C^-1 (a t + b c), with b = keep q and q = t' w
        one, two = 1.0 + keep * (v * tt - tc), keep * (v * tc - cc)
        three, four = -keep * tt, 1.0 - keep * tc
        determinant = one * four - two * three
        a, b = four / determinant, -three / determinant
        q = a * tt + b * tc
        g = np.dot(part, a * towards_t + b * towards_c)
        along, full = np.dot(t, mean), np.dot(mu, mean)
        nothing = NOTHING / np.sqrt(q)
        moved, left = 0.0, 0
        for k in range(len(some)):
            before = some[k]
            if before > 0.0:
                r = max((light[k] - before * along) / full, dim)
                now = max((g[k] + total * q - 1.0 / (before + r * nothing)) / q, 0.0)
                some[k] = now
                moved = max(moved, abs(now - before))
                left += now > 0.0
        if 2 * left < len(some):
            amount[where] = some
            alive = np.flatnonzero(some)
            part, light, some, where = part[alive], light[alive], some[alive], where[alive]
        if left == 0 or moved * np.sqrt(q) < still:
            break
    amount[where] = some
    return turn


def taken_in_rounds(
    centred: Floats,
    seen: Floats,
    mean: Floats,
    absorption: Floats,
    inverse: Floats,
    keep: float,
    *,
    rounds: int,
    dim: float,
    still: float,
) -> tuple[Floats, int]:
    """Return ``r alpha`` of every pixel after the rounds, and how many they were.

    Parameters
    ----------
    centred : ndarray, shape (pixels, bands)
        Spectra less their mean, C order.
    seen : ndarray, shape (pixels,)
        Spectra times their mean.
    mean, absorption : ndarray, shape (bands,)
        Mean spectrum; d ln(radiance) per unit.
    inverse : ndarray, shape (bands, bands)
        Of the covariance of the first round.
    keep : float
        Share of the covariance that was not shrunk away.
    rounds : int
        At most.
    dim : float
        Least brightness by which the preference for zero is scaled.
    still : float
        The rounds end where no pixel has moved by more standard deviations than this.

    Notes
    -----
    What has become zero stays so, and is not looked at again.
    """
    target = mean * absorption
    first = inverse @ target
    amount = np.maximum(centred @ first / float(target @ first), 0.0)
    turns = _rounds(amount, centred, seen, mean, absorption, inverse, keep, rounds, dim, still)
    return amount, turns
