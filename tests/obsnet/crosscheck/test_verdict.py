"""The verdict: identities, published arithmetic, and rates that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from obsnet.crosscheck.verdict import Rule, Verdict, benjamini_hochberg, judge, minimum_detectable
from obsnet.errors import SchemaError


def linear_gaussian(rng, regions=5, observations=40, prior_sd=0.3, error=1.0):
    """Return a small inversion over region totals: prior, K, A and what the verdict needs."""
    prior = rng.uniform(50, 200, regions)
    jacobian = rng.uniform(0, 0.2, (observations, regions))
    b = np.diag((prior_sd * prior) ** 2)
    s = jacobian @ b @ jacobian.T + error**2 * np.eye(observations)
    gain = b @ jacobian.T @ np.linalg.inv(s)
    return prior, jacobian, gain, b, gain @ jacobian, error**2 * gain @ gain.T


def test_without_observations_nothing_is_testable():
    zero = np.zeros((2, 2))
    prior = np.array([100.0, 50.0])
    found = judge(
        prior=prior,
        posterior=prior,
        averaging_kernel=zero,
        noise_covariance=zero,
        prior_covariance=np.diag([900.0, 225.0]),
        inventory=np.array([100.0, 80.0]),
        inventory_sd=np.array([5.0, 5.0]),
    )
    assert found.verdict == (Verdict.NOT_TESTABLE,) * 2
    assert found.reason == ("not observed",) * 2
    np.testing.assert_array_equal(found.difference, 0.0)
    assert np.isinf(found.minimum_detectable).all()
    assert np.isnan(found.p_value).all()


def test_perfect_observations_give_the_plain_difference():
    found = judge(
        prior=np.array([100.0, 100.0]),
        posterior=np.array([130.0, 101.0]),
        averaging_kernel=np.eye(2),
        noise_covariance=1e-6 * np.eye(2),
        prior_covariance=900.0 * np.eye(2),
        inventory=np.array([100.0, 100.0]),
        inventory_sd=np.array([5.0, 5.0]),
    )
    np.testing.assert_allclose(found.difference, [30.0, 1.0])
    np.testing.assert_allclose(found.sd, 5.0, rtol=1e-6)
    assert found.verdict == (Verdict.INCONSISTENT, Verdict.CONSISTENT)


def test_an_inventory_that_was_the_prior_does_not_confirm_itself():
    """With the inventory as prior the difference is the inversion's own increment."""
    rng = np.random.default_rng(3)
    prior, jacobian, gain, b, a, noise = linear_gaussian(rng)
    truth = prior * 1.4
    posterior = prior + gain @ (jacobian @ truth - jacobian @ prior)
    kwargs = {"averaging_kernel": a, "noise_covariance": noise, "prior_covariance": b}
    same = judge(prior=prior, posterior=posterior, inventory=prior, inventory_sd=0.05 * prior, **kwargs)
    np.testing.assert_allclose(same.difference, posterior - prior)
    other = judge(prior=prior, posterior=posterior, inventory=truth, inventory_sd=0.05 * truth, **kwargs)
    np.testing.assert_allclose(other.difference, 0.0, atol=1e-9)


def test_a_region_without_an_inventory():
    found = judge(
        prior=np.array([100.0, 100.0]),
        posterior=np.array([100.0, 100.0]),
        averaging_kernel=np.eye(2),
        noise_covariance=np.eye(2),
        prior_covariance=900.0 * np.eye(2),
        inventory=np.array([np.nan, 100.0]),
        inventory_sd=np.array([np.nan, 5.0]),
    )
    assert found.verdict == (Verdict.NOT_TESTABLE, Verdict.CONSISTENT)
    assert found.reason[0] == "no inventory"


@pytest.mark.parametrize(
    ("inventory", "inversion", "percent"), [(5, 5, 20), (5, 30, 85), (10, 10, 40), (10, 30, 89), (15, 20, 70)]
)
def test_arithmetic_of_minimum_detectable(inventory, inversion, percent):
    """Sd of 5 and 5 percent detect 20 percent, and so on: (1.96 + 0.84) times the sd of the difference."""
    sd = np.hypot(inventory, inversion)
    found = minimum_detectable(np.array([sd]), np.array([1.0]), Rule())
    assert round(found[0]) == percent


def test_half_the_response_doubles_what_can_be_detected():
    sd = np.array([1.0, 1.0, 1.0])
    found = minimum_detectable(sd, np.array([1.0, 0.5, -0.1]), Rule())
    assert found[1] == pytest.approx(2 * found[0])
    assert np.isinf(found[2])


