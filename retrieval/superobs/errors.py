"""The uncertainty of a mean of soundings whose errors are correlated.

Members of a super-observation lie in consecutive rows; ``offsets`` (groups + 1) says where each group begins.
Weights are those of the mean itself: not negative, summing to one in each group.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from obsnet.errors import ConfigError, RangeError, nearest
from obsnet.typing import Floats, Ints

__all__ = [
    "PRESETS",
    "ErrorModel",
    "error_model",
    "exponential_weights",
    "thinning_coefficient",
]


@dataclass(frozen=True)
class ErrorModel:
    """How the errors of soundings combine.

    ``sigma^2 = mean's own + representativity * (1 - coverage) * variability^2 * sum w^2 + transport^2``,
    and never below ``floor``. The mean's own is ``r (sum w s)^2 + (1 - r) sum w^2 s^2 / p``, where p, at most
    1, is the share of its members that a group may call its own: a sliver of a pixel holds a sliver of its
    information.

    Parameters
    ----------
    correlation : {"constant", "exponential"}
        Of the errors of two members: one number, or ``exp(-distance / length_km)`` with every member given
        the group's root mean square uncertainty.
    r : float
        The constant, 0 (independent) to 1 (nothing averages out).
    length_km : float
        The length of the exponential.
    sounding : float, optional
        Uncertainty of every sounding, unit of the values; each sounding's own where nothing is given.
    floor : float
        Least uncertainty, unit of the values.
    transport : float
        Standard deviation of the transport model's error at the scale of a super-observation, unit of the
        values; 0 where the inversion adds its own.
    variability : float
        Standard deviation of the true field inside a cell, unit of the values; 0 leaves representativity out.
    representativity : float
        1 where the pixels that are missing are missing at random, more where they are missing together.
    species : str
        In whose unit the numbers are; empty where they are the user's.
    name : str
        Of the preset.
    source : str
        Whose equation it is and where the numbers come from.

    Notes
    -----
    Equal uncertainties inside a group are not a simplification that may be undone: with an exponential
    correlation and unequal ones the best weights go negative and the mean's uncertainty becomes absurdly
    small (Baker et al. 2022, doi:10.5194/gmd-15-649-2022, use equal ones). The representativity term is
    sampling without replacement, after Rijsdijk et al. (2025), doi:10.5194/gmd-18-483-2025.
    """

    correlation: str = "constant"
    r: float = 0.0
    length_km: float = 20.0
    sounding: float | None = None
    floor: float = 0.0
    transport: float = 0.0
    variability: float = 0.0
    representativity: float = 1.0
    species: str = ""
    name: str = "own"
    source: str = "chosen by the user"

    def __post_init__(self) -> None:
        if self.correlation not in {"constant", "exponential"}:
            raise ConfigError(f"correlation is 'constant' or 'exponential', found {self.correlation!r}")
        if not 0.0 <= self.r <= 1.0:
            raise ConfigError(f"the correlation r must lie within 0 and 1, found {self.r}")
        for name in ("length_km", "sounding"):
            value = getattr(self, name)
            if value is not None and not value > 0.0:
                raise ConfigError(f"{name} must be positive, found {value}")
        for name in ("floor", "transport", "variability", "representativity"):
            if not getattr(self, name) >= 0.0:
                raise ConfigError(f"{name} must not be negative, found {getattr(self, name)}")

    def uncertainty(
        self,
        sigma: Floats,
        weight: Floats,
        offsets: Ints,
        *,
        position_km: Floats | None = None,
        coverage: Floats | None = None,
        soundings: Floats | None = None,
    ) -> Floats:
        """Return the standard deviation of each group's mean.

        Parameters
        ----------
        sigma : ndarray, shape (members,)
            Uncertainty of each member, unit of the values.
        weight : ndarray, shape (members,)
            Of the mean.
        offsets : ndarray of int64, shape (groups + 1,)
        position_km : ndarray, shape (members, 3), optional
            On the sphere, km; needed by the exponential correlation.
        coverage : ndarray, shape (groups,), optional
            Share of the cell that the members cover; without it no representativity is added.
        soundings : ndarray, shape (groups,), optional
            Whole soundings in a group, see `Groups.soundings`; the members, without it.

        Returns
        -------
        ndarray of float64, shape (groups,)

        Raises
        ------
        RangeError
            A member without a positive uncertainty, where each has its own.
        """
        if self.sounding is not None:
            sigma = np.full(len(sigma), self.sounding)
        if not (sigma > 0.0).all():
            bad = int(np.sum(~(sigma > 0.0)))
            raise RangeError(f"{bad} soundings have no positive uncertainty; screen them out first")
        squares = _sum_of_squares(weight, offsets)
        dilution = np.ones(len(squares))
        if soundings is not None:
            dilution = np.maximum(1.0 / (squares * soundings), 1.0)
        if self.correlation == "constant":
            variance = _constant(sigma, weight, offsets, self.r, dilution)
        elif position_km is None:
            raise ConfigError("an exponential correlation needs the members' positions")
        else:
            variance = _exponential(sigma, weight, offsets, position_km, self.length_km, dilution)
        if coverage is not None:
            missing = 1.0 - np.minimum(coverage, 1.0)
            variance += self.representativity * missing * self.variability**2 * squares
        return np.asarray(np.maximum(np.sqrt(variance + self.transport**2), self.floor))

    def check_species(self, names: Iterable[str]) -> None:
        """Refuse columns of a species whose unit the numbers are not in.

        Raises
        ------
        ConfigError
            The model is one of another species.
        """
        if self.species and set(names) - {self.species}:
            raise ConfigError(f"error model {self.name} is in units of {self.species}: {self.equation}")

    @property
    def equation(self) -> str:
        """The equation with the numbers in it, for people."""
        s = "s" if self.sounding is None else f"{self.sounding:g}"
        if self.correlation == "exponential":
            own = (
                f"{'(sum w s^2)' if s == 's' else s + '^2'} sum_kl w_k w_l exp(-d_kl / {self.length_km:g} km)"
            )
        elif s != "s":
            own = f"{s}^2 [{self.r:g} + (1 - {self.r:g}) / n]"
        else:
            own = {0.0: "sum (w s)^2", 1.0: "(sum w s)^2"}.get(
                self.r, f"{self.r:g} (sum w s)^2 + (1 - {self.r:g}) sum (w s)^2"
            )
        parts = [own]
        if self.variability:
            parts.append(f"{self.representativity:g} (1 - coverage) {self.variability:g}^2 sum w^2")
        if self.transport:
            parts.append(f"{self.transport:g}^2")
        return f"sigma^2 = {' + '.join(parts)}" + (f", sigma >= {self.floor:g}" if self.floor else "")

    def describe(self) -> dict[str, Any]:
        """Return name, equation, inputs, numbers and source as plain values: what outputs keep."""
        inputs = "uncertainty of each sounding" if self.sounding is None else "number of soundings"
        if self.correlation == "exponential":
            inputs += ", their distances"
        return {**asdict(self), "equation": self.equation, "inputs": inputs}


# Only numbers read in a source. Constant correlations of 10-s OCO-2 means differ between land and ocean and
# between product versions: give them yourself.
PRESETS = {
    "independent": ErrorModel(
        name="independent", source="errors of soundings independent; an assumption, of no source"
    ),
    "correlated": ErrorModel(
        r=1.0, name="correlated", source="errors of soundings fully correlated; an assumption, of no source"
    ),
    "chen2023_ch4": ErrorModel(
        r=0.55,
        sounding=15.0,
        transport=4.5,
        species="CH4",
        name="chen2023_ch4",
        source="Chen et al. 2023, doi:10.5194/acp-23-5945-2023, eq. 5, with the 15 ppb a sounding, r and transport "
        "error of the Integrated Methane Inversion's code; TROPOMI CH4",
    ),
    "baker2022_co2": ErrorModel(
        "exponential",
        length_km=20.0,
        name="baker2022_co2",
        source="Baker et al. 2022, doi:10.5194/gmd-15-649-2022; OCO-2 along track",
    ),
}
# What is taken where nobody chose.
_UNSAID = replace(
    PRESETS["independent"], source="nothing was chosen: errors of soundings taken as independent"
)
# Which numbers say nothing under which correlation.
_IDLE = {"constant": ("length_km",), "exponential": ("r",)}


def error_model(name: str | None, **changes: float | None) -> ErrorModel:
    """Return a preset with some numbers replaced; those given as None stay.

    Parameters
    ----------
    name : str or None
        Of `PRESETS`. None takes errors as independent; `ErrorModel.source` then says that nobody chose.
    **changes : float or None
        Fields of `ErrorModel`.

    Raises
    ------
    ConfigError
        An unknown preset, or a number that its equation does not have.

    Examples
    --------
    >>> error_model("chen2023_ch4", transport=0.0).equation
    'sigma^2 = 15^2 [0.55 + (1 - 0.55) / n]'
    """
    if name is not None and name not in PRESETS:
        raise ConfigError(f"unknown error model {name!r}{nearest(name, PRESETS)}")
    preset = _UNSAID if name is None else PRESETS[name]
    given = {k: v for k, v in changes.items() if v is not None}
    if not given:
        return preset
    for number in _IDLE[preset.correlation]:
        if number in given:
            raise ConfigError(
                f"{number} says nothing in error model {preset.name}: {preset.equation}"
                + ("; baker2022_co2 has a length" if number == "length_km" else "; take correlated")
            )
    changed = ", ".join(f"{k} = {v:g}" for k, v in given.items())
    chosen = "chosen by the user" if name is None and "r" in given else preset.source
    return replace(preset, **given, source=f"{chosen}; with {changed}")  # type: ignore[arg-type]


@numba.njit(cache=True)
def _constant(sigma: Floats, weight: Floats, offsets: Ints, r: float, dilution: Floats) -> Floats:
    """``r (sum w s)^2 + (1 - r) sum (w s)^2 / p``."""
    out = np.empty(offsets.shape[0] - 1)
    for g in range(out.shape[0]):
        total = squares = 0.0
        for k in range(offsets[g], offsets[g + 1]):
            term = weight[k] * sigma[k]
            total += term
            squares += term * term
        out[g] = r * total * total + (1.0 - r) * squares * dilution[g]
    return out


@numba.njit(cache=True)
def _exponential(
    sigma: Floats, weight: Floats, offsets: Ints, position: Floats, length: float, dilution: Floats
) -> Floats:
    """``s^2 sum_kl w_k w_l exp(-d_kl / L)``, k = l over p, with s the group's root mean square."""
    out = np.empty(offsets.shape[0] - 1)
    for g in range(out.shape[0]):
        first, last = offsets[g], offsets[g + 1]
        square = total = 0.0
        for k in range(first, last):
            square += weight[k] * sigma[k] * sigma[k]
            total += weight[k] * weight[k] * dilution[g]
            for m in range(first, k):
                d = 0.0
                for axis in range(3):
                    d += (position[k, axis] - position[m, axis]) ** 2
                total += 2.0 * weight[k] * weight[m] * np.exp(-np.sqrt(d) / length)
        out[g] = square * total
    return out


