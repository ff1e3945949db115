"""Reconciliation: closed forms, limits, covariance intersection, and the fault found where it is."""

import numpy as np
import pytest

from obsnet.crosscheck.compared.sources import TopDown
from obsnet.crosscheck.reconcile.estimate import Nation, reconcile
from obsnet.crosscheck.reconcile.kernel import combine, intersect
from obsnet.errors import ConfigError, RangeError, SchemaError

B = np.array([100.0, 300.0, 600.0])
KEYS = ["a", "b", "c"]


def test_independent_errors_in_closed_form():
    """The gap is shared by variance: v_i / (sum v + V) of it."""
    sd, gap = 0.1 * B, 50.0
    found = reconcile(KEYS, B, sd, nation=Nation(950.0, 20.0))
    v = sd**2
    np.testing.assert_allclose(found.adjustment, -gap * v / (v.sum() + 400.0))
    np.testing.assert_allclose(found.covariance, np.diag(v) - np.outer(v, v) / (v.sum() + 400.0))
    np.testing.assert_allclose(found.chi_square, gap**2 / (v.sum() + 400.0))
    exact = reconcile(KEYS, B, sd, nation=Nation(950.0, 0.0))
    assert exact.value.sum() == pytest.approx(950.0)
    assert exact.covariance.sum() == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("percent", [3.13, 8.78, 10.92])
def test_a_shared_error_in_closed_form(percent):
    """Regions exceed an exact nation by as much as CEADs' do: adjustment (v_i + f2 b_i (B - N)) / var r x gap."""
    nation = B.sum() / (1 + percent / 100)
    sd, f, spread = 0.1 * B, 0.05, 30.0
    found = reconcile(KEYS, B, sd, nation=Nation(nation, spread), factor=f)
    gap = B.sum() - nation
    variance = (sd**2).sum() + spread**2 + f**2 * gap**2
    np.testing.assert_allclose(found.adjustment, -gap * (sd**2 + f**2 * B * gap) / variance)
    # the factor that both share says nothing of the gap: without it the estimate is nearly the same
    alone = reconcile(KEYS, B, sd, nation=Nation(nation, spread))
    assert (np.abs(found.adjustment - alone.adjustment) < 0.01 * B).all()
    # and it stays in the result's error, which independent errors would hide
    assert found.covariance.sum() > (0.9 * f * nation) ** 2
    assert alone.covariance.sum() < (0.9 * f * nation) ** 2


def test_a_stated_difference_is_no_gap():
    """Regions that exceed the nation by what statistics say they do need no adjustment."""
    found = reconcile(KEYS, B, 0.1 * B, nation=Nation(900.0, 10.0, difference=100.0))
    np.testing.assert_allclose(found.adjustment, 0.0, atol=1e-9)
    assert found.nation == pytest.approx(900.0)
    loose = reconcile(KEYS, B, 0.1 * B, nation=Nation(900.0, 10.0, difference_sd=1e6))
    np.testing.assert_allclose(loose.adjustment, 0.0, atol=1e-3)


def test_it_is_weighted_least_squares():
    """Against the normal equations of the stacked problem, with an inversion of full rank."""
    rng = np.random.default_rng(2)
    g = np.eye(3) * 0.8 + 0.05 * rng.standard_normal((3, 3))
    root = rng.standard_normal((3, 3)) * 10
    error = root @ root.T + 25 * np.eye(3)
    t = g @ (1.1 * B)
    found = reconcile(KEYS, B, 0.1 * B, nation=Nation(980.0, 30.0), top_down=TopDown(t, g, error))
    design = np.vstack([np.eye(3), np.ones((1, 3)), g])
    weight = np.zeros((7, 7))
    weight[:3, :3], weight[3, 3], weight[4:, 4:] = np.diag((0.1 * B) ** -2), 30.0**-2, np.linalg.inv(error)
    cov = np.linalg.inv(design.T @ weight @ design)
    np.testing.assert_allclose(found.covariance, cov, rtol=1e-8)
    np.testing.assert_allclose(found.value, cov @ design.T @ weight @ np.concatenate([B, [980.0], t]))


def test_what_nobody_observed_says_nothing():
    """Kernel and noise zero: the estimate is the inventory, and the rank knows."""
    zero = TopDown(np.zeros(3), np.zeros((3, 3)), np.zeros((3, 3)))
    found = reconcile(KEYS, B, 0.1 * B, top_down=zero)
    np.testing.assert_allclose(found.value, B)
    assert found.freedom == 0
    assert found.suspects == ()


def test_covariance_intersection_bounds_any_correlation():
    """x1, x2 of covariances P1, P2 whatever they share: the stated covariance is never too small."""
    rng = np.random.default_rng(0)
    eye = np.eye(2)
    for _ in range(60):
        roots = rng.standard_normal((2, 2, 2)) + 0.5 * np.eye(2)
        p1, p2 = (r @ r.T for r in roots)
        w, found = intersect(lambda w, a=p1, b=p2: combine(np.zeros(2), a / w, eye, np.zeros(2), b / (1 - w)))
        k1 = found.covariance @ (w * np.linalg.inv(p1))
        k2 = found.covariance @ ((1 - w) * np.linalg.inv(p2))
        np.testing.assert_allclose(k1 + k2, eye, atol=1e-6)
        u, _, v = np.linalg.svd(rng.standard_normal((2, 2)))
        contraction = u @ np.diag(rng.uniform(-1, 1, 2)) @ v
        cross = np.linalg.cholesky(p1) @ contraction @ np.linalg.cholesky(p2).T
        true = k1 @ p1 @ k1.T + k2 @ p2 @ k2.T + k1 @ cross @ k2.T + k2 @ cross.T @ k1.T
        assert np.linalg.eigvalsh(found.covariance - true)[0] > -1e-8 * np.trace(p1)


