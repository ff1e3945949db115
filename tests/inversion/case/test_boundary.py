"""Inflow errors in one dimension: solved jointly they do no harm, ignored or solved first they do.

A line of 20 cells of 25 km under a wind of 5 km/h, 50 observations a cell of 10 ppb, emissions that add 30 ppb a day,
inflow of 1900 ppb: the steady state of the advection experiment of Nesser et al. (2025).
"""

from __future__ import annotations

import numpy as np
import pytest

from inversion import Problem, State, solve
from inversion.operators.covariance import BlockDiagonalCovariance, DiagonalCovariance
from inversion.problem.state import StateBlock

CELLS, PER_CELL, ADDED = 20, 50, 30.0 / 24.0 * 25.0 / 5.0  # ppb that a cell adds
SIGMA_FLUX, SIGMA_INFLOW, SIGMA_OBS, INFLOW = 0.5, 10.0, 10.0, 1900.0


def jacobian(with_inflow):
    rows = np.repeat(np.tril(np.full((CELLS, CELLS), ADDED)), PER_CELL, axis=0)
    return np.column_stack([rows, np.ones(len(rows))]) if with_inflow else rows


def problem(y, with_inflow=True, inflow=INFLOW):
    h = jacobian(with_inflow)
    prior, sigma = np.ones(CELLS), np.full(CELLS, SIGMA_FLUX**2)
    blocks = [StateBlock("flux", "other", ("cell",), {"cell": np.arange(CELLS)}, "1")]
    errors = [DiagonalCovariance(sigma)]
    if with_inflow:
        blocks.append(StateBlock("inflow", "boundary", ("side",), {"side": np.array(["west"])}, "ppb"))
        errors.append(DiagonalCovariance([SIGMA_INFLOW**2]))
        prior = np.append(prior, 0.0)
    error = np.full(len(y), SIGMA_OBS**2)
    return Problem(
        h, y, error, prior, BlockDiagonalCovariance(errors), background=inflow, state=State(blocks)
    )


def observations(truth, inflow_error, noise=None):
    y = INFLOW + inflow_error + jacobian(False) @ truth
    return y if noise is None else y + noise


def test_a_wrong_inflow_that_is_not_solved_biases_the_first_cells_most():
    y = observations(np.ones(CELLS), 10.0)
    bias = solve(problem(y, with_inflow=False)).mean - 1.0
    assert bias[0] > 0.5
    assert np.abs(bias[:3]).max() > 5 * np.abs(bias[8:]).max()
    # the first cell emits what flows in: nearly the whole 10 ppb within a few cells
    assert bias[:6].sum() * ADDED == pytest.approx(10.0, rel=0.1)


def test_solved_jointly_the_bias_nearly_goes():
    y = observations(np.ones(CELLS), 10.0)
    alone = np.abs(solve(problem(y, with_inflow=False)).mean - 1.0).max()
    a = solve(problem(y))
    parts = a.problem.state.unstack(a.mean)
    assert np.abs(parts["flux"] - 1.0).max() < 0.3 * alone
    assert parts["inflow"][0] == pytest.approx(10.0, rel=0.2)


def test_inflow_first_and_fluxes_then_is_biased_and_overconfident():
    rng = np.random.default_rng(572)
    joint, sequential = [], []
    for _ in range(120):
        truth = 1.0 + SIGMA_FLUX * rng.standard_normal(CELLS)
        error = SIGMA_INFLOW * rng.standard_normal()
        y = observations(truth, error, SIGMA_OBS * rng.standard_normal(CELLS * PER_CELL))
        a = solve(problem(y))
        joint.append((a.mean[:CELLS] - truth) / np.sqrt(a.variance()[:CELLS]))
        # first the inflow, with the prior fluxes taken for true; then the fluxes, with that inflow taken for true
        rest = y - INFLOW - jacobian(False) @ np.ones(CELLS)
        weight = SIGMA_INFLOW**2 / (SIGMA_INFLOW**2 + SIGMA_OBS**2 / rest.size)
        b = solve(problem(y, with_inflow=False, inflow=INFLOW + weight * rest.mean()))
        sequential.append((b.mean - truth) / np.sqrt(b.variance()))
    assert np.std(joint) == pytest.approx(1.0, abs=0.05)
    first = np.std(np.array(sequential)[:, 0])
    assert first > 1.5
    assert np.std(np.array(joint)[:, 0]) == pytest.approx(1.0, abs=0.2)


def test_information_is_divided_between_fluxes_and_inflow():
    a = solve(problem(observations(np.ones(CELLS), 0.0)))
    dofs = a.dofs_by_block()
    assert 0.5 < dofs["inflow"] < 1.0
    assert 10 < dofs["flux"] < CELLS
    assert sum(dofs.values()) == pytest.approx(a.dofs, rel=1e-10)


def test_the_preview_of_a_single_cell_is_the_exact_answer():
    """a = sigma_a^2 / (sigma_a^2 + (sigma_o / k)^2 / m), the degrees of freedom of one element seen m times."""
    k, m = 6.25, 50
    a = solve(Problem(np.full((m, 1), k), np.zeros(m), np.full(m, SIGMA_OBS**2), [0.0], [SIGMA_FLUX**2]))
    assert a.dofs == pytest.approx(SIGMA_FLUX**2 / (SIGMA_FLUX**2 + (SIGMA_OBS / k) ** 2 / m), rel=1e-10)
