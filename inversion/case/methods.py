"""Methods of `obsnet invert`, ``[invert] method``, in one table, and the options of those that have any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from obsnet.config import Options

__all__ = [
    "METHODS",
    "BoundedOptions",
    "EnsembleSmootherOptions",
    "GeostatisticalOptions",
    "HierarchicalOptions",
    "LetkfOptions",
    "LognormalOptions",
    "MembersOptions",
    "Method",
    "TruncatedOptions",
    "method_lines",
]


Drift = Literal["prior", "constant", "bin"]


@dataclass(frozen=True)
class Method:
    """What a method is for, and what it goes together with.

    Attributes
    ----------
    text : str
        For people, in ``obsnet config`` and docs/inversion.md.
    normal : bool
        It solves the problem as it stands, cells or regions or a ready-made Jacobian; others have a table of their own
        name in ``[invert]`` and solve cells.
    """

    text: str
    normal: bool = False


METHODS = {
    "auto": Method("the cheapest of the next three that fits into memory", normal=True),
    "dual": Method("exact; fewer observations than unknowns", normal=True),
    "primal": Method("exact; fewer unknowns than observations", normal=True),
    "cg": Method("matrix-free; both many", normal=True),
    "lognormal": Method("positive fluxes whose logarithm is normal, by draws"),
    "truncated": Method("normal fluxes cut off at zero, by draws"),
    "bounded": Method("the most likely fluxes not below zero: a picture, no totals to test with"),
    "letkf": Method("an ensemble, each cell from the observations near it"),
    "ensemble_smoother": Method("an ensemble, step by step in time with a lag"),
    "hierarchical": Method("sizes of all errors are drawn with the fluxes; up to 2,000 unknowns"),
    "geostatistical": Method(
        "a mean that is not known but for its shapes: their sizes are estimated with the fluxes"
    ),
}


def method_lines(names: dict[str, Method] = METHODS) -> str:
    """Return the table of methods in one line."""
    return "; ".join(f"{name}: {method.text}" for name, method in names.items())


class BoundedOptions(Options):
    """Method ``bounded``: the mode of normal fluxes that are not below zero."""

    sectors: list[str] | None = Field(
        default=None, description="sectors that stay positive; by default all whose prior is nowhere negative"
    )


class _Draws(BoundedOptions):
    """What every method by draws asks."""

    draws: int = Field(default=8000, ge=100, description="draws of the posterior in all")
    chains: int = Field(default=8, ge=2, description="independent chains of them")
    least: float = Field(
        default=400.0, ge=10, description="refuse if any total is worth fewer independent draws than this"
    )
    seed: int = Field(default=0, ge=0, description="of the draws")


class LognormalOptions(_Draws):
    """Method ``lognormal``: the logarithm of a flux is normal; relative errors are its standard deviations."""

    prior: Literal["mean", "median"] = Field(
        default="mean", description="what the numbers of the prior file are of the lognormal distribution"
    )


class TruncatedOptions(_Draws):
    """Method ``truncated``: normal fluxes, cut off at zero."""

    draws: int = Field(default=4000, ge=100, description="draws of the posterior in all")
    chains: int = Field(default=4, ge=2, description="independent chains of them")


class MembersOptions(Options):
    """What every ensemble asks."""

    members: int = Field(
        default=100, ge=2, description="of the ensemble; its sampling error falls as one over their root"
    )
    radius_km: float | None = Field(
        default=None,
        gt=0,
        description="distance from which on an observation says nothing of a cell (Gaspari-Cohn); by default none, and "
        "every observation speaks of all cells",
    )
    nearest: int | None = Field(
        default=None,
        ge=1,
        description="most observations that a cell learns from, the nearest ones; needs radius_km",
    )
    inflation: float = Field(default=1.0, ge=1, description="factor on the variance of the prior's members")
    relaxation: float = Field(
        default=0.0, ge=0, le=1, description="part of their lost spread that is given back (to prior spread)"
    )
    seed: int = Field(default=0, ge=0, description="of the members")


class LetkfOptions(MembersOptions):
    """Method ``letkf``: all observations at once, cell by cell in the space of the members."""


class EnsembleSmootherOptions(MembersOptions):
    """Method ``ensemble_smoother``: time bin after time bin, with fluxes that stay open for a while."""

    lag: int | None = Field(
        default=None,
        ge=1,
        description="time bins that a flux stays open for later observations, its own included; by default all",
    )
    ahead: int | None = Field(
        default=None,
        ge=0,
        description="later time bins that learn from an observation through the prior's correlation; by default all",
    )


class GeostatisticalOptions(Options):
    """Method ``geostatistical``: a flux is its prior, unknown multiples of the drift's columns, and its error."""

    drift: dict[str, list[Drift]] = Field(
        default_factory=dict,
        description="columns by sector: prior (a factor on it), bin (one factor a time bin), constant (the same flux "
        "everywhere, as large as the prior is in the mean); by default prior, of every solved sector",
    )
    drift_sd: float = Field(
        default=1.0,
        gt=0,
        description="for tests of inventories only: how wrong a drift may be elsewhere, in its own size; the estimate "
        "takes all sizes for equally likely",
    )


class HierarchicalOptions(Options):
    """Method ``hierarchical``: a factor on each prior error and on observation errors is drawn with the fluxes."""

    errors_by: Literal["source", "platform", "kind"] | None = Field(
        default=None, description="one factor on the observation errors of each; by default one for all"
    )
    spread: float = Field(
        default=1.0,
        gt=0,
        description="standard deviation of the logarithm of each factor beforehand; its median is 1",
    )
    draws: int = Field(default=6000, ge=100, description="draws in all")
    chains: int = Field(default=4, ge=2, description="independent chains of them")
    least: float = Field(
        default=400.0, ge=10, description="refuse if any factor is worth fewer independent draws than this"
    )
    seed: int = Field(default=0, ge=0, description="of the draws")
