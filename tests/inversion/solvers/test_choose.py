"""The choice of a method, before anything is allocated."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from inversion import DiagonalCovariance, Problem, solve
from inversion.solvers.choose import METHODS, forecast
from obsnet.errors import ConfigError, ResourceError
from tests.inversion.cases import case


def empty(n, m):
    """A problem of any size that takes no memory itself."""
    return Problem(sp.csr_array((n, m)), np.zeros(n), np.ones(n), np.zeros(m), DiagonalCovariance(np.ones(m)))


@pytest.mark.parametrize(("n", "m", "expected"), [(10, 200, "dual"), (300, 20, "primal")])
def test_the_smaller_side_is_factored(n, m, expected):
    lines = []
    assert solve(empty(n, m), report=lines.append).method == expected
    assert lines[0].startswith(f"{n} observations x {m} unknowns, method {expected}: ")


def test_what_does_not_fit_goes_matrix_free():
    plans = {p.method: p for p in forecast(empty(20000, 96000))}
    assert plans["primal"].memory > 2e11
    assert plans["dual"].memory > 6e9
    assert plans["cg"].memory < 5e8


def test_time_decides_where_memory_would_not():
    """Case K fits a large machine as a factorisation of an hour; nobody should wait for that unasked."""
    from inversion.operators.kronecker import KroneckerCovariance
    from inversion.solvers.choose import _choose

    prior = KroneckerCovariance(1.0, np.eye(40), sp.eye_array(2400, format="csr"))
    p = Problem(sp.csr_array((20000, 96000)), np.zeros(20000), np.ones(20000), np.zeros(96000), prior)
    assert _choose(p, 1e12)[0].method == "cg"
    assert _choose(empty(10000, 8000), 1e12)[0].method == "primal"


def test_memory_decides():
    p = empty(6000, 5000)
    plans = {f.method: f.memory for f in forecast(p)}
    assert plans["cg"] < plans["primal"]
    lines = []
    posterior = solve(p, memory=plans["cg"] / 0.8 + 1, report=lines.append)
    assert posterior.method == "cg"
    assert "method cg" in lines[0]


def test_nothing_fits_is_refused_with_advice():
    with pytest.raises(ResourceError, match=r"do not fit: 1e-06 GB are free, dual: .*Take fewer unknowns"):
        solve(empty(400, 300), memory=1e3)
    with pytest.raises(
        ResourceError, match="method primal: .* does not fit .* method 'auto' takes one that does"
    ):
        solve(empty(400, 300), "primal", memory=1e3)


def test_the_forecast_says_it_before_allocating():
    """The refusal of a problem of 1e6 unknowns must come without its 8 TB."""
    with pytest.raises(ResourceError, match="method primal: 2.4e.04 GB"):
        solve(empty(10**6, 10**6), "primal")


def test_unknown_methods_name_the_known():
    with pytest.raises(ConfigError, match="unknown method 'dula'; nearest: 'dual'"):
        solve(empty(2, 2), "dula")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_same_mean_and_totals(method):
    c = case("S")
    options = {"tolerance": 1e-12} if method == "cg" else {}  # 1e-13 is what some processors round away
    reference, posterior = solve(c.problem, "dual"), solve(c.problem, method, **options)
    np.testing.assert_allclose(posterior.mean, reference.mean, rtol=0, atol=1e-10)
    for found, known in zip(posterior.aggregate(c.regions), reference.aggregate(c.regions), strict=True):
        np.testing.assert_allclose(found, known, rtol=0, atol=1e-10 * np.abs(known).max())
