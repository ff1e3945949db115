"""The exact solver against the textbook on full matrices, and every identity that must hold."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from inversion import DiagonalCovariance, Problem, solve
from inversion.operators.covariance import DenseCovariance
from obsnet.errors import SolverError
from tests.inversion.cases import KNOWN, case, dense_answer

EXACT = ["dual", "primal"]


def tiny(seed=0, n=12, m=8, correlated=False):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((m, m))
    error = rng.random(n) + 0.5
    if correlated:
        i = np.arange(n)
        error = np.sqrt(error[:, None] * error) * np.exp(-np.abs(i[:, None] - i) / 2.0)
    return Problem(
        rng.standard_normal((n, m)),
        rng.standard_normal(n),
        error,
        rng.standard_normal(m),
        root @ root.T + 0.1 * np.eye(m),
        groups={"station": np.arange(n) % 3},
    )


@pytest.mark.parametrize(
    ("name", "method"), [("T", "dual"), ("T", "primal"), ("S", "dual"), ("S", "primal"), ("M", "primal")]
)
def test_known_answers(name, method):
    chi_square, dofs, evidence, before, after, calibration = KNOWN[name]
    c = case(name)
    posterior = solve(c.problem, method=method)
    assert posterior.chi_square == pytest.approx(chi_square, abs=6e-5)
    assert posterior.dofs == pytest.approx(dofs, abs=6e-4)
    assert posterior.log_evidence == pytest.approx(evidence, abs=6e-4)
    if before is not None:
        assert np.sqrt(np.mean((c.problem.prior - c.truth) ** 2)) == pytest.approx(before, abs=6e-5)
        assert np.sqrt(np.mean((posterior.mean - c.truth) ** 2)) == pytest.approx(after, abs=6e-5)
    assert np.mean((c.truth - posterior.mean) ** 2 / posterior.variance()) == pytest.approx(
        calibration, abs=6e-4
    )


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("correlated", [False, True])
def test_the_textbook_on_full_matrices(method, correlated):
    p = tiny(correlated=correlated)
    mean, covariance, kernel = dense_answer(p)
    a = solve(p, method=method)
    np.testing.assert_allclose(a.mean, mean, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(a.variance(), np.diagonal(covariance), rtol=1e-10)
    g = np.random.default_rng(1).standard_normal((3, p.n_state))
    total = a.aggregate(g)
    np.testing.assert_allclose(total.mean, g @ mean, rtol=1e-10)
    np.testing.assert_allclose(total.covariance, g @ covariance @ g.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a.averaging_kernel(g), g @ kernel, rtol=1e-9, atol=1e-12)
    assert a.dofs == pytest.approx(np.trace(kernel), rel=1e-10)
    np.testing.assert_allclose(a.covariance(g.T), covariance @ g.T, rtol=1e-9, atol=1e-12)
    s = p.jacobian @ p.prior_error.dense() @ p.jacobian.T + p.observation_error.dense()
    assert a.system.logdet() == pytest.approx(np.linalg.slogdet(s)[1], rel=1e-10)
    np.testing.assert_allclose(a.system.solve_diagonal(), np.diagonal(np.linalg.inv(s)), rtol=1e-9)
    np.testing.assert_allclose(a.gain(p.innovation), mean - p.prior, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("correlated", [False, True])
def test_identities(method, correlated):
    p = tiny(3, correlated=correlated)
    a = solve(p, method=method)
    # 2 J(x_a) = d' S^-1 d
    step, rest = a.mean - p.prior, a.residual
    both = step @ p.prior_error.solve(step) + rest @ p.observation_error.solve(rest)
    assert both == pytest.approx(a.cost, rel=1e-10)
    assert a.chi_square == pytest.approx(a.cost / p.n_obs)
    # trace of the kernel = trace of the influence = sum over groups
    assert a.influence.sum() == pytest.approx(a.dofs, rel=1e-10)
    assert sum(a.influence_by("station").values()) == pytest.approx(a.dofs, rel=1e-10)
    identity = np.eye(p.n_state)
    assert np.trace(a.averaging_kernel(identity)) == pytest.approx(a.dofs, rel=1e-10)
    # P = noise + smoothing error, (A - I) B (A - I)'
    away = a.averaging_kernel(identity) - identity
    smoothing = away @ p.prior_error.dense() @ away.T
    np.testing.assert_allclose(
        a.noise_covariance(identity) + smoothing, a.aggregate(identity).covariance, atol=1e-11
    )
    # A = I - P B^-1
    kernel = identity - p.prior_error.solve(a.covariance(identity).T).T
    np.testing.assert_allclose(a.averaging_kernel(identity), kernel, atol=1e-9)


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.integers(1, 6))
def test_identity_observations_have_the_scalar_answer(b, r, n):
    y, x = np.arange(n) + 1.0, np.zeros(n) + 0.5
    a = solve(Problem(np.eye(n), y, np.full(n, r), x, np.full(n, b)))
    np.testing.assert_allclose(a.mean, (b * y + r * x) / (b + r), rtol=1e-12)
    np.testing.assert_allclose(a.variance(), b * r / (b + r), rtol=1e-10)
    assert a.dofs == pytest.approx(n * b / (b + r), rel=1e-10)


@given(st.floats(0.1, 10), st.floats(0.1, 10), st.integers(1, 20))
def test_the_mean_of_n_observations_of_one_number(b, r, n):
    a = solve(Problem(np.ones((n, 1)), np.ones(n), np.full(n, r), [0.0], [b]))
    assert a.variance()[0] == pytest.approx(1 / (1 / b + n / r), rel=1e-9)


def test_limits_of_the_observation_error():
    rng = np.random.default_rng(0)
    h, y = rng.standard_normal((5, 5)), rng.standard_normal(5)
    blind = solve(Problem(h, y, np.full(5, 1e14), np.ones(5), np.ones(5)))
    np.testing.assert_allclose(blind.mean, 1.0, atol=1e-10)
    np.testing.assert_allclose(blind.variance(), 1.0, atol=1e-10)
    assert blind.dofs < 1e-10
    sharp = solve(Problem(h, y, np.full(5, 1e-12), np.ones(5), np.ones(5)))
    np.testing.assert_allclose(sharp.mean, np.linalg.solve(h, y), rtol=1e-6)


def test_every_observation_twice_with_double_variance_changes_nothing():
    p = tiny()
    twice = Problem(
        np.vstack([p.jacobian] * 2),
        np.tile(p.observations, 2),
        2 * np.tile(p.observation_error.diagonal(), 2),
        p.prior,
        p.prior_error,
    )
    one, two = solve(p), solve(twice)
    np.testing.assert_allclose(two.mean, one.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(two.variance(), one.variance(), rtol=1e-9)


@given(st.floats(-18, 18))
def test_units_do_not_matter(power):
    p, s = tiny(), 10.0**power
    q = Problem(
        p.jacobian / s, p.observations, p.observation_error, s * p.prior, s * s * p.prior_error.dense()
    )
    one, two = solve(p), solve(q)
    assert two.chi_square == pytest.approx(one.chi_square, rel=1e-9)
    assert two.dofs == pytest.approx(one.dofs, rel=1e-9)
    np.testing.assert_allclose(two.mean / s, one.mean, rtol=1e-9, atol=1e-12)


def test_the_order_of_observations_does_not_matter():
    p = tiny()
    order = np.random.default_rng(5).permutation(p.n_obs)
    one, two = solve(p), solve(p.select(order))
    np.testing.assert_allclose(two.mean, one.mean, rtol=1e-10, atol=1e-12)
    assert two.log_evidence == pytest.approx(one.log_evidence, rel=1e-12)


def test_blocks_one_after_the_other_equal_all_at_once():
    p = tiny(n=12)
    first = solve(p.select(np.arange(5)))
    middle = first.aggregate(np.eye(p.n_state))
    rest = p.select(np.arange(5, 12)).with_(prior=middle.mean, prior_error=middle.covariance)
    second, batch = solve(rest), solve(p)
    np.testing.assert_allclose(second.mean, batch.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(second.variance(), batch.variance(), rtol=1e-9)


def test_an_unseen_state_keeps_its_prior_unless_it_is_correlated():
    h = np.array([[1.0, 0.0]])
    apart = solve(Problem(h, [2.0], [1.0], [0.0, 5.0], [1.0, 4.0]))
    assert apart.mean[1] == 5.0
    assert apart.variance()[1] == 4.0
    together = solve(Problem(h, [2.0], [1.0], [0.0, 5.0], [[1.0, 1.0], [1.0, 4.0]]))
    assert together.mean[1] == pytest.approx(6.0)
    assert together.variance()[1] == pytest.approx(3.5)


def test_sum_of_provinces_uses_their_covariance():
    c = case("M")
    a = solve(c.problem)
    totals = a.aggregate(c.regions)
    whole = a.aggregate(np.ones(c.problem.n_state))
    assert whole.mean[0] == pytest.approx(totals.mean.sum(), rel=1e-10)
    assert whole.covariance[0, 0] == pytest.approx(totals.covariance.sum(), rel=1e-9)
    # Ignoring the cross terms is wrong in both directions: correlated prior errors add up,
    assert np.trace(totals.covariance) < 0.5 * whole.covariance[0, 0]
    # independent ones leave neighbours that only their sum is known of.
    free = solve(Problem([[1.0, 1.0]], [2.0], [0.01], [1.0, 1.0], [1.0, 1.0]))
    assert free.aggregate([1.0, 1.0]).covariance[0, 0] < 0.02 * free.variance().sum()


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("correlated", [False, True])
def test_leaving_a_station_out_equals_solving_without_it(method, correlated):
    p = tiny(7, correlated=correlated)
    g = np.random.default_rng(2).standard_normal((2, p.n_state))
    for left in solve(p, method=method).leave_out("station", g):
        out = p.labels("station") == int(left.label)
        alone = solve(p.select(~out))
        totals = alone.aggregate(g)
        np.testing.assert_allclose(left.totals.mean, totals.mean, rtol=1e-8, atol=1e-11)
        np.testing.assert_allclose(left.totals.covariance, totals.covariance, rtol=1e-8, atol=1e-11)
        if not correlated:
            np.testing.assert_allclose(
                left.residual, p.observations[out] - p.jacobian[out] @ alone.mean, rtol=1e-8, atol=1e-11
            )
            predicted = p.jacobian[out] @ alone.covariance(p.jacobian[out].T)
            expected = predicted + np.diag(p.observation_error.diagonal()[out])
            np.testing.assert_allclose(left.covariance, expected, rtol=1e-8)


def test_leaving_one_observation_out_is_the_classical_formula():
    p = tiny()
    q = p.with_(groups={"row": np.arange(p.n_obs)})
    a = solve(q)
    residual = {left.label: left.residual[0] for left in a.leave_out("row")}
    expected = a.residual / (1 - a.influence)
    np.testing.assert_allclose([residual[str(i)] for i in range(p.n_obs)], expected, rtol=1e-9)


def test_sparse_dense_and_lazy_jacobians_agree():
    import dask.array as da

    c = case("S").problem
    full = c.jacobian.toarray()
    one = solve(c)
    for other in (full, da.from_array(full, chunks=(130, 40))):
        two = solve(c.with_(jacobian=other))
        np.testing.assert_allclose(two.mean, one.mean, rtol=1e-12, atol=1e-14)
        assert two.dofs == pytest.approx(one.dofs, rel=1e-12)


def test_weights_of_the_wrong_shape_are_refused():
    a = solve(tiny())
    with pytest.raises(SolverError, match=r"weights must have shape \(totals, 8\), found \(2, 7\)"):
        a.aggregate(np.ones((2, 7)))
    np.testing.assert_allclose(
        a.aggregate(sp.csr_array(np.ones((1, 8)))).covariance, a.aggregate(np.ones(8)).covariance
    )


def test_prior_aggregate_is_gbg():
    p, g = tiny(), np.arange(16.0).reshape(2, 8)
    total = solve(p).prior_aggregate(g)
    np.testing.assert_allclose(total.covariance, g @ p.prior_error.dense() @ g.T)
    np.testing.assert_allclose(total.mean, g @ p.prior)


def test_a_state_with_known_elements():
    p = tiny()
    sigma = np.ones(p.n_state)
    sigma[2] = 0.0
    a = solve(p.with_(prior_error=DiagonalCovariance(sigma)))
    assert a.mean[2] == p.prior[2]
    assert a.variance()[2] == 0.0


def test_correlated_errors_widen_the_answer():
    n = 20
    i = np.arange(n)
    near = np.exp(-np.abs(i[:, None] - i) / 10.0)
    h = np.ones((n, 1))
    free = solve(Problem(h, np.ones(n), np.ones(n), [0.0], [100.0]))
    tied = solve(Problem(h, np.ones(n), DenseCovariance(near), [0.0], [100.0]))
    assert np.sqrt(tied.variance()[0] / free.variance()[0]) > 2.0


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("form", ["matrix", "known elements", "kronecker"])
def test_the_order_of_questions_changes_no_answer(method, form):
    p = case("T").problem if form == "kronecker" else tiny(3)
    if form == "known elements":  # no inverse: the square-root form
        p = p.with_(prior_error=np.array([0.0, 1.0, 2.0, 3.0, 4.0, 0.5, 1.5, 2.5]))
    v = np.eye(p.n_state)[:, :3]
    asked = {
        "covariance": lambda s: s.covariance(v),
        "variance": lambda s: s.variance(),
        "signal": lambda s: s.signal(),
        "dofs": lambda s: s.dofs(),
        "diagonal of the inverse": lambda s: s.solve_diagonal(),
        "solve": lambda s: s.solve(p.innovation),
    }
    _, full, kernel = dense_answer(p)
    for order in (list(asked), list(asked)[::-1]):
        system = solve(p, method).system
        found = {name: asked[name](system) for name in order}
        np.testing.assert_allclose(found["covariance"], full[:, :3], atol=1e-9)
        np.testing.assert_allclose(found["variance"], np.diagonal(full), atol=1e-9)
        np.testing.assert_allclose(found["signal"].sum(), np.trace(kernel), atol=1e-9)
        np.testing.assert_allclose(found["dofs"], np.trace(kernel), atol=1e-9)
        s = p.jacobian @ p.prior_error.dense() @ p.jacobian.T + p.observation_error.dense()
        inverse = np.linalg.inv(np.asarray(s))
        np.testing.assert_allclose(found["diagonal of the inverse"], np.diagonal(inverse), atol=1e-9)
        np.testing.assert_allclose(found["solve"], inverse @ p.innovation, atol=1e-9)


def test_a_little_signal_under_a_smooth_prior_is_no_rounding():
    """B of a condition of 1e10 is inverted; `I - P B^-1` had fifteen times these degrees of freedom."""
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, 1.0, 60)
    smooth = np.exp(-(((x[:, None] - x) / 0.1) ** 2)) + 1e-9 * np.eye(60)
    p = Problem(1e-4 * rng.random((5, 60)), rng.random(5), np.ones(5), np.zeros(60), smooth)
    found, expected = solve(p, "primal"), solve(p, "dual")
    assert found.stopping["form"] == "precision"
    np.testing.assert_allclose(found.system.signal(), expected.system.signal(), atol=1e-10)
    assert found.dofs == pytest.approx(expected.dofs, rel=1e-3)
