"""The work behind `obsnet invert`: from options to files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inversion.options import InvertOptions
from obsnet.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from inversion.invert import Assembled
    from inversion.posterior import Posterior
    from inversion.totals import Totals

__all__ = ["SolvedCase", "run_invert", "solve_case"]

Report = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class SolvedCase:
    """A case that has been read and solved.

    Attributes
    ----------
    made : Assembled
        The problem that was solved, without observations held back.
    posterior : Posterior
    totals : Totals
    evaluation : pyarrow.Table or None
        How well observations held back are predicted.
    region_names : dict of str to str
    regions_source : str
        Which boundaries.
    damaged : tuple of str
        Parts of the footprints that could not be read.
    sizes : dict of str to float
        Estimated factors on the assumed standard deviations, where asked for.
    """

    made: Assembled
    posterior: Posterior
    totals: Totals
    evaluation: pa.Table | None
    region_names: dict[str, str]
    regions_source: str
    damaged: tuple[str, ...]
    sizes: dict[str, float]


def run_invert(
    options: InvertOptions, folder: Path, out: Path, report: Report = lambda _line: None
) -> tuple[list[Path], dict[str, Any]]:
    """Invert what the options name and write the posterior.

    Parameters
    ----------
    options : InvertOptions
        The table ``[invert]``.
    folder, out : Path
        Folder of the case and of the run; see `inversion.inputs.locate`.
    report : callable
        Takes lines for people: what was read, which solver was chosen and why.

    Returns
    -------
    list of Path, dict
        What was written, and the numbers that sum it up.

    Raises
    ------
    ObsnetError
        Whatever is wrong with the inputs.
    """
    return _foreign(options, folder, out, report) if options.foreign else _own(options, folder, out, report)


def solve_case(options: InvertOptions, folder: Path, out: Path, report: Report) -> SolvedCase:
    """Read and solve a case; parameters as of `run_invert`, nothing is written but a restart file."""
    import scipy.sparse as sp

    from inversion.inputs import load, locate
    from inversion.invert import assemble
    from inversion.prior import state_bins
    from inversion.totals import region_totals, total_weights
    from obsnet.regions import PROVINCES, provinces, read_regions
    from obsnet.zonal import zonal_weights

    read = load(options, folder, out)
    jacobian, counts, prior = read.jacobian, read.counts, read.prior
    for fault in read.damaged:
        report(f"left out: {fault}")
    report(
        f"{counts['used']} observations with footprints on {jacobian.grid!r}; left out: "
        + ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in counts.items() if k != "used")
    )
    for note in prior.notes:
        report(note)
    own = options.regions is not None
    frame = (
        read_regions(locate(str(options.regions), folder, out), options.region_key) if own else provinces()
    )
    zones = zonal_weights(frame, jacobian.grid)
    made = assemble(
        options, jacobian, read.table, prior, fraction=sp.csr_array(zones.fraction), counts=counts
    )
    assert made.problem.state is not None
    weights = total_weights(
        made.problem.state,
        made.sectors,
        made.prior_mean,
        bins=made.bins,
        area=zones.matrix,
        regions=zones.labels,
        periods=state_bins(jacobian.time_edges, options.periods).edges,
        scale=made.flux_scale,
    )
    made, held = _withhold(options, made)
    made, sizes = _estimate(options, made, report)
    posterior = _solve(options, made, weights.weights, out, report)
    evaluation = None if held is None else _evaluate(posterior, *held)
    names = {} if own else {k: v[0] for k, v in PROVINCES.items()}
    source = str(frame.attrs.get("source", options.regions))
    totals = region_totals(posterior, weights)
    return SolvedCase(made, posterior, totals, evaluation, names, source, read.damaged, sizes)


def _solve(options: InvertOptions, made: Assembled, weights: Any, out: Path, report: Report) -> Posterior:
    """Solve, or go on from the restart file of the same problem."""
    from inversion.restart import load_posterior, save_posterior
    from inversion.solvers.choose import solve

    path = out / "restart.npz"
    if options.restart:
        kept = load_posterior(path, made.problem, options.method)
        if kept is not None:
            report(f"solved before: taken from {path}")
            return kept
    posterior = solve(made.problem, method=options.method, report=report, weights=weights)
    if options.restart:
        save_posterior(posterior, path)
    return posterior


def _estimate(options: InvertOptions, made: Assembled, report: Report) -> tuple[Assembled, dict[str, float]]:
    """Estimate factors on the assumed errors, and use them where asked to."""
    from dataclasses import replace

    from inversion.hyperparameters import fit_sizes

    if options.estimate == "no":
        return made, {}
    fit, changed = fit_sizes(made.problem)
    for name, value in fit.values.items():
        limit = ", at a limit: the observations do not determine it" if name in fit.at_bounds else ""
        report(f"{name}: {value:.2f} times what was assumed (± {fit.relative_error[name]:.0%}{limit})")
    return (replace(made, problem=changed) if options.estimate == "apply" else made), fit.values


def _withhold(options: InvertOptions, made: Assembled) -> tuple[Assembled, tuple[Any, Any] | None]:
    """Split off the observations that are held back."""
    from dataclasses import replace

    import pyarrow as pa

    from inversion.evaluation import withheld

    if options.withhold is None:
        return made, None
    held = withheld(made.observations, options.withhold)
    if not held.any():
        raise ConfigError("[invert.withhold] holds back no observation; name platforms, sources or every")
    counts = made.counts | {"used": int((~held).sum()), "withheld": int(held.sum())}
    kept = replace(
        made,
        problem=made.problem.select(~held),
        observations=made.observations.filter(pa.array(~held)),
        counts=counts,
    )
    return kept, (made.problem.select(held), made.observations.filter(pa.array(held)))


def _evaluate(posterior: Posterior, test: Any, table: Any) -> Any:
    from inversion.evaluation import evaluate

    return evaluate(posterior, test, table)


def _own(
    options: InvertOptions, folder: Path, out: Path, report: Report
) -> tuple[list[Path], dict[str, Any]]:
    from inversion.outputs import fit_table, posterior_dataset, write_posterior
    from obsnet.store import write_table

    case = solve_case(options, folder, out, report)
    data = posterior_dataset(case.made, case.posterior, case.totals, region_names=case.region_names)
    data.attrs["regions_source"] = case.regions_source
    target = out / options.out
    fit = fit_table(case.posterior, case.made.observations)
    written = write_posterior(data, fit, target)
    summary = _summary(case.posterior) | {
        "prior": case.made.prior.name,
        "counts": case.made.counts,
        "dofs_by_component": case.posterior.dofs_by_block(),
        "posterior": str(target),
        "damaged": list(case.damaged),
        "error_factors": case.sizes,
    }
    if case.evaluation is not None:
        write_table(case.evaluation, out / "evaluation.parquet")
        written.append(out / "evaluation.parquet")
        summary["evaluation"] = [r for r in case.evaluation.to_pylist() if r["season"] == "all"]
    if options.ensemble is not None:
        path, spread = _ensemble(options, case, folder, out, report)
        written.append(path)
        summary["ensemble"] = spread
    if options.page:
        from inversion.likelihood import likelihood_surface
        from inversion.page import write_page

        surface = likelihood_surface(case.made.problem)
        written.append(write_page(out / "inversion.html", data, fit, case.evaluation, surface))
    report(
        f"chi-square {case.posterior.chi_square:.3g}, degrees of freedom for signal {case.posterior.dofs:.3g}"
    )
    return written, summary


def _ensemble(
    options: InvertOptions, base: SolvedCase, folder: Path, out: Path, report: Report
) -> tuple[Path, dict[str, Any]]:
    """Run the other members and combine them with the base."""
    from inversion.ensemble import Member, combine, ensemble_dataset, member_options
    from obsnet.cf import write_netcdf
    from obsnet.config import validate

    assert options.ensemble is not None
    plain = options.model_dump(exclude={"ensemble", "withhold", "restart", "page"}, exclude_unset=True)
    listed = [m.model_dump() for m in options.ensemble.member]
    members = [Member("base", "base", base.totals.posterior)]
    for name, axis, table in member_options(plain, listed)[1:]:
        report(f"member {name} ({axis})")
        changed = validate(InvertOptions, table, f"[invert.ensemble] member {name!r}")
        members.append(Member(name, axis, solve_case(changed, folder, out, report).totals.posterior))
    combined = combine(members)
    data = ensemble_dataset(members, combined, base.totals.weights)
    data.attrs = {
        "title": "Ensemble of inversions",
        "summary": "Region totals of each member, their mean, and covariance within and between members",
        "source": f"obsnet inversions of {len(members)} members",
        "license": "as its inputs",
    }
    path = write_netcdf(data, out / "ensemble.nc")
    spread = {axis: float(np.sqrt(np.mean(v**2))) for axis, v in combined.axis_spread.items()}
    return path, {"members": [m.name for m in members], "axis_spread_mol_s": spread}


def _summary(posterior: Posterior) -> dict[str, Any]:
    problem = posterior.problem
    return {
        "method": posterior.method,
        "stopping": dict(posterior.stopping),
        "observations": problem.n_obs,
        "state": problem.n_state,
        "unobserved": int(problem.unseen.sum()),
        "chi_square": posterior.chi_square,
        "dofs": posterior.dofs,
        **({"log_evidence": posterior.log_evidence} if posterior.method != "cg" else {}),
    }


def _foreign(
    options: InvertOptions, folder: Path, out: Path, report: Report
) -> tuple[list[Path], dict[str, Any]]:
    import json

    import xarray as xr

    from inversion.jacobian_door import foreign_problem, read_foreign
    from inversion.solvers.choose import solve
    from obsnet.cf import write_netcdf
    from obsnet.config import resolve_files

    assert options.foreign is not None
    data = read_foreign(resolve_files(options.foreign.files, folder))
    problem, found = foreign_problem(data, options.foreign)
    for line in [*found["notes"], *found["converted"]]:
        report(line)
    for row in found["set_aside"]:
        report(f"set aside {row['file']} row {row['row']} ({row['label']}): {row['reason']}")
    if found["model_error_estimated"]:
        report(f"model error {found['model_error']:.3g} {found['unit']}, estimated from the misfits")
    posterior = solve(problem, method=options.method, report=report)
    assert problem.state is not None
    parts = problem.state.unstack(posterior.mean)
    spread = problem.state.unstack(np.sqrt(np.maximum(posterior.variance(), 0.0)))
    result = xr.Dataset(
        attrs={
            "title": "Posterior scale factors",
            "summary": "Factors of prior fluxes and inflow with their standard deviations",
            "source": f"{found['system']} Jacobian",
            "license": "as its inputs",
        }
    )
    for block in problem.state.blocks:
        dim = f"{block.name}_{block.dims[0]}"
        for suffix, values, text in (
            ("", parts[block.name], "posterior scale factor"),
            ("_uncertainty", spread[block.name], "posterior standard deviation of the scale factor"),
        ):
            result[f"{block.name}_scale{suffix}"] = (dim, values, {"units": "1", "long_name": text})
    summary = _summary(posterior) | {"dofs_by_component": posterior.dofs_by_block()} | found
    result.attrs["inversion_summary"] = json.dumps(summary, default=str)
    target = out / options.out
    write_netcdf(result, target)
    report(f"chi-square {posterior.chi_square:.3g}, degrees of freedom for signal {posterior.dofs:.3g}")
    return [target], summary | {"posterior": str(target)}
