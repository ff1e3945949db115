"""The study of a case with footprints: the problem that ``obsnet invert`` would solve, whatever the case holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from inversion.case.options import InvertOptions
from inversion.case.outputs.solved import PreparedCase
from inversion.case.run import ensemble_totals, prepare_case, reduced, solve_case
from inversion.case.solving.by_method import SOLVERS
from inversion.problem.posterior import Posterior
from inversion.problem.problem import Problem
from inversion.problem.totals import total_weights
from inversion.solvers.choose import solve
from inversion.study.options import DesignOptions, OsseOptions
from inversion.study.study import Study
from inversion.study.words import NATIONAL
from obsnet.config import apply_overrides, out_folder, read_toml, validate
from obsnet.constants import SECONDS_PER_YEAR
from obsnet.errors import ConfigError, nearest
from obsnet.typing import Bools, Floats

__all__ = ["case_study", "chosen_rows", "study_of_case"]

Report = Callable[[str], None]


def case_study(
    options: OsseOptions | DesignOptions,
    case: dict[str, Any],
    folder: Path,
    out: Path,
    report: Report,
    assignments: Sequence[str] = (),
) -> Study:
    """Return the study of a case's ``[invert]``.

    Parameters
    ----------
    options : OsseOptions or DesignOptions
        May name another case file; its inputs are then beside that file and in its run's folder.
    case, folder, out, report
        See `run_osse`.
    assignments : sequence of str
        Within ``[invert]``: what a truth has otherwise.

    Raises
    ------
    ConfigError
        There is neither a world nor a table ``[invert]``.
    """
    where = "[invert]"
    if options.case is not None:
        path = folder / options.case
        case, folder, where = read_toml(path), path.resolve().parent, f"{path.name} [invert]"
        out = out_folder(case, folder)
    if "invert" not in case:
        table = "osse" if isinstance(options, OsseOptions) else "design"
        raise ConfigError(
            f"there is no table [invert] with footprints{f' in {options.case}' if options.case else ''}: add it, name "
            f"another case file ({table}.case), or give an idealised world [{table}.world]"
        )
    chosen = validate(InvertOptions, apply_overrides(case["invert"], assignments), where)
    return study_of_case(chosen, folder, out, options.sector, report)


def chosen_rows(problem: Problem, keep: dict[str, list[str]], drop: dict[str, list[str]], name: str) -> Bools:
    """Say which observations have labels that are kept and none that is dropped.

    Raises
    ------
    ConfigError
        A label that no observation has, or nothing is left.
    """
    rows = np.ones(problem.n_obs, dtype=bool)
    for wanted, choice in ((True, keep), (False, drop)):
        for group, labels in choice.items():
            have = problem.labels(group).astype(str)
            for label in labels:
                if label not in have:
                    raise ConfigError(
                        f"scenario {name!r}: no observation has {group} {label!r}{nearest(label, set(have))}"
                    )
            rows &= np.isin(have, labels) == wanted
    if not rows.any():
        raise ConfigError(f"scenario {name!r} leaves no observation")
    return rows


def study_of_case(
    options: InvertOptions, folder: Path, out: Path, sectors: Sequence[str], report: Report
) -> Study:
    """Return the study of a case: its footprints, errors and prior, and what ``[invert]`` makes of them.

    Observations that are withheld or rejected are not there; errors that the observations gave, regions of a basis and
    the spread of an ensemble are.

    Parameters
    ----------
    options : InvertOptions
        The table ``[invert]``.
    folder, out : Path
        Of the case and of the run.
    sectors : sequence of str
        Whose totals are reported, summed; by default all that are solved.
    report : callable
        Takes lines for people.

    Raises
    ------
    ConfigError
        No footprints of one's own, a method by draws, a sector that is not solved.
    """
    if options.foreign is not None:
        raise ConfigError("a study needs footprints and a prior of its own, not [invert.foreign]")
    if options.method in SOLVERS:
        raise ConfigError(
            f"a study is of a linear method, which [invert] method = {options.method!r} is not: what observations "
            "teach then depends on their values. Set method = 'auto' in a case of its own"
        )
    ready = prepare_case(options, folder, out, report)
    made, shares = ready.made, ready.shares
    problem = made.problem
    assert problem.state is not None
    wanted = list(sectors) or list(made.solved)
    for name in wanted:
        if name not in made.solved:
            raise ConfigError(f"sector {name!r} is not solved{nearest(name, made.solved)}")
    edges = np.asarray(ready.weights.period)
    totals = total_weights(
        problem.state,
        made.sectors,
        made.prior_mean,
        bins=made.bins,
        shares=shares,
        periods=edges[[0, -1]],
        scale=made.flux_scale,
    )
    regions, names = list(shares.labels), dict(ready.region_names)
    gather = sp.eye_array(len(regions), format="csr")
    if options.regions is None:
        china = (np.arange(len(regions)) < len(shares.regions))[None, :] * 1.0
        gather, regions = sp.vstack([gather, sp.csr_array(china)], format="csr"), [*regions, NATIONAL]
        names[NATIONAL] = "China"
    mass = made.species.molar_mass * SECONDS_PER_YEAR * 1e-9  # mol s-1 -> Mt a-1
    of_sector = sp.csr_array([[mass * (s in wanted) for s in made.sectors]])
    g = sp.csr_array(sp.kron(of_sector, gather) @ totals.weights)
    report(f"{problem.n_obs} observations x {problem.n_state} unknowns; totals of {', '.join(wanted)}")
    source = problem.labels("source").astype(str)
    return Study(
        problem,
        g,
        tuple(regions),
        names,
        _positions(made.observations),
        np.asarray(g @ problem.prior),
        made.species.unit_name,
        (f"prior {made.prior.name}", *made.prior.notes, *shares.described, *shares.notes, *made.error_notes),
        made.observations,
        {str(name): source == name for name in np.unique(source)},
        solve if ready.basis is None else _of_regions(options, ready),
        None
        if options.ensemble is None
        else _spread(options, folder, out, sp.kron(of_sector, gather), edges, report),
    )


def _of_regions(options: InvertOptions, ready: PreparedCase) -> Callable[..., Posterior]:
    """Return the solver that solves for the regions of a basis."""
    basis, table = ready.basis, options.basis
    assert basis is not None
    assert table is not None

    def by_regions(problem: Problem, method: str = "auto", report: Report = lambda _line: None) -> Posterior:
        return reduced(table, problem, basis, report).solve(lambda p: solve(p, method, report=report))

    return by_regions


def _spread(
    options: InvertOptions, folder: Path, out: Path, gather: Any, edges: Any, report: Report
) -> Floats:
    """Return the covariance that the members of an ensemble add to the study's totals, (Mt a-1) squared."""
    base = solve_case(options, folder, out, report)
    totals = ensemble_totals(options, base, folder, out, report)[0]
    length = np.diff(edges).astype("timedelta64[s]").astype(np.float64)
    rows = sp.kron(gather, (length / length.sum())[None, :], format="csr")
    added = totals.posterior.covariance - base.totals.posterior.covariance
    return np.asarray(rows @ (rows @ added).T)


def _positions(table: Any) -> dict[str, tuple[float, float]]:
    """Return (lat, lon) of the platforms that stand still."""
    platform, kind = (table[n].to_numpy(zero_copy_only=False).astype(str) for n in ("platform", "kind"))
    lat, lon = (table[n].to_numpy() for n in ("latitude", "longitude"))
    found = {}
    for name in np.unique(platform[kind == "point"]):
        at = (platform == name) & (kind == "point")
        if np.ptp(lat[at]) < 0.1 and np.ptp(lon[at]) < 0.1:
            found[str(name)] = (float(lat[at][0]), float(lon[at][0]))
    return found
