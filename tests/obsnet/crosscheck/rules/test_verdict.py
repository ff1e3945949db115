"""The verdict: identities, known answers, and rates that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.crosscheck.rules.verdict import Rule, Verdict, judge
from obsnet.errors import RangeError, SchemaError
from obsnet.language import NOTHING, Words


def linear_gaussian(rng, regions=5, observations=40, prior_sd=0.3, error=1.0, together=0.0):
    """Return a small inversion over region totals: prior, H, gain, C, A and the covariance of the noise."""
    prior = rng.uniform(50, 200, regions)
    jacobian = rng.uniform(0, 0.2, (observations, regions))
    size = prior_sd * prior
    b = np.outer(size, size) * (together + (1 - together) * np.eye(regions))
    s = jacobian @ b @ jacobian.T + error**2 * np.eye(observations)
    gain = b @ jacobian.T @ np.linalg.inv(s)
    return prior, jacobian, gain, b, gain @ jacobian, error**2 * gain @ gain.T


def one(**changes):
    """Judge one perfectly observed total of 100 with an inventory of 5 %."""
    base = {
        "prior": np.array([100.0]),
        "posterior": np.array([100.0]),
        "averaging_kernel": np.eye(1),
        "noise_covariance": 1e-6 * np.eye(1),
        "prior_covariance": 900.0 * np.eye(1),
        "inventory": np.array([100.0]),
        "inventory_sd": np.array([5.0]),
    }
    return judge(**base | changes)


def test_without_observations_nothing_is_testable():
    zero = np.zeros((2, 2))
    prior = np.array([100.0, 50.0])
    found = judge(
        prior=prior,
        posterior=prior,
        averaging_kernel=zero,
        noise_covariance=zero,
        prior_covariance=np.diag([900.0, 0.0]),
        inventory=np.array([100.0, 80.0]),
        inventory_sd=np.array([5.0, 5.0]),
    )
    assert found.verdict == (Verdict.NOT_TESTABLE,) * 2
    assert found.reason == ("not observed", "the inversion does not solve for it")
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


def test_the_atmosphere_asks_for_more_is_positive():
    """Half seen: the inversion went from 100 to 110, an inventory of 90 would have been met at 95."""
    found = one(posterior=np.array([110.0]), averaging_kernel=0.5 * np.eye(1), inventory=np.array([90.0]))
    np.testing.assert_allclose(found.difference, 15.0)
    np.testing.assert_allclose(found.response, 0.5)
    # 0.5 * 5 of the inventory; the rest of the kernel, 0.5 - 0.5, leaves nothing of the prior
    np.testing.assert_allclose(found.sd, 2.5, rtol=1e-4)


def test_an_inventory_that_was_the_prior_does_not_confirm_itself():
    """With the inventory as prior the difference is the inversion's own increment."""
    rng = np.random.default_rng(3)
    prior, jacobian, gain, b, a, noise = linear_gaussian(rng)
    truth = prior * 1.4
    posterior = prior + gain @ (jacobian @ truth - jacobian @ prior)
    same = judge(
        prior=prior,
        posterior=posterior,
        averaging_kernel=a,
        noise_covariance=noise,
        prior_covariance=b,
        inventory=prior,
        inventory_sd=0.05 * prior,
    )
    np.testing.assert_allclose(same.difference, posterior - prior)


def test_other_inventories_do_not_enter():
    """A verdict is one inventory's own: change all others and nothing of it moves but what adjusts for many."""
    rng = np.random.default_rng(3)
    prior, jacobian, gain, b, a, noise = linear_gaussian(rng)
    posterior = prior + gain @ (jacobian @ (0.2 * prior))
    inversion = {"prior": prior, "posterior": posterior, "averaging_kernel": a, "noise_covariance": noise}
    found = [
        judge(
            **inversion, prior_covariance=b, inventory=i, inventory_sd=0.05 * prior, rule=Rule(detectable=9.0)
        )
        for i in (
            prior,
            np.where(np.arange(5) == 2, prior, 7.0 * prior),
            np.where(np.arange(5) == 2, prior, np.nan),
        )
    ]
    for other in found[1:]:
        assert other.difference[2] == found[0].difference[2]
        assert other.sd[2] == found[0].sd[2]
        assert other.p_value[2] == found[0].p_value[2]