def test_intersection_takes_the_tighter_source():
    wide = 1e6 * np.eye(3)
    found = reconcile(KEYS, B, 0.1 * B, top_down=TopDown(2 * B, np.eye(3), wide), unknown_correlation=True)
    np.testing.assert_allclose(found.value, B, rtol=5e-3)
    np.testing.assert_allclose(found.sd, 0.1 * B, rtol=5e-3)
    assert found.weight > 0.99
    # two equal sources of unknown correlation are no better than one; independent they would be
    same = TopDown(B, np.eye(3), np.diag((0.1 * B) ** 2))
    np.testing.assert_allclose(
        reconcile(KEYS, B, 0.1 * B, top_down=same, unknown_correlation=True).sd, 0.1 * B, rtol=1e-6
    )
    np.testing.assert_allclose(reconcile(KEYS, B, 0.1 * B, top_down=same).sd, 0.1 * B / np.sqrt(2))


def drawn(rng, n=12, fault=None, size=0.0):
    """A nation of twelve regions whose three sources err as stated, with one gross error."""
    truth = rng.uniform(100, 400, n)
    b = truth * (1 + 0.05 * rng.standard_normal(n))
    t = 0.85 * truth + 0.08 * truth * rng.standard_normal(n)
    nation = truth.sum() + 20.0 * rng.standard_normal()
    b[3] += size * truth[3] * (fault == "inventory r3")
    t[5] += size * truth[5] * (fault == "inversion r5")
    nation *= 1 + size * (fault == "nation")
    b *= 1 + size * (fault == "inventory, all")
    top_down = TopDown(t, 0.85 * np.eye(n), np.diag((0.08 * truth) ** 2))
    return reconcile(
        [f"r{k}" for k in range(n)], b, 0.05 * truth, nation=Nation(nation, 20.0), top_down=top_down
    )


@pytest.mark.parametrize(
    ("fault", "size", "count"),
    [("inventory r3", 0.6, 2), ("inversion r5", 0.8, 2), ("nation", 0.3, 1), ("inventory, all", 0.25, 1)],
)
def test_the_bad_number_is_pointed_at(fault, size, count):
    """At most `count` numbers are named: of one region, inventory and inversion may look alike."""
    hits = [drawn(np.random.default_rng([1, k]), fault=fault, size=size).suspects for k in range(60)]
    assert np.mean([fault in h and len(h) <= count for h in hits]) > 0.9


def test_sources_that_agree_are_not_accused():
    """The test of 26 numbers keeps its level."""
    rng = np.random.default_rng(7)
    n, g = 12, 0.85 * np.eye(12)
    accused = 0
    for _ in range(600):
        truth = np.full(n, 200.0)
        b = truth + 10.0 * rng.standard_normal(n) + 0.03 * truth * (f := rng.standard_normal())
        nation = 2400.0 + 30.0 * rng.standard_normal() + 0.03 * 2400.0 * f
        t = g @ truth + 15.0 * rng.standard_normal(n)
        found = reconcile(
            [str(k) for k in range(n)],
            b,
            np.full(n, 10.0),
            nation=Nation(nation, 30.0),
            top_down=TopDown(t, g, 225.0 * np.eye(n)),
            factor=0.03,
        )
        accused += bool(found.suspects)
    assert accused / 600 < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600)


def test_one_constraint_cannot_say_which():
    found = reconcile(KEYS, B, 0.02 * B, nation=Nation(700.0, 5.0))
    assert set(found.suspects) == {"inventory a", "inventory b", "inventory c", "nation"}
    assert found.p < 1e-6


def test_exact_numbers_that_differ_are_no_best_estimate():
    """Without an error anywhere nothing can move; numbers that agree, or one of which is doubted, can."""
    value, none = np.array([100.0, 200.0]), np.zeros(2)
    with pytest.raises(RangeError, match="all taken as exact differ: 300 against 270"):
        reconcile(["a", "b"], value, none, nation=Nation(270.0, 0.0))
    assert reconcile(["a", "b"], value, none, nation=Nation(300.0, 0.0)).nation == 300.0
    found = reconcile(["a", "b"], value, np.array([0.0, 1.0]), nation=Nation(270.0, 0.0))
    np.testing.assert_allclose(found.value, [100.0, 170.0])


def test_what_cannot_be_reconciled():
    with pytest.raises(ConfigError, match="nothing to reconcile"):
        reconcile(KEYS, B, 0.1 * B)
    with pytest.raises(ConfigError, match="give --posterior"):
        reconcile(KEYS, B, 0.1 * B, nation=Nation(1.0, 1.0), unknown_correlation=True)
    with pytest.raises(SchemaError, match="inventory_sd needs 3 finite values"):
        reconcile(KEYS, B, np.array([1.0, np.nan, 1.0]), nation=Nation(1.0, 1.0))
