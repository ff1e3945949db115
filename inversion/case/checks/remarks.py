"""What a solved case says against itself: biased sources, rows far off, the same air twice, observations left out.

The remarks travel in the posterior file, so that whoever tests an inventory with it reads them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from inversion.case.assemble import Assembled
from inversion.case.checks.attenuation import diluted_score
from inversion.case.checks.screening import departures
from inversion.case.options import ScreenOptions
from inversion.case.solving.members import honesty
from inversion.errors.source_bias import Offset, source_offsets
from inversion.problem.posterior import Posterior
from inversion.problem.totals import Totals
from obsnet.run_words import line
from obsnet.typing import Floats

__all__ = ["add_checks", "screening_lines"]

BIASED = 0.001  # adjusted p of a source's offset below which it is said
FAR = 5.0  # standard deviations from what all others predict: once in 1.7 million good rows
SHOWN = 5


def screening_lines(table: pa.Table) -> list[str]:
    """Return what screening did: a line a source, then the farthest rows by name."""
    factor = table["factor"].to_numpy()
    source = table["source"].to_numpy(zero_copy_only=False).astype(str)
    lines = []
    for name in np.unique(source):
        at = source == name
        rejected = int(np.isinf(factor[at]).sum())
        lines.append(f"screening: {name}: {rejected} rejected, {int(at.sum()) - rejected} held less firmly")
    away = np.abs(table["departure"].to_numpy())
    for k in np.argsort(-away)[:SHOWN]:
        row = table.slice(int(k), 1).to_pylist()[0]
        lines.append(f"screening: {row['obs_id']} is {row['departure']:+.3g} off its prediction")
    return lines or ["screening: nothing rejected"]


def add_checks(
    data: Any,
    made: Assembled,
    posterior: Posterior,
    totals: Totals,
    *,
    allowed: Sequence[str],
    screened: pa.Table | None,
    options: ScreenOptions | None,
) -> list[str]:
    """Add the checks of a solved case to its posterior.

    Parameters
    ----------
    data : xarray.Dataset
        The posterior; gets ``source_offset`` with its uncertainty, its p-value and what was taken off it, and the
        attributes ``checks`` (lines) and ``screening`` (JSON).
    made : Assembled
        The case.
    posterior : Posterior
    totals : Totals
        Of it.
    allowed : sequence of str
        See `inversion.case.inputs.reading.Inputs`.
    screened : pyarrow.Table or None
        From `inversion.case.checks.screening`.
    options : ScreenOptions or None
        How it was screened.

    Returns
    -------
    list of str
        The remarks.
    """
    unit = str(data["source_bias_prior"].attrs["units"])
    # the diagonal is sampled by methods without a factor: too roughly for single rows and for what noise adds
    inverse = posterior.system.solve_diagonal() if posterior.factorised else None
    diluted = None if inverse is None else partial(diluted_score, made, posterior, inverse=inverse)
    offsets = source_offsets(posterior, diluted=diluted)
    order = {o.source: o for o in offsets}
    names = [str(s) for s in data["source"].values]
    for key, text in (
        ("offset", "common offset that nothing in the inversion explains"),
        ("uncertainty", "of that offset"),
        ("diluted", "what noise in the footprints adds to such an offset; it is taken off"),
    ):
        name = "source_offset" if key == "offset" else f"source_offset_{key}"
        values = [getattr(order[n], key) for n in names]
        data[name] = ("source", values, {"units": unit, "long_name": text})
    note = {"units": "1", "long_name": "two-sided p of no offset, times the number of sources"}
    data["source_offset_p"] = ("source", [order[n].p_adjusted for n in names], note)
    remarks = list(allowed)
    remarks += [_biased(o) for o in offsets if o.p_adjusted < BIASED]
    remarks += _far_rows(posterior, inverse) + _negative_cells(made, posterior)
    w = totals.weights
    names = [f"{s} {r}" for s in w.sector for r in w.region for _ in range(w.shape[2])]
    remarks += honesty(posterior, w.weights, names)
    if screened is not None and len(screened):
        share = len(screened) / (posterior.problem.n_obs + int(np.isinf(screened["factor"].to_numpy()).sum()))
        remarks.append(line("screened", n=len(screened), share=f"{share:.1%}"))
    data.attrs["checks"] = "\n".join(remarks)
    if options is not None:
        data.attrs["screening"] = json.dumps(options.model_dump())
    return remarks


def _negative_cells(made: Assembled, posterior: Posterior) -> list[str]:
    """Count cells below zero of sectors whose prior is nowhere negative."""
    state, lines = posterior.problem.state, []
    assert state is not None
    area = made.grid.cell_area.ravel()
    for sector in made.solved:
        if (made.prior_mean[sector] < 0.0).any():
            continue
        cells = posterior.mean[state.span(sector)].reshape(made.prior_mean[sector].shape)
        below = cells < 0.0
        if below.any():
            whole = float((cells @ area).sum())
            share = float((np.where(below, cells, 0.0) @ area).sum()) / whole if whole else float("nan")
            count = {"n": int(below.sum()), "all": below.size}
            lines.append(line("negative cells", sector=sector, share=f"{share:.1%}", **count))
    return lines


def _far_rows(posterior: Posterior, inverse: Floats | None) -> list[str]:
    """Name the rows that all others contradict; left out where the method only samples the diagonal."""
    if inverse is None:
        return []
    problem = posterior.problem
    residual, deviations = departures(posterior, inverse)
    far = np.flatnonzero(np.abs(deviations) > FAR)
    if far.size == 0:
        return []
    worst = far[np.argsort(-np.abs(deviations[far]))][:SHOWN]
    ids = problem.obs_id if problem.obs_id is not None else np.arange(problem.n_obs).astype(str)
    named = ", ".join(f"{ids[k]} ({residual[k]:+.3g})" for k in worst)
    more = " …" if far.size > worst.size else ""
    return [line("far", n=far.size, far=f"{FAR:g}", named=f"{named}{more}")]


def _biased(o: Offset) -> str:
    numbers = {"offset": f"{o.offset:+.3g}", "sd": f"{o.uncertainty:.2g}"}
    return line("biased", source=o.source, n=o.observations, **numbers)