def test_false_alarms_and_power_are_as_stated():
    rng = np.random.default_rng(11)
    prior, jacobian, gain, b, a, noise = linear_gaussian(rng, error=0.6)
    inventory, own_sd = prior.copy(), 0.05 * prior
    # one-region tests, so that no adjustment for many comes in
    rule = Rule(alpha=0.05, detectable=10.0)
    false, found, n, size = 0, 0, 3000, 0.0
    for _ in range(n):
        truth = prior + 0.3 * prior * rng.standard_normal(5)  # neighbours may be anything
        truth[2] = inventory[2] + own_sd[2] * rng.standard_normal()
        epsilon = 0.6 * rng.standard_normal(40)
        for planted in (False, True):
            truth[2] += size if planted else 0.0
            posterior = prior + gain @ (jacobian @ (truth - prior) + epsilon)
            only = np.where(np.arange(5) == 2, inventory, np.nan)
            result = judge(
                prior=prior,
                posterior=posterior,
                averaging_kernel=a,
                noise_covariance=noise,
                prior_covariance=b,
                inventory=only,
                inventory_sd=own_sd,
                rule=rule,
            )
            size = result.minimum_detectable[2]
            hit = result.verdict[2] is Verdict.INCONSISTENT
            found += planted and hit
            false += not planted and hit
    assert false / n == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / n))
    assert found / n == pytest.approx(0.80, abs=4 * np.sqrt(0.8 * 0.2 / n))


def test_a_wrong_neighbour_is_no_alarm():
    rng = np.random.default_rng(5)
    prior, jacobian, gain, b, a, noise = linear_gaussian(rng, error=0.5)
    truth = prior.copy()
    truth[0] *= 1.6
    posterior = prior + gain @ (jacobian @ (truth - prior))
    found = judge(
        prior=prior,
        posterior=posterior,
        averaging_kernel=a,
        noise_covariance=noise,
        prior_covariance=b,
        inventory=prior,
        inventory_sd=0.05 * prior,
        rule=Rule(detectable=2.0),
    )
    assert Verdict.INCONSISTENT not in found.verdict[1:]


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=8), st.integers(0, 3))
def test_adjusted_p_values(values, holes):
    p = np.array([*values, *[np.nan] * holes])
    adjusted = benjamini_hochberg(p)
    tested = adjusted[: len(values)]
    assert np.isnan(adjusted[len(values) :]).all()
    assert (tested >= np.array(values) - 1e-15).all()
    assert (tested <= 1).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(tested[order]) >= -1e-15).all()


def test_benjamini_hochberg_by_hand():
    np.testing.assert_allclose(benjamini_hochberg(np.array([0.01, 0.04, 0.03])), [0.03, 0.04, 0.04])
    assert np.isnan(benjamini_hochberg(np.array([np.nan]))).all()


@given(st.permutations(range(5)))
def test_order_of_regions_does_not_matter(order):
    rng = np.random.default_rng(8)
    prior, jacobian, gain, b, a, noise = linear_gaussian(rng, error=0.5)
    posterior = prior + gain @ (jacobian @ (0.2 * prior))
    order = np.array(order)

    def run(i):
        return judge(
            prior=prior[i],
            posterior=posterior[i],
            averaging_kernel=a[np.ix_(i, i)],
            noise_covariance=noise[np.ix_(i, i)],
            prior_covariance=b[np.ix_(i, i)],
            inventory=prior[i],
            inventory_sd=0.05 * prior[i],
            rule=Rule(detectable=2.0),
        )

    one, other = run(np.arange(5)), run(order)
    np.testing.assert_allclose(np.asarray(one.p_value)[order], other.p_value)
    assert tuple(np.array(one.verdict)[order]) == other.verdict


def test_units_do_not_matter():
    rng = np.random.default_rng(9)
    prior, jacobian, gain, b, a, noise = linear_gaussian(rng)
    posterior = prior + gain @ (jacobian @ (0.3 * prior))
    scaled = [
        judge(
            prior=k * prior,
            posterior=k * posterior,
            averaging_kernel=a,
            noise_covariance=k**2 * noise,
            prior_covariance=k**2 * b,
            inventory=k * prior,
            inventory_sd=k * 0.05 * prior,
            rule=Rule(detectable=5.0),
        )
        for k in (1.0, 1e-9)
    ]
    np.testing.assert_allclose(scaled[0].p_value, scaled[1].p_value, rtol=1e-9)


def test_shapes_and_finite_values():
    good = {
        "prior": np.ones(2),
        "posterior": np.ones(2),
        "averaging_kernel": np.eye(2),
        "noise_covariance": np.eye(2),
        "prior_covariance": np.eye(2),
        "inventory": np.ones(2),
        "inventory_sd": np.ones(2),
    }
    judge(**good)
    with pytest.raises(
        SchemaError, match=r"averaging_kernel has shape \(2,\), \(2, 2\) is needed for 2 regions"
    ):
        judge(**good | {"averaging_kernel": np.ones(2)})
    with pytest.raises(SchemaError, match="posterior of the inversion has values that are not finite"):
        judge(**good | {"posterior": np.array([1.0, np.nan])})


def test_rule_defaults():
    rule = Rule()
    assert (rule.alpha, rule.power, rule.detectable) == (0.05, 0.80, 0.30)
    assert norm.ppf(1 - rule.alpha / 2) + norm.ppf(rule.power) == pytest.approx(2.8016, abs=1e-4)