def _sum_of_squares(weight: Floats, offsets: Ints) -> Floats:
    return np.asarray(np.add.reduceat(weight**2, offsets[:-1])) if len(weight) else np.zeros(0)


def exponential_weights(distance: npt.ArrayLike, offsets: Ints, length: float) -> tuple[Floats, Floats]:
    """Return the best weights of equally uncertain points on lines, and their effective numbers.

    Parameters
    ----------
    distance : array_like, shape (points - 1,)
        From each point to the next, unit of `length`, not negative; from line to line it is not looked at.
    offsets : ndarray of int, shape (lines + 1,)
        Where each line begins.
    length : float
        Of the exponential correlation.

    Returns
    -------
    weight : ndarray of float64, shape (points,)
        Positive, summing to one in each line.
    number : ndarray of float64, shape (lines,)
        ``n_eff = 1 + sum (1 - rho) / (1 + rho)``; the mean's variance is ``s^2 / n_eff``.

    Notes
    -----
    The exponential correlation is that of a Markov chain, so its inverse is tridiagonal and the generalised
    least-squares mean has a closed form: with ``t_k = (1 - rho_k) / (1 + rho_k)`` between k and k + 1, each
    gap gives half of its t to either end, and each end of the chain half of one.
    """
    rho = np.exp(-np.asarray(distance, dtype=np.float64) / length)
    gain = np.concatenate([[1.0], (1.0 - rho) / (1.0 + rho), [1.0]])
    gain[offsets] = 1.0  # the ends
    raw = 0.5 * (gain[:-1] + gain[1:])
    number = np.add.reduceat(raw, offsets[:-1])
    return raw / np.repeat(number, np.diff(offsets)), number


