"""The work behind `obsnet invert`: from options to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from inversion.options import InvertOptions

__all__ = ["run_invert"]

Report = Callable[[str], None]


def run_invert(
    options: InvertOptions, folder: Path, out: Path, report: Report = lambda _line: None
) -> tuple[list[Path], dict[str, Any]]:
    """Invert what the options name and write the posterior.

    Parameters
    ----------
    options : InvertOptions
        The table ``[invert]``.
    folder, out : Path
        Folder of the case and of the run; see `inversion.invert.locate`.
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


def _own(
    options: InvertOptions, folder: Path, out: Path, report: Report
) -> tuple[list[Path], dict[str, Any]]:
    import scipy.sparse as sp

    from inversion.invert import assemble, load, locate
    from inversion.outputs import fit_table, posterior_dataset, write_posterior
    from inversion.prior import state_bins
    from inversion.solvers.choose import solve
    from inversion.totals import region_totals, total_weights
    from obsnet.regions import PROVINCES, provinces, read_regions
    from obsnet.zonal import zonal_weights

    jacobian, table, prior, counts = load(options, folder, out)
    report(
        f"{counts['used']} observations with footprints on {jacobian.grid!r}; left out: "
        + ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in counts.items() if k != "used")
    )
    for note in prior.notes:
        report(note)
    frame = (
        read_regions(locate(options.regions, folder, out), options.region_key)
        if options.regions
        else provinces()
    )
    zones = zonal_weights(frame, jacobian.grid)
    made = assemble(options, jacobian, table, prior, fraction=sp.csr_array(zones.fraction), counts=counts)
    assert made.problem.state is not None
    periods = state_bins(jacobian.time_edges, options.periods).edges
    weights = total_weights(
        made.problem.state,
        made.sectors,
        made.prior_mean,
        bins=made.bins,
        area=zones.matrix,
        regions=zones.labels,
        periods=periods,
        scale=made.flux_scale,
    )
    posterior = solve(made.problem, method=options.method, report=report, weights=weights.weights)
    totals = region_totals(posterior, weights)
    names = {k: v[0] for k, v in PROVINCES.items()} if not options.regions else {}
    data = posterior_dataset(made, posterior, totals, region_names=names)
    data.attrs["regions_source"] = str(frame.attrs.get("source", options.regions))
    target = out / options.out
    written = write_posterior(data, fit_table(posterior, table), target)
    report(f"chi-square {posterior.chi_square:.3g}, degrees of freedom for signal {posterior.dofs:.3g}")
    return written, _summary(posterior) | {
        "prior": prior.name,
        "counts": counts,
        "dofs_by_component": posterior.dofs_by_block(),
        "posterior": str(target),
    }


def _summary(posterior: Any) -> dict[str, Any]:
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
        result[f"{block.name}_scale"] = (
            dim,
            parts[block.name],
            {"units": "1", "long_name": "posterior scale factor"},
        )
        result[f"{block.name}_scale_uncertainty"] = (
            dim,
            spread[block.name],
            {"units": "1", "long_name": "posterior standard deviation of the scale factor"},
        )
    summary = _summary(posterior) | {"dofs_by_component": posterior.dofs_by_block()} | found
    result.attrs["summary"] = json.dumps(summary, default=str)
    target = out / options.out
    write_netcdf(result, target)
    report(f"chi-square {posterior.chi_square:.3g}, degrees of freedom for signal {posterior.dofs:.3g}")
    return [target], summary | {"posterior": str(target)}
