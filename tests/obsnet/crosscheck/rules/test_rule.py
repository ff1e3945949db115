"""The rule: one level for testability, minimum and decision; two one-sided tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from obsnet.crosscheck.rules.rule import (
    Rule,
    benjamini_hochberg,
    count_tests,
    equivalence_p,
    equivalence_power,
    minimum_detectable,
)
from obsnet.errors import ConfigError


def test_defaults():
    rule = Rule()
    assert (rule.alpha, rule.power, rule.detectable, rule.margin) == (0.05, 0.80, 0.30, None)
    assert rule.agreement == 0.30
    assert Rule(margin=0.1).agreement == 0.1
    assert norm.ppf(1 - rule.alpha / 2) + norm.ppf(rule.power) == pytest.approx(2.8016, abs=1e-4)


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0.0}, {"alpha": 5}, {"power": 0.5}, {"detectable": 0}, {"margin": 0}]
)
def test_a_rule_that_cannot_be_meant(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Rule(**wrong)


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


def test_more_tests_need_more():
    """The level left to the first discovery among m is alpha / m: 1.96, 2.58, 2.89, 3.18 standard deviations."""
    found = minimum_detectable(np.ones(4), np.ones(4), Rule(), np.array([1, 5, 13, 34]))
    np.testing.assert_allclose(found - norm.ppf(0.8), [1.960, 2.576, 2.891, 3.179], atol=2e-3)


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=12), st.integers(0, 3))
def test_regions_are_testable_together(values, blind):
    rule = Rule()
    relative = np.array([*values, *[np.inf] * blind])
    testable, tests = count_tests(relative, rule)
    m = testable.sum()
    smallest = minimum_detectable(
        np.where(np.isfinite(relative), relative, 1e9), np.ones(len(relative)), rule, tests
    )
    # what is tested keeps its promise at the level it is tested at, and nothing else would
    assert (tests[testable] == m).all()
    assert (smallest[testable] <= rule.detectable).all()
    assert (smallest[~testable] > rule.detectable).all()
    # those seen better than one that is testable are testable too
    if m:
        assert testable[relative <= relative[testable].max()].all()
    # one more region would be one too many
    rest = np.sort(relative[~testable & np.isfinite(relative)])
    if rest.size:
        together = m + (rest <= rest[0] * (1 + 1e-9)).sum()
        assert minimum_detectable(rest[:1], np.ones(1), rule, int(together))[0] > rule.detectable


def test_equal_regions_share_their_fate():
    """0.3 / (2.39 + 0.84) lies between what three and what five regions allow; none of five may be picked out."""
    relative = np.full(5, 0.3 / (norm.isf(0.05 / 6) + norm.ppf(0.8)) * 0.999)
    assert count_tests(relative[:3], Rule())[0].all()
    assert not count_tests(relative, Rule())[0].any()


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


def test_two_one_sided_tests():
    """At the margin itself the larger p-value is one half; 1.645 sd inside it is 5 %; signs do not matter."""
    discrepancy = np.array([0.0, 10.0, -10.0, 10.0 - 1.6449, -10.0 + 1.6449])
    p = equivalence_p(discrepancy, np.ones(5), np.full(5, 10.0))
    np.testing.assert_allclose(p, [0.0, 0.5, 0.5, 0.05, 0.05], atol=1e-5)


def test_power_of_equivalence_by_simulation():
    rng = np.random.default_rng(2)
    sd, margin = 1.3, 3.0
    hits = equivalence_p(sd * rng.standard_normal(40000), np.array(sd), np.array(margin)) <= 0.02
    assert equivalence_power(np.array(sd), np.array(margin), np.array(0.02)) == pytest.approx(
        hits.mean(), abs=0.01
    )
    assert equivalence_power(np.array(3.0), np.array(1.0), np.array(0.05)) == 0.0