def thinning_coefficient(
    value: npt.ArrayLike,
    position_km: npt.ArrayLike,
    offsets: npt.ArrayLike,
    *,
    keep: float = 0.3,
    pattern: str = "edge",
    repeats: int = 20,
    seed: int = 0,
) -> float:
    """Calibrate `ErrorModel.representativity` by thinning groups that cover their cells.

    Parameters
    ----------
    value : array_like, shape (members,)
        Of groups that are full.
    position_km : array_like, shape (members, 3)
        On the sphere.
    offsets : array_like of int, shape (groups + 1,)
        Groups of fewer than 10 members are passed over.
    keep : float
        Share of the members kept.
    pattern : {"edge", "random"}
        Which are kept: those on one side of a line (a cloud's edge), or any.
    repeats, seed : int
        Draws a group, and the seed of their directions.

    Returns
    -------
    float
        Mean square change of the mean over what sampling at random predicts; near 1 for ``random``.

    Raises
    ------
    RangeError
        No group of 10 members.
    """
    if pattern not in {"edge", "random"}:
        raise ConfigError(f"pattern is 'edge' or 'random', found {pattern!r}")
    value, position = np.asarray(value, np.float64), np.asarray(position_km, np.float64)
    offsets = np.asarray(offsets, dtype=np.int64)
    rng = np.random.default_rng(seed)
    ratios = []
    for first, last in pairwise(offsets):
        n = int(last - first)
        left = round(keep * n)
        y, place = value[first:last], position[first:last]
        if n < 10 or left < 2 or y.var() == 0.0:
            continue
        expected = y.var(ddof=1) / left * (1.0 - left / n)
        for _ in range(repeats):
            score = rng.normal(size=n) if pattern == "random" else place @ rng.normal(size=3)
            kept = np.argpartition(score, left - 1)[:left]
            ratios.append((y[kept].mean() - y.mean()) ** 2 / expected)
    if not ratios:
        raise RangeError("thinning needs groups of at least 10 soundings that differ")
    return float(np.mean(ratios))
