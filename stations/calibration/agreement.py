"""Whether the standards of a calibration agree, and which of them does not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

__all__ = ["Disagreement", "Misfit", "judge_standards"]

SIGMAS = 3.0  # a standard this many standard uncertainties off the others is named


@dataclass(frozen=True)
class Misfit:
    """A standard that the others do not confirm.

    Attributes
    ----------
    tank : str
        Its name.
    off : float
        Assigned value less that of the response of the others, unit of the values; NaN where they give none.
    sigmas : float
        The same in its standard uncertainty.
    """

    tank: str
    off: float
    sigmas: float


@dataclass(frozen=True)
class Disagreement:
    """What is wrong with a set of standards; empty where they agree, or are too few to tell.

    Attributes
    ----------
    misfits : tuple of Misfit
        The worst first.
    which : bool
        The misfits are the wrong ones; otherwise one of them is, and nothing here tells which.
    swapped : tuple of str
        Two tanks whose values, exchanged, make all agree.
    beyond_goal : bool
        The response is off a standard by more than the compatibility goal, or falls as values rise.
    """

    misfits: tuple[Misfit, ...] = ()
    which: bool = True
    swapped: tuple[str, ...] = ()
    beyond_goal: bool = False

    def words(self, unit: str) -> str:
        """Return the disagreement in a line."""
        if self.swapped:
            return "the values of {!r} and {!r} look swapped".format(*self.swapped)
        each = [
            f"{m.tank!r} ({m.off:+.3g} {unit}, {m.sigmas:.0f} sigma)" if np.isfinite(m.off) else repr(m.tank)
            for m in self.misfits
        ]
        text = (", " if self.which else " or ").join(each)
        return f"off the others: {text}" + ("" if self.which else "; too few standards to tell which")


@dataclass(frozen=True)
class _Line:
    residual: np.ndarray
    leverage: np.ndarray
    rising: bool


def judge_standards(
    names: list[str], reading: np.ndarray, assigned: np.ndarray, sigma: np.ndarray, degree: int, goal: float
) -> Disagreement:
    """Compare each standard with the response of the others.

    Parameters
    ----------
    names : list of str
        Of the tanks.
    reading, assigned, sigma : ndarray, shape (tanks,)
        Mean reading, assigned value, and the standard uncertainty of both together on the assigned axis.
    degree : int
        Of the response.
    goal : float
        Compatibility goal, unit of the values; infinite where there is none.

    Returns
    -------
    Disagreement
        A standard is named when it lies more than 3 standard uncertainties off the others' response, or more
        than the goal off everybody's. With one standard more than the response has coefficients every one is off the
        others by the same share of the misfit: all are named. With more, the worst is taken out until the rest agrees.
    """
    first = _line(reading, assigned, sigma, degree)
    keep = np.arange(len(names))
    found: list[Misfit] = []
    which = True
    if not first.rising and len(names) <= degree + 1:  # nothing left over, yet surely wrong
        found, which = [Misfit(name, float("nan"), float("nan")) for name in names], False
    while keep.size > degree + 1:
        line = _line(reading[keep], assigned[keep], sigma[keep], degree)
        free = np.sqrt(np.maximum(1.0 - line.leverage, 1e-12))
        sigmas = np.abs(line.residual) / (sigma[keep] * free)
        if line.rising and not ((sigmas > SIGMAS) | (np.abs(line.residual) > goal)).any():
            break
        last = keep.size == degree + 2
        worst = np.argsort(-sigmas) if last else np.array([sigmas.argmax()])
        found += [
            Misfit(names[keep[k]], float(line.residual[k] / free[k] ** 2), float(sigmas[k])) for k in worst
        ]
        which = not last
        keep = np.delete(keep, worst)
    if not found:
        return Disagreement()
    beyond = not first.rising or bool((np.abs(first.residual) > goal).any())
    return Disagreement(tuple(found), which, _swapped(names, reading, assigned, sigma, degree), beyond)


def _swapped(
    names: list[str], reading: np.ndarray, assigned: np.ndarray, sigma: np.ndarray, degree: int
) -> tuple[str, ...]:
    """Return the one pair whose exchange makes all agree; nothing where none does, or several do."""
    pairs = []
    for i, k in combinations(range(len(names)), 2):
        value = assigned.copy()
        value[[i, k]] = value[[k, i]]
        line = _line(reading, value, sigma, degree)
        free = np.sqrt(np.maximum(1.0 - line.leverage, 1e-12))
        if line.rising and (np.abs(line.residual) <= SIGMAS * sigma * free).all():
            pairs.append((names[i], names[k]))
    return pairs[0] if len(pairs) == 1 else ()


def _line(reading: np.ndarray, assigned: np.ndarray, sigma: np.ndarray, degree: int) -> _Line:
    """Return residuals and leverages of a weighted fit, and whether it rises over the readings."""
    x = reading - reading.mean()
    rows, weight = x[:, None] ** np.arange(degree + 1), 1.0 / sigma**2
    inverse = np.linalg.inv((rows * weight[:, None]).T @ rows)
    c = inverse @ (rows.T @ (weight * assigned))
    leverage = np.einsum("ij,jk,ik->i", rows, inverse, rows) * weight
    slope = np.polynomial.polynomial.polyval(x, np.polynomial.polynomial.polyder(c))
    return _Line(assigned - rows @ c, leverage, bool((slope > 0).all()))
