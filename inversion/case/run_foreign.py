"""The work behind `obsnet invert --jacobian`: a Jacobian that another system made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inversion.case.options import InvertOptions
from obsnet.errors import ConfigError
from obsnet.run_words import line

if TYPE_CHECKING:
    from inversion.case.inputs.elements import Elements
    from inversion.problem.problem import Problem

__all__ = ["run_foreign"]

Report = Callable[[str], None]
_METHODS = ("auto", "dual", "primal", "cg")
# Tables that say how a problem of one's own is made: here they would do nothing.
_OWN = ("sector", "boundary", "error", "offset", "basis", "likelihood", "screen", "withhold", "ensemble")


def run_foreign(
    options: InvertOptions, folder: Path, out: Path, report: Report
) -> tuple[list[Path], dict[str, Any]]:
    """Solve a ready-made Jacobian and write its scale factors.

    Parameters
    ----------
    options, folder, out, report
        See `inversion.case.run.run_invert`; ``options.foreign`` is given.

    Returns
    -------
    list of Path, dict
        What was written, and the numbers that sum it up.

    Raises
    ------
    ConfigError
        Options that a ready-made Jacobian has no use for.
    """
    if options.method not in _METHODS:
        raise ConfigError(
            f"[invert.foreign] a ready-made Jacobian is solved by {', '.join(_METHODS)}, not by {options.method}"
        )
    idle = [name for name in _OWN if name in options.model_fields_set]
    if idle:
        raise ConfigError(
            f"[invert.foreign] a ready-made Jacobian is solved as it is: take out {', '.join(idle)}"
        )
    import json

    import xarray as xr

    from inversion.case.inputs.elements import place_elements, read_elements, with_boundary
    from inversion.case.inputs.foreign import foreign_problem
    from inversion.case.inputs.reading import locate
    from inversion.case.outputs.posterior_file import summary_of
    from inversion.jacobian.foreign import read_foreign
    from inversion.solvers.choose import solve
    from obsnet.cf import write_netcdf
    from obsnet.config import resolve_files
    from obsnet.work.isolated import apart

    assert options.foreign is not None
    data = apart(read_foreign, resolve_files(options.foreign.files, folder))
    grid, column = None, None
    if options.foreign.elements is not None:
        path = locate(options.foreign.elements, folder, out)
        grid, column = apart(read_elements, path, data.matrix.shape[1])
        data = with_boundary(data, int(column.max()) + 1, str(path))
    problem, found = foreign_problem(data, options.foreign)
    for note in [*found["notes"], *found["converted"]]:
        report(note)
    for row in found["set_aside"]:
        report(f"set aside {row['file']} row {row['row']} ({row['label']}): {row['reason']}")
    if found["model_error_estimated"]:
        report(f"model error {found['model_error']:.3g} {found['unit']}, estimated from the misfits")
    if grid is not None and column is not None:
        placed = place_elements(options, grid, column, problem, folder, out)
        return _on_the_map(options, placed, problem, found, out, report)
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
            "obsnet_contract": "scale factors 1",
        }
    )
    for block in problem.state.blocks:
        dim = f"{block.name}_{block.dims[0]}"
        for suffix, values, text in (
            ("", parts[block.name], "posterior scale factor"),
            ("_uncertainty", spread[block.name], "posterior standard deviation of the scale factor"),
        ):
            result[f"{block.name}_scale{suffix}"] = (dim, values, {"units": "1", "long_name": text})
    summary = summary_of(posterior) | {"dofs_by_component": posterior.dofs_by_block()} | found
    result.attrs["inversion_summary"] = json.dumps(summary, default=str)
    target = out / options.out
    write_netcdf(result, target)
    report(f"chi-square {posterior.chi_square:.3g}, degrees of freedom for signal {posterior.dofs:.3g}")
    return [target], summary | {"posterior": str(target)}


def _on_the_map(
    options: InvertOptions,
    placed: Elements,
    problem: Problem,
    found: dict[str, Any],
    out: Path,
    report: Report,
) -> tuple[list[Path], dict[str, Any]]:
    """Solve for factors whose cells are known and write the posterior file with totals."""
    import pyarrow as pa

    from inversion.case.inputs.elements import flux_fields
    from inversion.case.outputs.posterior_file import (
        fit_table,
        posterior_dataset,
        summary_of,
        write_posterior,
    )
    from inversion.problem.totals import region_totals
    from inversion.solvers.choose import solve
    from obsnet.shares import add_shares

    for note in (*placed.prior.notes, *placed.shares.described, *placed.shares.notes):
        report(note)
    posterior = solve(
        placed.named(problem), method=options.method, report=report, totals=len(placed.shares.labels)
    )
    totals = region_totals(posterior, placed.weights)
    if options.shares.in_test:
        totals = totals.with_split(placed.shares.doubt)
    data = posterior_dataset(
        placed, posterior, totals, region_names=placed.region_names, fields=flux_fields(placed, posterior)
    )
    add_shares(data, placed.shares)
    below = int((posterior.mean[: int(placed.column.max()) + 1] < 0.0).sum())
    remarks = [line("one pattern")]
    remarks += [*found["notes"], *found["converted"]]
    if found["set_aside"]:
        remarks.append(line("set aside", n=len(found["set_aside"])))
    if below:
        remarks.append(line("negative factors", n=below, all=int(placed.column.max()) + 1))
    data.attrs |= {
        "regions_source": placed.regions_source,
        "shares_in_test": "yes" if options.shares.in_test else "no",
        "jacobian_system": found["system"],
        "checks": "\n".join(remarks),
    }
    observations = pa.table(
        {
            "obs_id": posterior.problem.obs_id,
            "source": posterior.problem.labels("source"),
            "value": posterior.problem.observations,
        }
    )
    target = out / options.out
    written = write_posterior(data, fit_table(posterior, observations), target)
    report(f"chi-square {posterior.chi_square:.3g}, degrees of freedom for signal {posterior.dofs:.3g}")
    summary = summary_of(posterior) | {"dofs_by_component": posterior.dofs_by_block()} | found
    return written, summary | {"posterior": str(target), "remarks": remarks}
