"""Network design against exact posteriors, submodularity, and every subset where there are few."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inversion import (
    BlockDiagonalCovariance,
    DenseCovariance,
    DiagonalCovariance,
    KroneckerCovariance,
    Problem,
    solve,
)
from inversion.study.designs.design import candidates_of, choose_network
from obsnet.errors import ConfigError, ResourceError, SolverError
from tests.inversion.cases import case


@lru_cache
def small(seed=0, n=24, m=9, groups=6):
    rng = np.random.default_rng(seed)
    i = np.arange(m)
    prior = KroneckerCovariance(0.5 + rng.random(m), [[1.0]], np.exp(-np.abs(i[:, None] - i) / 2.0))
    label = np.sort(rng.integers(0, groups, n))
    h = rng.standard_normal((n, m)) * (rng.random((n, m)) < 0.5)
    return Problem(h, np.zeros(n), 0.2 + rng.random(n), np.zeros(m), prior, groups={"station": label})


def totals(m=9, seed=1):
    return np.random.default_rng(seed).random((4, m))


def knowledge(problem, labels, weights):
    """Nats, degrees of freedom and covariance of the totals with some groups, by the exact solver."""
    rows = np.isin(problem.groups["station"].astype(str), labels)
    if not rows.any():
        dense = problem.prior_error.dense()
        return 0.0, 0.0, weights @ dense @ weights.T
    part = problem.select(rows)
    a = solve(part, "dual")
    nats = 0.5 * (a.system.logdet() - part.observation_error.logdet())
    return nats, a.dofs, a.aggregate(weights).covariance


# --- exact -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["T", "S"])
def test_the_whole_network_is_the_posterior(name):
    c = case(name)
    d = choose_network(c.problem, "station", 99, weights=c.regions)
    a = solve(c.problem, "dual")
    assert len(d.steps) == 13
    assert d.steps[-1].dofs == pytest.approx(a.dofs, rel=1e-8)
    nats = 0.5 * (a.system.logdet() - c.problem.observation_error.logdet())
    assert d.steps[-1].information == pytest.approx(nats, rel=1e-8)
    np.testing.assert_allclose(d.steps[-1].covariance, a.aggregate(c.regions).covariance, atol=1e-8)
    np.testing.assert_allclose(d.prior, a.prior_aggregate(c.regions).covariance, atol=1e-10)


@pytest.mark.parametrize("criterion", ["information", "dofs", "target"])
def test_each_step_is_the_exact_network_and_the_best_next_one(criterion):
    p, g = small(), totals()
    d = choose_network(p, "station", 6, weights=g, criterion=criterion, existing=["2"])
    every = {str(k) for k in p.groups["station"]}
    prior = np.diagonal(d.prior)

    def value(labels):
        nats, dofs, covariance = knowledge(p, labels, g)
        return {"information": nats, "dofs": dofs, "target": -np.mean(np.diagonal(covariance) / prior)}[
            criterion
        ]

    have = ["2"]
    for step in d.steps:
        have += [step.label] if step.label else []
        nats, dofs, covariance = knowledge(p, have, g)
        assert step.information == pytest.approx(nats, rel=1e-9)
        assert step.dofs == pytest.approx(dofs, rel=1e-9)
        np.testing.assert_allclose(step.covariance, covariance, atol=1e-10)
        assert step.target == pytest.approx(np.mean(np.diagonal(covariance) / prior), rel=1e-9)
        np.testing.assert_allclose(step.deviation, np.sqrt(np.diagonal(covariance)))
    have = ["2"]
    for label in d.chosen:
        gain = {k: value([*have, k]) for k in every - set(have)}
        assert gain[label] == pytest.approx(max(gain.values()), rel=1e-9)
        have.append(label)
    assert set(have) == every


def test_the_ranking_is_each_candidate_alone():
    p, g = small(3), totals()
    d = choose_network(p, "station", 0, weights=g, existing=["0"])
    base = knowledge(p, ["0"], g)
    assert [r.label for r in d.ranking] == [r.label for r in sorted(d.ranking, key=lambda r: -r.information)]
    assert "0" not in {r.label for r in d.ranking}
    for row in d.ranking:
        nats, dofs, covariance = knowledge(p, ["0", row.label], g)
        assert row.information == pytest.approx(nats - base[0], rel=1e-9)
        assert row.dofs == pytest.approx(dofs - base[1], rel=1e-9)
        np.testing.assert_allclose(row.variance, np.diagonal(base[2] - covariance), atol=1e-12)
        relative = np.mean(np.diagonal(base[2] - covariance) / np.diagonal(d.prior))
        assert row.target == pytest.approx(relative, rel=1e-9)
        assert row.observations == (p.groups["station"] == int(row.label)).sum()
    assert len(d.steps) == 1
    assert d.chosen == []


def test_one_row_has_the_textbook_gain():
    h, r, b = np.array([[2.0, -1.0]]), 0.5, np.array([[1.0, 0.3], [0.3, 2.0]])
    p = Problem(h, [0.0], [r], [0.0, 0.0], DenseCovariance(b), groups={"s": np.array(["a"])})
    d = choose_network(p, "s", 1, weights=np.eye(2))
    signal = float((h @ b @ h.T)[0, 0])
    assert d.ranking[0].information == pytest.approx(0.5 * np.log(1 + signal / r))
    assert d.ranking[0].dofs == pytest.approx(signal / (signal + r))
    np.testing.assert_allclose(d.steps[1].covariance, b - b @ h.T @ h @ b / (r + signal))


def test_correlated_errors_within_a_candidate():
    p, g = small(), totals()
    label = p.groups["station"]
    error = np.where(label[:, None] == label, 0.6, 0.0) + 0.4 * np.eye(24)
    tied = p.with_(observation_error=DenseCovariance(error))
    d = choose_network(tied, "station", 6, weights=g)
    a = solve(tied, "dual")
    assert d.steps[-1].dofs == pytest.approx(a.dofs, rel=1e-9)
    np.testing.assert_allclose(d.steps[-1].covariance, a.aggregate(g).covariance, atol=1e-10)
    crossed = p.with_(observation_error=DenseCovariance(0.5 * np.ones((24, 24)) + 0.5 * np.eye(24)))
    with pytest.raises(SolverError, match="correlated between one station and another"):
        choose_network(crossed, "station", 1, weights=g)


def test_many_observations_of_a_candidate_become_few_rows():
    rng = np.random.default_rng(0)
    h = np.repeat(rng.standard_normal((3, 5)), 40, axis=0)
    p = Problem(
        h, np.zeros(120), np.ones(120), np.zeros(5), np.ones(5), groups={"s": np.repeat([0, 0, 1], 40)}
    )
    found = candidates_of(p, "s")
    assert [(c.label, len(c.rows), c.observations) for c in found] == [("0", 2, 80), ("1", 1, 40)]
    d = choose_network(p, "s", 2, weights=np.eye(5))
    assert d.steps[-1].dofs == pytest.approx(solve(p, "primal").dofs, rel=1e-9)
    assert [c.label for c in candidates_of(p, "s", ["1"])] == ["1"]


def test_a_candidate_that_sees_nothing_brings_nothing():
    h = np.eye(3)
    h[2] = 0.0
    p = Problem(h, np.zeros(3), np.ones(3), np.zeros(3), np.ones(3), groups={"s": np.arange(3)})
    d = choose_network(p, "s", 3, weights=np.eye(3))
    assert d.chosen[-1] == "2"
    assert d.steps[3].information == d.steps[2].information


# --- what must hold for any network ----------------------------------------------------------------------


@given(st.integers(0, 40), st.data())
def test_information_is_submodular_and_monotone(seed, data):
    p, g = small(seed), totals()
    every = sorted({str(k) for k in p.groups["station"]})
    more = data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=len(every) - 1, unique=True))
    few = more[: data.draw(st.integers(0, len(more) - 1))]
    new = data.draw(st.sampled_from([k for k in every if k not in more]))
    gains = []
    for have in (few, more):
        d = choose_network(p, "station", 0, weights=g, existing=have)
        gains.append(next(r for r in d.ranking if r.label == new))
    assert gains[0].information >= gains[1].information - 1e-10
    assert gains[1].information >= 0.0
    assert gains[1].dofs >= -1e-12
    assert (gains[1].variance >= -1e-12).all()


def test_the_greedy_choice_comes_within_63_percent_of_the_best():
    for seed in range(8):
        p, g = small(seed, n=18, groups=7), totals()
        every = sorted({str(k) for k in p.groups["station"]})
        best = max(knowledge(p, list(s), g)[0] for s in combinations(every, 3))
        found = choose_network(p, "station", 3, weights=g).steps[-1].information
        assert (1 - 1 / np.e) * best <= found <= best + 1e-9
        assert found > 0.95 * best  # in practice far better than the bound


def test_the_order_is_the_same_with_and_without_bounds_of_earlier_rounds():
    c = case("T")
    d = choose_network(c.problem, "station", 12, weights=c.regions)
    have: list[str] = []
    for label in d.chosen:
        alone = choose_network(c.problem, "station", 0, weights=c.regions, existing=have)
        assert alone.ranking[0].label == label
        have.append(label)


def test_permuting_the_observations_changes_nothing():
    p, g = small(2), totals()
    order = np.random.default_rng(0).permutation(24)
    a = choose_network(p, "station", 6, weights=g)
    b = choose_network(p.select(order), "station", 6, weights=g)
    assert a.chosen == b.chosen
    assert a.steps[-1].information == pytest.approx(b.steps[-1].information, rel=1e-10)


def test_units_do_not_matter():
    p, g = small(1), totals()
    scaled = p.with_(
        jacobian=p.jacobian * 1e-3,
        prior_error=p.prior_error.scaled(1e6),
        observation_error=p.observation_error,
    )
    a, b = (choose_network(q, "station", 4, weights=g, criterion="target") for q in (p, scaled))
    assert a.chosen == b.chosen
    assert a.steps[-1].target == pytest.approx(b.steps[-1].target, rel=1e-8)


# --- targets ---------------------------------------------------------------------------------------------


def test_a_target_draws_the_choice():
    # Two separate places; each station sees one of them.
    h = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.1]])
    p = Problem(h, np.zeros(3), np.ones(3), np.zeros(2), [1.0, 1.0], groups={"s": np.array(["a", "b", "c"])})
    west, east = (
        choose_network(p, "s", 1, weights=np.eye(2), criterion="target", importance=w)
        for w in ([1, 0], [0, 1])
    )
    assert west.chosen == ["a"]
    assert east.chosen == ["c"]
    assert west.reduction()[0] == pytest.approx(1 - np.sqrt(0.5))
    assert west.reduction()[1] == 0.0
    assert choose_network(p, "s", 2, weights=np.eye(2)).chosen == ["c", "a"]


def test_totals_that_are_known_have_no_weight():
    p = Problem(np.eye(2), [0, 0], [1, 1], [0, 0], DiagonalCovariance([1.0, 0.0]), groups={"s": np.arange(2)})
    d = choose_network(p, "s", 1, weights=np.eye(2), criterion="target")
    assert d.chosen == ["0"]
    assert d.reduction().tolist() == [pytest.approx(1 - np.sqrt(0.5)), 0.0]


def test_blocks_of_a_prior():
    prior = BlockDiagonalCovariance(
        [DiagonalCovariance([1.0, 2.0]), DenseCovariance([[1.0, 0.5], [0.5, 1.0]])]
    )
    rng = np.random.default_rng(0)
    p = Problem(rng.random((6, 4)), np.zeros(6), np.ones(6), np.zeros(4), prior, groups={"s": np.arange(6)})
    d = choose_network(p, "s", 6, weights=np.eye(4))
    assert d.steps[-1].dofs == pytest.approx(solve(p, "dual").dofs)


# --- refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (
            {"criterion": "informations"},
            ConfigError,
            "unknown criterion 'informations'; nearest: 'information'",
        ),
        ({"existing": ["9"]}, ConfigError, "existing '9' is no station"),
        ({"group": "orbit"}, SolverError, "not labelled by 'orbit'"),
        ({"weights": np.ones((2, 4))}, SolverError, r"weights must have shape \(totals, 9\), found \(2, 4\)"),
        ({"importance": [1.0, -1.0, 0.0, 0.0]}, ConfigError, "importance must be 4 numbers"),
        ({"importance": [0.0, 0.0, 0.0, 0.0]}, ConfigError, "there is nothing to improve"),
    ],
)
def test_what_is_refused(change, error, text):
    base = {"group": "station", "count": 2, "weights": totals()}
    with pytest.raises(error, match=text):
        choose_network(small(), **(base | change))


def test_too_much_for_the_machine_is_said_before(monkeypatch):
    monkeypatch.setattr("inversion.study.designs.design.available_memory", lambda: 1000)
    with pytest.raises(ResourceError, match="average their observations over longer times"):
        choose_network(small(), "station", 1, weights=totals())


def test_it_reports_each_choice():
    lines = []
    choose_network(small(), "station", 2, weights=totals(), report=lines.append)
    assert len(lines) == 2
    assert lines[0].startswith("1. ")
    assert "nats" in lines[0]