def test_a_neighbour_at_the_prior_is_expected_as_the_kernel_sees_it():
    """By hand: d = xa - xb - A_rr (I - xb); var = N + A_ro^2 C_oo + A_rr^2 s^2 for a region r and a neighbour o."""
    kernel = np.array([[0.8, 0.15], [0.1, 0.7]])
    found = judge(
        prior=np.array([100.0, 50.0]),
        posterior=np.array([104.0, 60.0]),
        averaging_kernel=kernel,
        noise_covariance=np.diag([9.0, 4.0]),
        prior_covariance=np.array([[900.0, 100.0], [100.0, 400.0]]),
        inventory=np.array([110.0, 90.0]),
        inventory_sd=np.array([6.0, 5.0]),
    )
    np.testing.assert_allclose(found.difference, [104 - 100 - 0.8 * 10, 60 - 50 - 0.7 * 40])
    variance = [9 + 0.15**2 * 400 + 0.8**2 * 36, 4 + 0.1**2 * 900 + 0.7**2 * 25]
    np.testing.assert_allclose(found.sd, np.sqrt(variance))


def test_a_region_without_an_inventory():
    """It is compared with nothing: the difference is what the observations moved, not the prior's total."""
    found = judge(
        prior=np.array([100.0, 100.0]),
        posterior=np.array([103.0, 100.0]),
        averaging_kernel=np.eye(2),
        noise_covariance=np.eye(2),
        prior_covariance=900.0 * np.eye(2),
        inventory=np.array([np.nan, 100.0]),
        inventory_sd=np.array([np.nan, 5.0]),
    )
    assert found.verdict == (Verdict.NOT_TESTABLE, Verdict.CONSISTENT)
    assert found.reason[0] == "no inventory"
    assert found.difference[0] == 3.0
    assert found.sd[0] == 1.0


def test_an_inventory_of_zero():
    found = one(inventory=np.zeros(1), inventory_sd=np.zeros(1))
    assert found.verdict == (Verdict.NOT_TESTABLE,)
    assert found.reason[0].startswith("the inventory is zero")


def test_a_negative_total_is_tested_by_its_size():
    found = one(prior=-np.array([100.0]), posterior=-np.array([130.0]), inventory=-np.array([100.0]))
    assert found.verdict == (Verdict.INCONSISTENT,)
    np.testing.assert_allclose(found.difference, -30.0)
    np.testing.assert_allclose(found.margin, 30.0)


def test_what_is_barred_has_no_numbers():
    bar = Words("not this one", "不")
    found = judge(
        prior=np.full(2, 100.0),
        posterior=np.array([180.0, 100.0]),
        averaging_kernel=np.eye(2),
        noise_covariance=np.eye(2),
        prior_covariance=900.0 * np.eye(2),
        inventory=np.full(2, 100.0),
        inventory_sd=np.full(2, 5.0),
        barred=[bar, NOTHING],
    )
    assert found.verdict == (Verdict.NOT_TESTABLE, Verdict.CONSISTENT)
    assert found.reasons[0] == bar
    assert np.isnan([found.difference[0], found.sd[0], found.p_value[0], found.minimum_detectable[0]]).all()
    assert found.level[1] == 0.05  # one test is left


@pytest.mark.parametrize(
    ("moved", "noise", "margin", "verdict"),
    [
        (30.0, 0.1, None, Verdict.INCONSISTENT),
        (1.0, 0.1, None, Verdict.CONSISTENT),
        (1.0, 0.1, 0.05, Verdict.NOT_DECIDED),  # 5 of own error: nothing is shown within 5
        (16.0, 64.0, None, Verdict.NOT_DECIDED),  # sd 9.4: neither shown to differ nor to lie within 30
        (30.0, 2500.0, None, Verdict.NOT_TESTABLE),
    ],
)
def test_four_outcomes(moved, noise, margin, verdict):
    found = one(
        posterior=np.array([100.0 + moved]),
        noise_covariance=noise * np.eye(1),
        rule=Rule(margin=margin),
    )
    assert found.verdict == (verdict,)
    assert bool(found.reason[0]) is (verdict is Verdict.NOT_TESTABLE)


