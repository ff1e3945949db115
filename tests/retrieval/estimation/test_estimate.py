"""`estimate`: closed forms, invariances, drawn truths, and what becomes of bad input."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import RangeError, SchemaError
from retrieval.estimation.estimate import estimate
from retrieval.estimation.options import RetrievalOutcome, SolverOptions
from tests.retrieval.estimation.problems import FIVE, decay, five, linear

EXACT = SolverOptions(gamma=0.0, threshold=1e-12)
TIGHT = SolverOptions(threshold=1e-10, max_iterations=60, max_divergences=30)


@pytest.mark.parametrize("shared", [True, False])
def test_linear_case_is_the_closed_form(shared):
    forward, y, variance, x_a, s_a, jacobian, _ = linear(shared=shared)
    result = estimate(forward, y, variance, x_a, s_a, keep=["gain", "jacobian", "modelled"], options=EXACT)
    assert (result.outcome == RetrievalOutcome.CONVERGED).all()
    for row in range(len(y)):
        k, s = jacobian[row], s_a if shared else s_a[row]
        inverse = np.linalg.inv(k.T @ (k / variance[row][:, None]) + np.linalg.inv(s))
        gain = inverse @ k.T / variance[row]
        unit = np.sqrt(np.diag(s))
        np.testing.assert_allclose(
            result.value[row] / unit, (x_a + gain @ (y[row] - k @ x_a)) / unit, rtol=1e-7
        )
        np.testing.assert_allclose(
            result.covariance[row] / np.outer(unit, unit), inverse / np.outer(unit, unit), atol=1e-10
        )
        np.testing.assert_allclose(result.gain[row] / unit[:, None], gain / unit[:, None], atol=1e-8)
        chi2 = np.sum((y[row] - k @ result.value[row].values) ** 2 / variance[row]) / y.shape[1]
        assert float(result.chi2[row, 0]) == pytest.approx(chi2, rel=1e-6)


def test_answer_of_the_oco_solvers_own_problem():
    """(1, 2, 3, 4, 5) from (2, 3, 4, 5, 6); and from far away, where steps diverge and are taken back."""
    for guess in ([2.0, 3, 4, 5, 6], [0.05, 0.05, 0.05, 0.05, 0.05], [90.0, -70, 50, 40, 1]):
        result = estimate(
            five, FIVE, np.full(10, 1e-6), np.arange(1.0, 6), np.eye(5), first_guess=guess, options=TIGHT
        )
        assert int(result.outcome[0]) == RetrievalOutcome.CONVERGED
        np.testing.assert_allclose(result.value[0], [1, 2, 3, 4, 5], rtol=1e-6)


def test_ignored_element_stays_and_is_told():
    def forward(state, which):
        modelled, jacobian = five(state[:, :5], which)
        return modelled, np.concatenate([jacobian, np.zeros((len(state), 10, 1))], axis=2)

    prior, guess = np.array([1.0, 2, 3, 4, 5, 6]), np.array([2.0, 3, 4, 5, 6, 7])
    s_a = np.eye(6)
    s_a[4, 5] = s_a[5, 4] = 0.9
    result = estimate(forward, FIVE, np.full(10, 1e-6), prior, s_a, first_guess=guess, options=TIGHT)
    np.testing.assert_allclose(result.value[0, :5], prior[:5], rtol=1e-6)
    assert float(result.value[0, 5]) == 7.0
    assert result.seen[0].values.tolist() == [True] * 5 + [False]
    assert float(result.covariance[0, 5, 5]) == pytest.approx(1.0)


def test_divergent_steps_are_taken_back_and_counted():
    result = estimate(
        five,
        FIVE,
        np.full(10, 1e-6),
        np.arange(1.0, 6),
        np.eye(5) * 1e4,
        first_guess=[0.01] * 5,
        options=SolverOptions(gamma=0.0, max_divergences=40, max_iterations=60),
    )
    assert int(result.divergences[0]) > 0
    assert int(result.outcome[0]) == RetrievalOutcome.CONVERGED
    np.testing.assert_allclose(result.value[0], [1, 2, 3, 4, 5], rtol=1e-4)
    few = SolverOptions(gamma=0.0, max_divergences=1, max_iterations=60)
    result = estimate(
        five, FIVE, np.full(10, 1e-6), np.arange(1.0, 6), np.eye(5) * 1e4, first_guess=[0.01] * 5, options=few
    )
    assert int(result.outcome[0]) == RetrievalOutcome.MAX_DIVERGENCES
    assert np.isfinite(result.value).all()


def test_outcomes_of_too_few_iterations_and_of_poor_fits():
    forward, y, variance, x_a, s_a, _ = decay()
    short = estimate(forward, y, variance, x_a, s_a, options=SolverOptions(max_iterations=1, threshold=1e-9))
    assert (short.outcome == RetrievalOutcome.MAX_ITERATIONS).all()
    bands = np.repeat([0, 1], [40, 20])
    y[0, 40:] += np.tile([0.03, -0.03], 10)
    result = estimate(forward, y, variance, x_a, s_a, bands=bands)
    assert result.outcome.values.tolist() == [
        RetrievalOutcome.CONVERGED_POOR_FIT,
        RetrievalOutcome.CONVERGED,
        RetrievalOutcome.CONVERGED,
    ]
    assert float(result.chi2[0, 1]) > 1.4 > float(result.chi2[0, 0])
    assert result.channels.values.tolist() == [[40, 20]] * 3


def test_batch_is_one_by_one_whatever_the_block():
    forward, y, variance, x_a, s_a, _ = decay(rows=7)
    guess = x_a + np.linspace(0, 3, 7)[:, None]  # so that they need different numbers of steps
    whole = estimate(forward, y, variance, x_a, s_a, first_guess=guess, options=TIGHT)
    assert len(set(whole.iterations.values)) > 1
    for block in (1, 3):
        again = estimate(
            forward,
            y,
            variance,
            x_a,
            s_a,
            first_guess=guess,
            options=TIGHT.model_copy(update={"block": block}),
        )
        for name in ("value", "covariance", "iterations", "outcome"):
            np.testing.assert_array_equal(whole[name], again[name])
    for row in range(7):
        alone = estimate(forward, y[row], variance[row], x_a, s_a, first_guess=guess[row], options=TIGHT)
        np.testing.assert_array_equal(alone.value[0], whole.value[row])


def test_order_of_channels_and_elements_changes_nothing():
    forward, y, variance, x_a, s_a, _ = decay()
    order, elements = np.random.default_rng(3).permutation(y.shape[1]), np.array([2, 0, 3, 1])

    def shuffled(state, which):
        back = np.empty_like(state)
        back[:, elements] = state
        modelled, jacobian = forward(back, which)
        return modelled[:, order], jacobian[:, order][:, :, elements]

    s_a = s_a + 0.05
    plain = estimate(forward, y, variance, x_a, s_a, options=TIGHT)
    mixed = estimate(
        shuffled,
        y[:, order],
        variance[:, order],
        x_a[elements],
        s_a[np.ix_(elements, elements)],
        options=TIGHT,
    )
    np.testing.assert_allclose(mixed.value, plain.value[:, elements], rtol=1e-9)
    np.testing.assert_allclose(
        mixed.averaging_kernel, plain.averaging_kernel[:, elements][:, :, elements], atol=1e-9
    )
    np.testing.assert_allclose(mixed.degrees_of_freedom, plain.degrees_of_freedom, rtol=1e-10)


def test_units_of_the_state_change_nothing():
    forward, y, variance, x_a, s_a, _ = decay()
    unit = np.array([1e-9, 1e4, 1.0, 1e12])

    def scaled(state, which):
        modelled, jacobian = forward(state / unit, which)
        return modelled, jacobian / unit

    plain = estimate(forward, y, variance, x_a, s_a, options=TIGHT)
    other = estimate(scaled, y, variance, x_a * unit, s_a * np.outer(unit, unit), options=TIGHT)
    np.testing.assert_allclose(other.value / unit, plain.value, rtol=1e-9)
    np.testing.assert_allclose(other.uncertainty / unit, plain.uncertainty, rtol=1e-9)
    np.testing.assert_allclose(other.information, plain.information, rtol=1e-9)


def test_stated_uncertainty_covers_drawn_truths():
    """Truths from the prior, noise from the stated variance: (x - truth)^T S^-1 (x - truth) is chi2 of n."""
    rows, n = 600, 4
    rng = np.random.default_rng(11)
    forward, _, _, x_a, s_a, _ = decay(rows=rows)
    truth = x_a + rng.multivariate_normal(np.zeros(n), s_a, rows)
    noise = 0.02
    clean = forward(truth, None)[0]
    y = clean + noise * rng.normal(size=clean.shape)
    result = estimate(forward, y, np.full(y.shape, noise**2), x_a, s_a)
    assert (result.outcome <= RetrievalOutcome.CONVERGED_POOR_FIT).all()
    error = result.value.values - truth
    inside = np.abs(error) < 1.959964 * result.uncertainty.values
    assert 0.93 < inside.mean() < 0.97
    distance = np.einsum("ri,rij,rj->r", error, np.linalg.inv(result.covariance.values), error)
    assert distance.mean() == pytest.approx(n, abs=0.35)
    assert np.abs(error.mean(axis=0)).max() < 4.0 * error.std(axis=0).max() / np.sqrt(rows)


def test_channels_that_are_not_used_have_no_say():
    forward, y, variance, x_a, s_a, _ = decay()
    use = np.ones(y.shape, dtype=bool)
    use[:, ::5] = False
    spoilt, noisy = y.copy(), variance.copy()
    spoilt[:, 0:20:5] = np.nan  # three ways to say it
    spoilt[:, 20:40:5] = 1e30
    noisy[:, 40::5] = np.inf
    result = estimate(
        forward, spoilt, noisy, x_a, s_a, use=use | ~np.isfinite(noisy) | np.isnan(spoilt), options=TIGHT
    )
    again = estimate(forward, y, variance, x_a, s_a, use=use, options=TIGHT)
    np.testing.assert_array_equal(result.value, again.value)
    assert (result.channels == 48).all()


def test_bad_soundings_get_a_code_and_leave_the_others_alone():
    forward, y, variance, x_a, s_a, _ = decay(rows=4)
    y[1] = np.nan

    def broken(state, which):
        modelled, jacobian = forward(state, which)
        modelled[which == 2] = np.nan
        return modelled, jacobian

    result = estimate(broken, y, variance, x_a, s_a, keep=["gain"])
    assert result.outcome.values.tolist() == [1, RetrievalOutcome.NO_DATA, RetrievalOutcome.NOT_FINITE, 1]
    assert np.isnan(result.value[1:3]).all()
    assert np.isnan(result.gain[1:3]).all()
    alone = estimate(forward, y[3], variance[3], x_a, s_a)
    np.testing.assert_array_equal(alone.value[0], result.value[3])


def test_model_that_breaks_on_the_way_counts_as_divergence():
    forward, y, variance, x_a, s_a, truth = decay()

    def cliff(state, which):
        modelled, jacobian = forward(state, which)
        modelled[np.abs(state - truth[which]).max(axis=1) < 0.5 * np.abs(x_a - truth[which]).max(axis=1)] = (
            np.nan
        )
        return modelled, jacobian

    result = estimate(cliff, y, variance, x_a, s_a, options=SolverOptions(gamma=0.0))
    assert (result.outcome == RetrievalOutcome.MAX_DIVERGENCES).all()
    assert np.isfinite(result.value).all()


def test_singular_jacobian_is_held_by_the_prior():
    def sum_only(state, which):
        del which
        return state.sum(axis=1, keepdims=True), np.ones((len(state), 1, 3))

    result = estimate(sum_only, [[6.0]], [1e-8], [1.0, 1.0, 1.0], np.eye(3), options=TIGHT)
    np.testing.assert_allclose(result.value[0], 2.0, rtol=1e-6)
    assert float(result.degrees_of_freedom[0]) == pytest.approx(1.0)


def mistakes():
    forward, y, variance, x_a, s_a, _ = decay()
    good = {"measurement": y, "variance": variance, "prior": x_a, "prior_covariance": s_a}
    skew = s_a.copy()
    skew[0, 1] = 0.05
    wrong = np.eye(4)
    wrong[0, 1] = wrong[1, 0] = 1.5
    flat = np.diag([1.0, 0.0, 1.0, 1.0])
    return forward, {
        "variance 0": (good | {"variance": np.zeros(60)}, RangeError, "positive variance"),
        "negative variance": (good | {"variance": np.full(60, -1.0)}, RangeError, "positive variance"),
        "shape of variance": (good | {"variance": np.ones(59)}, SchemaError, "variance must have shape"),
        "skew covariance": (good | {"prior_covariance": skew}, SchemaError, "not symmetric"),
        "negative eigenvalue": (good | {"prior_covariance": wrong}, RangeError, "negative eigenvalue"),
        "no prior variance": (good | {"prior_covariance": flat}, RangeError, "element 1"),
        "prior not finite": (good | {"prior": [1, np.nan, 1, 1]}, RangeError, "finite"),
        "first guess": (good | {"first_guess": [np.inf] * 4}, RangeError, "first guess"),
        "bands": (good | {"bands": np.zeros(60)}, SchemaError, "bands"),
        "use": (good | {"use": np.ones(60)}, SchemaError, "boolean"),
        "names": (good | {"names": ["a"]}, SchemaError, "4 elements"),
        "keep": (good | {"keep": ["gian"]}, SchemaError, "gain"),
    }


@pytest.mark.parametrize("name", list(mistakes()[1]))
def test_mistakes_are_named(name):
    forward, cases = mistakes()
    arguments, kind, text = cases[name]
    with pytest.raises(kind, match=text):
        estimate(forward, **arguments)


def test_forward_model_of_the_wrong_shape_is_named():
    forward, y, variance, x_a, s_a, _ = decay()
    with pytest.raises(SchemaError, match="forward model must return"):
        estimate(lambda x, w: (forward(x, w)[0][:, :3], forward(x, w)[1]), y, variance, x_a, s_a)
