"""The work behind `obsnet invert`: from options to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inversion.case.methods import METHODS
from inversion.case.options import BasisOptions, InvertOptions
from inversion.case.workers import Place, here
from obsnet.errors import ConfigError
from obsnet.typing import Bools, Floats, Texts

if TYPE_CHECKING:
    import pyarrow as pa

    from inversion.case.assemble import Assembled
    from inversion.case.ensemble import Member
    from inversion.case.outputs.solved import PreparedCase, SolvedCase
    from inversion.case.workers import MemberTask
    from inversion.problem.basis import Basis
    from inversion.problem.posterior import Posterior
    from inversion.problem.problem import Problem
    from inversion.problem.reduction import Reduction
    from inversion.problem.totals import Totals
    from obsnet.work.work import Work

__all__ = [
    "ensemble_totals",
    "prepare_case",
    "reduced",
    "run_invert",
    "solve_case",
]

Report = Callable[[str], None]


def run_invert(
    options: InvertOptions,
    folder: Path,
    out: Path,
    report: Report = lambda _line: None,
    work: Work | None = None,
) -> tuple[list[Path], dict[str, Any]]:
    """Invert what the options name and write the posterior.

    Parameters
    ----------
    options : InvertOptions
        The table ``[invert]``.
    folder, out : Path
        Folder of the case and of the run; see `inversion.case.inputs.reading.locate`.
    report : callable
        Takes lines for people: what was read, which solver was chosen and why.
    work : Work, optional
        Where products with the Jacobian are made, and members of an ensemble; see `inversion.case.workers`.

    Returns
    -------
    list of Path, dict
        What was written, and the numbers that sum it up.

    Raises
    ------
    ObsnetError
        Whatever is wrong with the inputs.
    """
    from inversion.case.workers import places

    with places(work, out, report) as place:
        if options.foreign is not None:
            from inversion.case.run_foreign import run_foreign

            return run_foreign(options, folder, out, report)
        return _own(options, folder, out, report, work, place)


def solve_case(
    options: InvertOptions,
    folder: Path,
    out: Path,
    report: Report,
    held_back: Texts | None = None,
    restart: str = "restart.npz",
    place: Place = here,
) -> SolvedCase:
    """Read and solve a case; nothing is written but a restart file.

    Parameters
    ----------
    options, folder, out, report
        As of `run_invert`.
    held_back : ndarray of str, optional
        Observations not to use, in place of what the options hold back.
    restart : str
        Name of the restart file.
    place : callable
        Brings the problem to where it is solved; see `inversion.case.workers.places`.
    """
    from inversion.case.outputs.restart import kept_arrays
    from inversion.case.outputs.solved import SolvedCase
    from inversion.case.solving.by_method import SOLVERS
    from inversion.problem.totals import region_totals

    ready = prepare_case(options, folder, out, report, held_back)
    made, weights = ready.made, ready.weights
    idle = [
        n for n, m in METHODS.items() if not m.normal and n in options.model_fields_set - {options.method}
    ]
    for name in idle:
        report(f"[invert.{name}] is not used by method {options.method}")
    if options.method in SOLVERS:
        posterior: Posterior = SOLVERS[options.method](options, made, weights.weights, report)
    else:
        count = weights.weights.shape[0]
        posterior = _solve(options, made.problem, ready.basis, count, out / restart, report, place)
    evaluation = None
    if ready.held.any() and held_back is None:
        evaluation = _evaluate(posterior, ready)
    kept = {}
    if options.restart and posterior.method == "cg":
        kept["keep"] = kept_arrays(out / f"{Path(restart).stem}-totals", posterior)
    totals = region_totals(posterior, weights, **kept)
    if options.shares.in_test:
        totals = totals.with_split(ready.shares.doubt)
    ids = ready.whole.problem.obs_id
    rejected = np.setdiff1d(ids[~ready.held], made.problem.obs_id)
    return SolvedCase(
        made=made,
        posterior=posterior,
        totals=totals,
        evaluation=evaluation,
        region_names=ready.region_names,
        regions_source=ready.regions_source,
        damaged=ready.damaged,
        estimated=ready.estimated,
        held_back=np.concatenate([ids[ready.held], rejected]),
        basis=ready.basis,
        shares=ready.shares,
        screened=ready.screened,
        allowed=ready.allowed,
    )


def prepare_case(
    options: InvertOptions, folder: Path, out: Path, report: Report, held_back: Texts | None = None
) -> PreparedCase:
    """Read a case and put together the problem that is to be solved; parameters as of `solve_case`."""
    from inversion.case.assemble import assemble
    from inversion.case.inputs.reading import load
    from inversion.case.inputs.shares import read_shares
    from inversion.case.outputs.solved import PreparedCase
    from inversion.case.solving.basis import make_basis
    from inversion.case.solving.estimate import estimate_errors
    from inversion.problem.time_bins import state_bins
    from inversion.problem.totals import total_weights

    read = load(options, folder, out)
    jacobian, counts, prior = read.jacobian, read.counts, read.prior
    for fault in read.damaged:
        report(f"left out: {fault}")
    report(
        f"{counts['used']} observations with footprints on {jacobian.grid!r}; left out: "
        + ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in counts.items() if k != "used")
    )
    shares, names, source = read_shares(options, jacobian, prior, folder, out)
    for note in (*prior.notes, *shares.described, *shares.notes, *read.allowed):
        report(note)

    def put_together(options: InvertOptions) -> Assembled:
        return assemble(options, jacobian, read.table, prior, shares=shares, counts=counts)

    whole = put_together(options)
    for note in whole.errors.notes:
        report(note)
    assert whole.problem.state is not None
    weights = total_weights(
        whole.problem.state,
        whole.sectors,
        whole.prior_mean,
        bins=whole.bins,
        shares=shares,
        periods=state_bins(jacobian.time_edges, options.periods).edges,
        scale=whole.flux_scale,
    )
    held = _held(options, whole, held_back)
    made, screened = _screened(options, _without(whole, held), report)
    estimated = None
    if options.likelihood is not None:
        estimated = estimate_errors(options, made, report)
        if options.likelihood.use:
            whole = put_together(estimated.options)
            made, screened = _screened(options, _without(whole, held), report)
    return PreparedCase(
        whole=whole,
        made=made,
        held=held,
        weights=weights,
        region_names=names,
        regions_source=source,
        damaged=read.damaged,
        estimated=estimated,
        basis=None if options.basis is None else make_basis(options.basis, made, shares),
        shares=shares,
        screened=screened,
        allowed=read.allowed,
    )


def _screened(options: InvertOptions, made: Assembled, report: Report) -> tuple[Assembled, pa.Table | None]:
    """Return the problem after ``[invert.screen]``, and the observations that it touched."""
    from inversion.case.checks.remarks import screening_lines
    from inversion.case.checks.screening import screen
    from inversion.solvers.choose import solve

    if options.screen is None:
        return made, None
    method = options.method if options.method in ("dual", "primal") else "auto"
    found = screen(options.screen, made, lambda problem: solve(problem, method=method))
    for line in screening_lines(found.table):
        report(line)
    return found.made, found.table


def _solve(
    options: InvertOptions,
    problem: Problem,
    basis: Basis | None,
    totals: int,
    path: Path,
    report: Report,
    place: Place,
) -> Posterior:
    """Solve for cells or regions, or go on from the restart file of the same problem."""
    from inversion.case.outputs.restart import load_posterior, save_posterior
    from inversion.solvers.choose import solve

    def go(problem: Problem, totals: int = 0) -> Posterior:
        problem = place(problem)
        kept = load_posterior(path, problem, options.method, report) if options.restart else None
        if kept is not None:
            report(f"solved before: taken from {path}")
            return kept
        posterior = solve(problem, method=options.method, report=report, totals=totals)
        if options.restart:
            save_posterior(posterior, path)
        return posterior

    if basis is None or options.basis is None:
        return go(problem, totals)
    return reduced(options.basis, problem, basis, report).solve(go)


def reduced(options: BasisOptions, problem: Problem, basis: Basis, report: Report) -> Reduction:
    """Return the problem of the regions that are solved for in the place of cells."""
    from inversion.problem.reduction import reduce_problem

    reduction = reduce_problem(problem, basis.restriction, aggregation_error=options.aggregation_error)
    report(
        f"basis {basis.kind}: {reduction.problem.n_state} unknowns in the place of {problem.n_state}; it leaves "
        f"{reduction.unresolved:.1%} of the prior's variance in the observations to the aggregation error"
    )
    return reduction


def _held(options: InvertOptions, made: Assembled, held_back: Texts | None) -> Bools:
    """Say which observations are held back."""
    from inversion.case.inputs.evaluation import withheld

    if held_back is not None:
        return np.isin(made.problem.obs_id, held_back)
    if options.withhold is None:
        return np.zeros(made.problem.n_obs, dtype=bool)
    held = withheld(made.observations, options.withhold)
    if not held.any():
        raise ConfigError("[invert.withhold] holds back no observation; name platforms, sources or every")
    return held


def _without(made: Assembled, held: Bools) -> Assembled:
    """Return the problem of the observations that are not held back."""
    from dataclasses import replace

    if not held.any():
        return made
    counts = made.counts | {"used": int((~held).sum()), "withheld": int(held.sum())}
    return replace(made.select(~held), counts=counts)


def _evaluate(posterior: Posterior, ready: PreparedCase) -> Any:
    """Compare predictions of the observations that were held back."""
    from inversion.case.inputs.evaluation import evaluate

    used = np.isin(ready.whole.problem.obs_id, ready.made.problem.obs_id)
    return evaluate(posterior, ready.whole.problem, ready.held, used, ready.whole.observations)


def _own(
    options: InvertOptions, folder: Path, out: Path, report: Report, work: Work | None, place: Place
) -> tuple[list[Path], dict[str, Any]]:
    from inversion.case.checks.remarks import add_checks
    from inversion.case.outputs.posterior_file import (
        add_likelihood,
        fit_table,
        posterior_dataset,
        summary_of,
        write_posterior,
    )
    from obsnet.parquet import write_table
    from obsnet.shares import add_shares

    case = solve_case(options, folder, out, report, place=place)
    totals, written, spread, ensemble = case.totals, [], None, None
    if options.ensemble is not None:
        totals, ensemble, spread = ensemble_totals(options, case, folder, out, report, work)
        written.append(out / "ensemble.nc")
    data = posterior_dataset(
        case.made, case.posterior, totals, region_names=case.region_names, basis=case.basis
    )
    if case.estimated is not None and options.likelihood is not None:
        add_likelihood(data, case.estimated, used=options.likelihood.use)
    data.attrs["regions_source"] = case.regions_source
    remarks = add_checks(
        data,
        case.made,
        case.posterior,
        totals,
        allowed=case.allowed,
        screened=case.screened,
        options=options.screen,
    )
    for line in remarks:
        report(line)
    if case.screened is not None:
        write_table(case.screened, out / "screened.parquet")
        written.append(out / "screened.parquet")
    add_shares(data, case.shares)
    data.attrs["shares_in_test"] = "yes" if options.shares.in_test else "no"
    target = out / options.out
    fit = fit_table(case.posterior, case.made.observations)
    written = [*write_posterior(data, fit, target), *written]
    summary = summary_of(case.posterior) | {
        "prior": case.made.prior.name,
        "counts": case.made.counts,
        "dofs_by_component": case.posterior.dofs_by_block(),
        "posterior": str(target),
        "damaged": list(case.damaged),
        "remarks": remarks,
        "screened": [] if case.screened is None else case.screened.to_pylist(),
        "likelihood": []
        if case.estimated is None
        else [
            vars(r) | {"relative_error": r.relative_error if r.determined else None}
            for r in case.estimated.rows
        ],
    }
    if case.evaluation is not None:
        write_table(case.evaluation, out / "evaluation.parquet")
        written.append(out / "evaluation.parquet")
        summary["evaluation"] = [r for r in case.evaluation.to_pylist() if r["season"] == "all"]
    if spread is not None:
        summary["ensemble"] = spread
    left = _left_out(case)
    if left is not None:
        write_table(left, out / "left_out.parquet")
        written.append(out / "left_out.parquet")
    if options.page:
        from inversion.errors.likelihood import likelihood_surface
        from inversion.page.page import write_page

        surface = likelihood_surface(case.made.problem)
        written.append(
            write_page(out / "inversion.html", data, fit, case.evaluation, surface, ensemble, left)
        )
    if data.attrs["sectors_not_told_apart"]:
        report(data.attrs["sectors_not_told_apart"])
    report(
        f"chi-square {case.posterior.chi_square:.3g}, degrees of freedom for signal {case.posterior.dofs:.3g}"
    )
    return written, summary


def _left_out(case: SolvedCase) -> pa.Table | None:
    """Leave each station or satellite out in turn; None where that would take long or there is one only."""
    import scipy.sparse as sp

    from inversion.case.inputs.evaluation import left_out
    from inversion.problem.gained import GainedPosterior
    from obsnet.constants import SECONDS_PER_YEAR

    posterior, weights, state = case.posterior, case.totals.weights, case.made.problem.state
    platforms = np.unique(posterior.problem.labels("platform"))
    if platforms.size < 2 or posterior.problem.n_obs > 3000 or not posterior.factorised or state is None:
        return None
    if isinstance(posterior, GainedPosterior):  # what it would be without a platform takes another run
        return None
    mass = case.made.species.molar_mass * SECONDS_PER_YEAR * 1e-9  # mol s-1 -> Mt a year
    n_sector, n_region, n_period = weights.shape
    domain = sp.kron(sp.eye_array(n_sector), np.full((1, n_region * n_period), mass / n_period))
    solved = [i for i, name in enumerate(weights.sector) if name in state.names]
    rows = sp.csr_array(domain @ weights.weights)[solved]
    return left_out(posterior, "platform", rows, [weights.sector[i] for i in solved])


def ensemble_totals(
    options: InvertOptions,
    base: SolvedCase,
    folder: Path,
    out: Path,
    report: Report,
    work: Work | None = None,
) -> tuple[Totals, Any, dict[str, Any]]:
    """Run the other members, write ``ensemble.nc`` and return the base's totals with the spread in their errors."""
    from inversion.case.ensemble import combine, ensemble_dataset, members_of
    from inversion.case.workers import MemberTask, map_members
    from obsnet.cf import write_netcdf

    inventory = base.totals.prior.mean
    tasks = [
        MemberTask(number, name, axis, changed, folder.resolve(), out.resolve(), base.held_back, inventory)
        for number, (name, axis, changed) in enumerate(members_of(options)[1:], start=1)
    ]
    members = [
        _member("base", "base", base.totals, inventory),
        *map_members(_solve_member, tasks, work, report),
    ]
    combined = combine(members)
    data = ensemble_dataset(members, combined, base.totals.weights)
    data.attrs = {
        "title": "Ensemble of inversions",
        "summary": "Region totals of each member, their mean, and covariance within and between members",
        "source": f"obsnet inversions of {len(members)} members",
        "license": "as its inputs",
    }
    write_netcdf(data, out / "ensemble.nc")
    spread = {axis: float(np.sqrt(np.mean(v**2))) for axis, v in combined.axis_spread.items()}
    totals = base.totals.with_spread(combined.between, combined.test)
    return totals, data, {"members": [m.name for m in members], "axis_spread_mol_s": spread}


def _solve_member(task: MemberTask) -> tuple[Member, list[str]]:
    said = [f"member {task.name} ({task.axis})"]
    restart = f"restart-{task.number}.npz"
    solved = solve_case(task.options, task.folder, task.out, said.append, task.held_back, restart)
    return _member(task.name, task.axis, solved.totals, task.inventory), said


def _member(name: str, axis: str, totals: Totals, inventory: Floats) -> Member:
    from inversion.case.ensemble import Member

    same = totals.prior.mean.shape == inventory.shape
    difference = totals.differences(inventory) if same else totals.posterior.mean
    return Member(name, axis, totals.posterior, difference)