def test_a_difference_that_is_real_and_small_is_remarked():
    found = one(posterior=np.array([115.0]))
    assert found.verdict == (Verdict.INCONSISTENT,)
    assert found.remarks[0].en == "differs, but is shown to lie within the margin of 30%"
    assert "容差" in found.remarks[0].zh


def sum_of_two(together, inventory_sd, shared=0.0):
    """Judge the sum of two totals, each seen by 0.9 with some confusion."""
    kernel = np.array([[0.9, 0.05], [0.1, 0.8]])
    return judge(
        prior=np.array([60.0, 40.0]),
        posterior=np.array([62.0, 41.0]),
        averaging_kernel=kernel,
        noise_covariance=np.diag([1.0, 2.0]),
        prior_covariance=np.array([[100.0, together], [together, 80.0]]),
        inventory=np.array([110.0]),
        inventory_sd=np.array([inventory_sd]),
        weights=np.ones((1, 2)),
        pattern=np.array([[100.0 + together, 80.0 + together]]),
        shared=shared,
    )


def test_a_sum_by_hand():
    found = sum_of_two(20.0, 4.0)
    u = np.array([120.0, 100.0]) / 220.0
    kernel = np.array([[0.9, 0.05], [0.1, 0.8]])
    response = np.ones(2) @ kernel @ u
    rest = np.ones(2) @ kernel - response
    np.testing.assert_allclose(found.response, response)
    np.testing.assert_allclose(found.difference, 3.0 - response * 10.0)
    variance = 3.0 + rest @ np.array([[100.0, 20.0], [20.0, 80.0]]) @ rest + (response * 4.0) ** 2
    np.testing.assert_allclose(found.sd, np.sqrt(variance))


@pytest.mark.parametrize("shared", [-0.7, 0.0, 0.9])
def test_errors_shared_with_the_prior_are_in_the_variance(shared):
    """Truth, prior and inventory drawn with that correlation: d has the variance that is claimed."""
    rng = np.random.default_rng(12)
    prior, jacobian, gain, b, a, noise = linear_gaussian(rng, together=0.6, observations=12, error=4.0)
    n, r, own = 60000, 2, 12.0
    off = np.linalg.cholesky(b) @ rng.standard_normal((5, n))  # prior minus truth
    epsilon = 4.0 * rng.standard_normal((12, n))
    sd = np.sqrt(b[r, r])
    fault = own * (shared * off[r] / sd + np.sqrt(1 - shared**2) * rng.standard_normal(n))
    moved = gain[r] @ (jacobian @ -off + epsilon)
    d = moved - a[r, r] * (fault - off[r])
    found = judge(
        prior=prior,
        posterior=prior,
        averaging_kernel=a,
        noise_covariance=noise,
        prior_covariance=b,
        inventory=prior,
        inventory_sd=np.full(5, own),
        shared=shared,
    )
    assert d.std() / found.sd[r] == pytest.approx(1.0, abs=0.012)


@pytest.mark.parametrize("pattern", ["own", "prior's", "odd"])
def test_the_variance_holds_for_any_pattern(pattern):
    """u decides what the test is good at, not how often it errs."""
    rng = np.random.default_rng(13)
    prior, jacobian, gain, b, a, noise = linear_gaussian(rng, together=0.5, observations=12, error=4.0)
    w = np.zeros((1, 5))
    w[0, [1, 3]] = [0.5, 0.5]
    u = {"own": w, "prior's": w @ b, "odd": np.array([[0.0, 3.0, 1.0, 0.2, -1.0]])}[pattern]
    n = 40000
    truth = prior[:, None] + np.linalg.cholesky(b) @ rng.standard_normal((5, n))
    posterior = prior[:, None] + gain @ (
        jacobian @ (truth - prior[:, None]) + 4.0 * rng.standard_normal((12, n))
    )
    inventory = w[0] @ truth + 5.0 * rng.standard_normal(n)
    found = judge(
        prior=prior,
        posterior=prior,
        averaging_kernel=a,
        noise_covariance=noise,
        prior_covariance=b,
        inventory=np.array([100.0]),
        inventory_sd=np.array([5.0]),
        weights=w,
        pattern=u,
    )
    d = w[0] @ (posterior - prior[:, None]) - found.response[0] * (inventory - w[0] @ prior)
    assert d.std() / found.sd[0] == pytest.approx(1.0, abs=0.015)
    assert abs(d.mean()) < 4 * found.sd[0] / np.sqrt(n)


