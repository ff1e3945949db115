"""Many inversions of one question: how far the answer moves with what was assumed.

Members differ in priors, backgrounds, instruments or meteorology. Their spread is an error that no single posterior
covariance contains, so the covariance between them is added to each.

A test of an inventory looks at ``t_a - [t_b + A (t_I - t_b)]``, in which another prior cancels where nobody looked.
What members disagree on there is therefore counted apart from what their posteriors disagree on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inversion.case.options import InvertOptions
from inversion.problem.posterior import Aggregate
from obsnet.errors import ConfigError, SolverError
from obsnet.typing import Floats

__all__ = ["Combined", "Member", "combine", "ensemble_dataset", "member_options", "members_of"]


@dataclass(frozen=True, eq=False)
class Member:
    """One inversion of an ensemble.

    Parameters
    ----------
    name : str
    axis : str
        What it varies: ``"prior"``, ``"background"``, ``"instrument"``, ``"met"``, …; ``"base"`` for the reference.
    totals : Aggregate
        Its posterior totals and their covariance.
    difference : ndarray, shape (p,)
        What a test of the base's prior totals would look at, see `inversion.problem.totals.Totals.differences`.
    """

    name: str
    axis: str
    totals: Aggregate
    difference: Floats


@dataclass(frozen=True, eq=False)
class Combined:
    """What an ensemble says together.

    Attributes
    ----------
    mean : ndarray, shape (p,)
        Mean over members, each of equal weight.
    within, between, covariance : ndarray, shape (p, p)
        Mean of the members' covariances, covariance between their means, and the sum of the two.
    test : ndarray, shape (p, p)
        Covariance between the members' differences from the same inventory.
    axis_spread : dict of str to ndarray (p,)
        Root mean square difference from the base member along each axis.
    """

    mean: Floats
    within: Floats
    between: Floats
    covariance: Floats
    test: Floats
    axis_spread: dict[str, Floats]


def combine(members: Sequence[Member]) -> Combined:
    """Combine members of equal weight.

    Parameters
    ----------
    members : sequence of Member
        At least two, of the same totals; one of axis ``"base"`` if spreads by axis are wanted.

    Returns
    -------
    Combined

    Raises
    ------
    SolverError
        Fewer than two members, or members of different totals.
    """
    if len(members) < 2:
        raise SolverError(f"an ensemble needs two members or more, found {len(members)}")
    sizes = {m.totals.mean.size for m in members}
    if len(sizes) != 1:
        raise SolverError(
            f"members have different totals: {sorted(sizes)} of them; regions and sectors must agree"
        )
    means = np.stack([m.totals.mean for m in members])
    within = np.mean([m.totals.covariance for m in members], axis=0)
    between, test = (
        np.atleast_2d(np.cov(v, rowvar=False)) for v in (means, np.stack([m.difference for m in members]))
    )
    base = [m for m in members if m.axis == "base"]
    spread: dict[str, Floats] = {}
    if base:
        for axis in dict.fromkeys(m.axis for m in members if m.axis != "base"):
            away = np.stack([m.totals.mean - base[0].totals.mean for m in members if m.axis == axis])
            spread[axis] = np.sqrt(np.mean(away**2, axis=0))
    return Combined(means.mean(axis=0), within, between, within + between, test, spread)


def member_options(
    options: Mapping[str, Any], members: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, dict[str, Any]]]:
    """Return name, axis and full options of each member, the base first.

    Parameters
    ----------
    options : mapping
        The table ``[invert]`` as plain data, without its ensemble.
    members : sequence of mapping
        ``name``, ``axis`` and ``set`` (assignments such as ``"boundary.background=411"``).

    Raises
    ------
    ConfigError
        A name given twice, or an assignment that is none.
    """
    from obsnet.config import apply_overrides

    names = ["base", *(str(m["name"]) for m in members)]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ConfigError(f"[invert.ensemble] members need different names, {twice[0]!r} is given twice")
    return [
        ("base", "base", dict(options)),
        *((str(m["name"]), str(m["axis"]), apply_overrides(options, m["set"])) for m in members),
    ]


def members_of(options: InvertOptions) -> list[tuple[str, str, InvertOptions]]:
    """Return name, axis and checked options of each inversion of a case, the base first and often alone."""
    from obsnet.config import validate

    # members leave out what the base withheld or rejected; looser errors they find for themselves
    rejects = options.screen is not None and options.screen.rule != "huber"
    left = {"ensemble", "withhold", "page"} | ({"screen"} if rejects else set())
    plain = options.model_dump(exclude=left, exclude_unset=True)
    listed = [m.model_dump() for m in options.ensemble.member] if options.ensemble is not None else []
    others = member_options(plain, listed)[1:]
    return [
        ("base", "base", options),
        *((n, axis, validate(InvertOptions, t, f"[invert.ensemble] member {n!r}")) for n, axis, t in others),
    ]


def ensemble_dataset(members: Sequence[Member], combined: Combined, labels: Any) -> Any:
    """Return members and combination as a dataset.

    Parameters
    ----------
    members : sequence of Member
    combined : Combined
    labels : inversion.problem.totals.TotalWeights
        What the totals are of.

    Returns
    -------
    xarray.Dataset
        ``region_total(member, total)`` and their uncertainties, mol s-1; ``ensemble_mean``; covariances
        ``within``, ``between``, ``total`` and ``test_covariance`` (total, total_2), mol2 s-2; ``axis_spread(axis,
        total)``.
    """
    import xarray as xr

    sector, region, period = (a.ravel() for a in np.indices(labels.shape))
    square = ("total", "total_2")
    unit, unit2 = {"units": "mol s-1"}, {"units": "mol2 s-2"}
    means = np.stack([m.totals.mean for m in members])
    spread = np.stack([np.sqrt(np.maximum(np.diagonal(m.totals.covariance), 0.0)) for m in members])
    data = xr.Dataset(
        {
            "member_total": (("member", "total"), means, unit | {"long_name": "posterior total of a member"}),
            "member_uncertainty": (
                ("member", "total"),
                spread,
                unit | {"long_name": "its standard deviation"},
            ),
            "member_axis": ("member", [m.axis for m in members], {"long_name": "what the member varies"}),
            "ensemble_mean": ("total", combined.mean, unit | {"long_name": "mean over members"}),
            "within_covariance": (
                square,
                combined.within,
                unit2 | {"long_name": "mean covariance of members"},
            ),
            "between_covariance": (
                square,
                combined.between,
                unit2 | {"long_name": "covariance between members"},
            ),
            "total_covariance": (
                square,
                combined.covariance,
                unit2 | {"long_name": "within plus between members"},
            ),
            "test_covariance": (
                square,
                combined.test,
                unit2 | {"long_name": "covariance between members of differences from one inventory"},
            ),
            "total_sector": ("total", np.asarray(labels.sector)[sector]),
            "total_region": ("total", np.asarray(labels.region)[region]),
            "total_period": ("total", period.astype(np.int32), {"long_name": "index along period"}),
        },
        coords={"member": [m.name for m in members]},
    )
    if combined.axis_spread:
        data["axis"] = ("axis", list(combined.axis_spread))
        rows = np.stack(list(combined.axis_spread.values()))
        note = unit | {"long_name": "root mean square difference from the base member"}
        data["axis_spread"] = (("axis", "total"), rows, note)
    return data
