"""Forecasts: counted, not allocated; the count of iterations from two moments."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from inversion import DiagonalCovariance, Problem, solve
from inversion.operators.distributed import BlockJacobian
from inversion.solvers import forecast as module
from inversion.solvers.cg import CGSystem
from inversion.solvers.forecast import Rates, forecast, measure

RATES = Rates(0.01, 0.02, 0.03, 1e10, 2e10, 1e-9, 100.0, 1.2, True)


def empty(n, m):
    return Problem(sp.csr_array((n, m)), np.zeros(n), np.ones(n), np.zeros(m), DiagonalCovariance(np.ones(m)))


def test_a_year_fits_into_four_gigabytes_with_its_totals():
    plans = {p.method: p for p in forecast(empty(30_000, 1_200_000), 840, RATES)}
    assert plans["cg"].memory < 2.5e9  # and 1 GB of Jacobian
    assert plans["dual"].memory > 14e9
    assert plans["primal"].memory > 1e13


@pytest.mark.parametrize("method", ["dual", "primal", "cg"])
def test_totals_and_variances_are_counted(method):
    p = empty(3000, 20_000)
    none, some, many = ({f.method: f for f in forecast(p, k, RATES)}[method] for k in (0, 100, 800))
    assert none.seconds < some.seconds < many.seconds
    assert none.memory < some.memory < many.memory
    assert none.operations < some.operations < many.operations
    assert none.parts["variances"] == many.parts["variances"] > 0
    assert sum(many.parts.values()) == pytest.approx(many.seconds)
    assert "variances" in many.detail()
    slower = Rates(0.1, 0.2, 0.3, 1e9, 2e9, 1e-8, 100.0, 1.2, True)
    assert {f.method: f for f in forecast(p, 800, slower)}[method].seconds == pytest.approx(10 * many.seconds)


def test_a_power_law_is_found_from_its_moments():
    law = 300.0 * np.arange(1.0, 2001.0) ** -1.3
    size, decay = module._power_law(law.sum(), np.sum(law**2), 2000)
    assert (size, decay) == (pytest.approx(300.0, rel=1e-6), pytest.approx(1.3, rel=1e-6))
    assert module._power_law(0.0, 0.0, 10) == (0.0, 1.0)


@pytest.mark.parametrize("decay", [0.8, 1.3])
@pytest.mark.parametrize("rank", [0, 64])
def test_iterations_are_told_within_a_factor_of_two(decay, rank):
    n, rng = 1500, np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
    h = basis * np.sqrt(2000.0 * np.arange(1.0, n + 1.0) ** -decay)
    p = Problem(h, rng.standard_normal(n), np.ones(n), np.zeros(n), np.ones(n))
    rates, system = measure(p), CGSystem(p, rank=rank)
    assert rates.measured
    for width, tolerance in ((1, 1e-8), (33, 1e-8), (100, 1e-5)):
        system._solve(rng.standard_normal((n, width)), tolerance)
        told = rates.iterations(rank, width, tolerance)
        assert 0.5 < told / system.iterations[-1] < 2.0


def test_a_lazy_jacobian_is_not_read_to_forecast():
    from dask.delayed import delayed

    def fail():
        raise AssertionError("read")

    h = BlockJacobian([delayed(fail)()], [40], 30)
    p = Problem(h, np.zeros(40), np.ones(40), np.zeros(30), np.ones(30))
    plans = forecast(p, 5)
    assert all(np.isfinite(f.seconds) for f in plans)
    assert not measure(p).measured


def test_the_choice_does_not_depend_on_how_busy_the_machine_is(monkeypatch):
    lines = []
    for slow in (1.0, 1e3):
        rates = Rates(slow, 1.0, 1.0 / slow, 1e10, 2e10, 1e-9 * slow, 100.0, 1.2, True)
        monkeypatch.setattr(module, "measure", lambda _problem, r=rates: r)
        lines.append(solve(empty(300, 200), report=print).method)
    assert lines[0] == lines[1]