@pytest.mark.parametrize("m", [1, 5, 13, 34])
def test_the_stated_power_is_real(m):
    """One of m inventories is off by exactly its minimum; the level is the one the adjustment leaves it."""
    rng = np.random.default_rng(m)
    draws, own = 1500, 0.05
    kernel, spread = 0.9 * np.eye(m), 0.09 * np.eye(m)
    inversion = {
        "prior": np.ones(m),
        "averaging_kernel": kernel,
        "noise_covariance": 0.003**2 * np.eye(m),
        "prior_covariance": spread,
        "inventory": np.ones(m),
        "inventory_sd": np.full(m, own),
    }
    first = judge(posterior=np.ones(m), **inversion)
    smallest = first.minimum_detectable[0]
    np.testing.assert_allclose(first.level, 0.05 / m)
    found, false, share = 0, 0, 0.0
    for _ in range(draws):
        truth = 1.0 + own * rng.standard_normal(m)
        truth[0] += smallest
        posterior = 1.0 + kernel @ (truth - 1.0) + 0.003 * rng.standard_normal(m)
        wrong = np.array([v is Verdict.INCONSISTENT for v in judge(posterior=posterior, **inversion).verdict])
        found += wrong[0]
        false += wrong[1:].sum()
        share += wrong[1:].sum() / max(wrong.sum(), 1)
    assert found / draws == pytest.approx(0.80, abs=0.03)
    assert share / draws < 0.05 + 3 * 0.2 / np.sqrt(draws)
    assert false / draws / max(m - 1, 1) < 0.05


@pytest.mark.parametrize("factor", [1.0, 1.3, 1.5, 2.0, 3.0])
def test_a_wrong_neighbour_costs_nothing_but_itself(factor):
    """The neighbour's truth is at the inversion's prior, its inventory is times the factor."""
    rng = np.random.default_rng(1)
    kernel, spread, own, draws = np.array([[0.85, 0.12], [0.12, 0.85]]), 0.25, 0.03, 1500
    alarms = 0
    for _ in range(draws):
        truth = np.array([1 + own * rng.standard_normal(), 1 + spread * rng.standard_normal()])
        found = judge(
            prior=np.ones(2),
            posterior=1.0 + kernel @ (truth - 1.0) + own * rng.standard_normal(2),
            averaging_kernel=kernel,
            noise_covariance=own**2 * np.eye(2),
            prior_covariance=spread**2 * np.eye(2),
            inventory=np.array([1.0, factor]),
            inventory_sd=np.full(2, own),
        )
        assert found.verdict[0] is not Verdict.NOT_TESTABLE
        alarms += found.verdict[0] is Verdict.INCONSISTENT
    assert alarms / draws < 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)
    assert alarms / draws > 0.02


def test_consistent_is_rarely_said_of_what_is_off_by_the_margin():
    """The discrepancy is the margin itself; the margin is small, so that it is often not shown to differ."""
    rng = np.random.default_rng(6)
    rule, draws = Rule(margin=0.12), 4000
    names = [
        one(
            posterior=np.array([112.0 + 5.0 * rng.standard_normal()]),
            noise_covariance=1e-9 * np.eye(1),
            rule=rule,
        ).verdict[0]
        for _ in range(draws)
    ]
    said = sum(n is Verdict.CONSISTENT for n in names) / draws
    assert said == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / draws))


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

    first, other = run(np.arange(5)), run(order)
    np.testing.assert_allclose(np.asarray(first.p_value)[order], other.p_value)
    assert tuple(np.array(first.verdict)[order]) == other.verdict


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
            shared=0.3,
        )
        for k in (1.0, 1e-9)
    ]
    np.testing.assert_allclose(scaled[0].p_value, scaled[1].p_value, rtol=1e-9)
    np.testing.assert_allclose(scaled[0].p_equivalence, scaled[1].p_equivalence, rtol=1e-9)


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
    with pytest.raises(SchemaError, match=r"inventory has shape \(2,\), \(1,\) is needed"):
        judge(**good, weights=np.ones((1, 2)))
    with pytest.raises(RangeError, match=r"shared = 1.2"):
        judge(**good, shared=1.2)
