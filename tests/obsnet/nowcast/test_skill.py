"""Scores against closed forms; hindcasts that know nothing of the future; which model is used."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from obsnet.errors import FormatError
from obsnet.nowcast.inputs.panel import Panel, cleaned
from obsnet.nowcast.revisions import revised_between
from obsnet.nowcast.skill.events import TargetAlarm, alarm, exceeds, met, peaked
from obsnet.nowcast.skill.hindcast import (
    COMBINATION,
    Situation,
    combination_weights,
    combined,
    hindcast,
    trend_models,
)
from obsnet.nowcast.skill.scores import brier, crps, intervals, paired, reliability
from obsnet.nowcast.skill.tables import score_table, skill, used_model


def test_crps_of_normal_draws_is_the_closed_form():
    """Gneiting and Raftery 2007, equation 21: the CRPS of a normal distribution."""
    draws = np.sort(np.random.default_rng(0).normal(3.0, 2.0, (200_000, 1)), axis=0)
    for truth in (3.0, 6.0, -2.0):
        z = (truth - 3.0) / 2.0
        closed = 2.0 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
        assert crps(draws, np.array([truth]))[0] == pytest.approx(closed, abs=0.01)


def test_crps_of_one_draw_is_the_absolute_error_and_few_draws_are_not_favoured():
    assert crps(np.array([[3.0]]), np.array([5.0])) == pytest.approx([2.0])
    rng = np.random.default_rng(1)
    few = crps(np.sort(rng.normal(size=(4, 50_000)), axis=0), np.full(50_000, 0.7)).mean()
    many = crps(np.sort(rng.normal(size=(400, 500)), axis=0), np.full(500, 0.7)).mean()
    assert few == pytest.approx(many, abs=0.01)


def test_intervals_are_quantiles():
    draws = np.sort(np.random.default_rng(2).normal(size=(333, 4)), axis=0)
    assert intervals(draws) == pytest.approx(np.quantile(draws, [0.5, 0.1, 0.9, 0.05, 0.95], axis=0))


def test_one_step_ahead_the_paired_test_is_students():
    difference = np.random.default_rng(3).normal(-0.3, 1.0, 12)
    got, other = paired(difference), stats.ttest_1samp(difference, 0.0, alternative="less")
    assert got.p == pytest.approx(other.pvalue)
    assert got.mean / got.sd == pytest.approx(other.statistic)
    assert np.isnan(paired(difference[:2]).sd)
    assert not paired(difference[:2]).better
    assert not paired(np.zeros(5)).better
    assert not paired(np.zeros(5)).worse


def test_years_that_overlap_are_less_evidence():
    """Of forecasts without skill at five steps a plain test calls far more better than this one."""
    rng = np.random.default_rng(4)
    plain = corrected = 0
    for _ in range(400):
        shock = rng.normal(size=24)
        difference = np.convolve(shock, np.ones(5), "valid")
        plain += paired(difference).p < 0.1
        corrected += paired(difference, 5).p < 0.1
    assert corrected < 0.75 * plain


def test_reliability_of_honest_probabilities_is_the_diagonal():
    rng = np.random.default_rng(5)
    p = rng.random(20_000)
    events = pd.DataFrame(
        {"target": rng.integers(2000, 2020, p.size), "probability": p, "happened": rng.random(p.size) < p}
    )
    table = reliability(events.assign(happened=events["happened"].astype(float)))
    assert table["count"].sum() == p.size
    assert (np.abs(table["observed"] - table["forecast"]) < 4 * table["observed_sd"]).all()
    assert brier(p, p < 0.5) == pytest.approx(np.mean((p - (p < 0.5)) ** 2))


def test_events():
    past = np.array([[80.0, 100.0], [100.0, 90.0]])
    values = np.array([[[98.0, 95.0]], [[105.0, 80.0]], [[90.0, 99.0]]])  # (steps, draws, regions)
    assert exceeds(2, 0.04).happens(values, past).tolist() == [[True, False]]
    assert met(1, -0.05).happens(values, past).tolist() == [[False, False]]
    assert met(1, np.array([-0.02, 0.1])).happens(values, past).tolist() == [[True, True]]
    assert peaked(2, 3).happens(values, past).tolist() == [[True, True]]
    assert peaked(1, 3).happens(values, past).tolist() == [[False, True]]


def test_alarms_are_counted_by_what_became_of_them():
    events = pd.DataFrame(
        {"target": 2010, "probability": [0.1, 0.2, 0.9, 0.9, 0.1], "happened": [1.0, 0.0, 1.0, 0.0, np.nan]}
    )
    found = alarm(events, 0.7)
    assert (found.met, found.warned_of_met, found.missed, found.warned_of_missed) == (2, 1, 2, 1)
    assert (found.false_alarm_rate, found.false_among_warnings, found.hit_rate) == (0.5, 0.5, 0.5)
    assert not found.usable  # one year, few cases
    assert TargetAlarm(0.7, 50, 5, 50, 30, 8).usable
    assert not TargetAlarm(0.7, 50, 30, 50, 5, 8).usable  # warns of the wrong ones
    assert np.isnan(alarm(events[:0], 0.7).false_alarm_rate)


def panel(seed=0, years=16, regions=12, growth=0.04):
    rng = np.random.default_rng(seed)
    steps = growth + 0.02 * rng.standard_normal((years, 1)) + 0.03 * rng.standard_normal((years, regions))
    values = 100.0 * np.exp(np.cumsum(steps, axis=0))
    return Panel(tuple(f"R{k}" for k in range(regions)), np.arange(2000, 2000 + years), values)


def situations(data, steps=3, first=2004):
    return [
        Situation(
            cleaned(data.upto(y))[0], steps, tuple(h for h in range(1, steps + 1) if y + h <= data.last)
        )
        for y in range(first, data.last)
    ]


def test_a_hindcast_knows_nothing_of_what_came_after():
    data = panel()
    changed = Panel(
        data.regions, data.years, np.where(data.years[:, None] > 2010, 3.0 * data.values, data.values)
    )
    made, other = (
        hindcast(situations(d), d, trend_models(), draws=120, seed=0, combine=True, events=[exceeds(1, 0.0)])
        for d in (data, changed)
    )
    for frame, columns in (
        ("table", ["value", "low90"]),
        ("events", ["probability"]),
        ("weights", ["weight"]),
    ):
        a, b = (getattr(m, frame) for m in (made, other))
        a, b = (t[t["origin"] <= 2010][columns].to_numpy() for t in (a, b))
        assert a == pytest.approx(b, rel=0, abs=0)


def test_scores_are_what_they_say_by_hand():
    made = hindcast(situations(panel()), panel(), trend_models(), draws=120, seed=0)
    table = score_table(made)
    rows = made.table[
        (made.table["model"] == "drift") & (made.table["step"] == 2) & (made.table["region"] == "R3")
    ]
    got = table[(table["region"] == "R3") & (table["model"] == "drift") & (table["step"] == 2)].iloc[0]
    assert got["mae"] == pytest.approx(100 * (rows["value"] / rows["truth"] - 1).abs().mean())
    assert got["cover80"] == pytest.approx(
        ((rows["truth"] >= rows["low80"]) & (rows["truth"] <= rows["high80"])).mean()
    )
    assert got["cases"] == len(rows) == got["years"]
    crossed = made.table[
        (made.table["region"] != "CHN") & (made.table["model"] == "drift") & (made.table["step"] == 2)
    ]
    held = (crossed["truth"] >= crossed["low90"]) & (crossed["truth"] <= crossed["high90"])
    yearly = held.groupby(crossed["target"]).mean().to_numpy()
    whole = table[(table["region"] == "provinces") & (table["model"] == "drift") & (table["step"] == 2)].iloc[
        0
    ]
    assert whole["cover90_sd"] == pytest.approx(paired(yearly, 2).sd)
    assert whole["revised"] == crossed["revision"].sum() > 0
    assert whole["steady90"] == pytest.approx(held[~crossed["revision"]].mean())
    other = made.table[
        (made.table["model"] == "persistence") & (made.table["step"] == 2) & (made.table["region"] == "R3")
    ]
    assert got["than_persistence"] == pytest.approx(
        100 * (rows["crps"].to_numpy() - other["crps"].to_numpy()).mean()
    )
    together = table[
        (table["region"] == "provinces") & (table["model"] == "drift") & (table["step"] == 2)
    ].iloc[0]
    assert together["than_persistence"] == pytest.approx(
        100 * skill(made.table, "drift", "persistence", 2).mean
    )
    nation = made.table[
        (made.table["region"] == "CHN") & (made.table["step"] == 1) & (made.table["origin"] == 2008)
    ]
    assert nation["truth"].iloc[0] == pytest.approx(panel().at(2009).sum())


def test_where_nothing_grows_persistence_is_used_and_where_all_grows_it_is_not():
    noise = Panel(
        ("A", "B", "C"),
        np.arange(2000, 2020),
        np.exp(0.05 * np.random.default_rng(0).standard_normal((20, 3))),
    )
    walk = hindcast(situations(noise), noise, trend_models(), draws=200, seed=0)
    assert used_model(walk.table) == "persistence"  # growth turns back: every trend is worse
    assert used_model(
        hindcast(situations(panel(growth=0.1)), panel(growth=0.1), trend_models(), draws=200, seed=0).table
    ) != ("persistence")


def test_weights_of_the_combination():
    data = panel()
    now = Situation(data, 1, (1,))
    members = ["persistence", "damped trend", "drift"]
    assert combination_weights({}, members, now) == {"persistence": 0.5, "damped trend": 0.5}
    skills = {
        (2008 + k, 1): {"persistence": 0.04 + 0.001 * k, "damped trend": 0.02, "drift": 0.01}
        for k in range(4)
    }
    found = combination_weights(skills, members, now)
    assert found["drift"] > found["damped trend"] > found["persistence"] > 0.0
    assert sum(found.values()) == pytest.approx(1.0)
    assert "drift" not in combination_weights(
        {k: skills[k] for k in list(skills)[:2]}, members, now
    )  # two years
    late = {(data.last, 1): dict.fromkeys(members, 0.01)}  # its truth is not known yet
    assert combination_weights(late, members, now) == {"persistence": 0.5, "damped trend": 0.5}
    worse = {k: {**v, "damped trend": 0.09 + 0.001 * k[0] % 2} for k, v in skills.items()}
    assert "damped trend" not in combination_weights(worse, members, now)
    paths = {"a": np.ones((1, 2, 1)), "b": 3.0 * np.ones((1, 2, 1))}
    assert combined(paths, {"a": 0.25, "b": 0.75}) == pytest.approx(2.5)


def test_intervals_of_the_combination_hold_on_drawn_countries():
    held = []
    for seed in range(12):
        data = panel(seed, years=18, growth=0.03)
        made = hindcast(situations(data, 2), data, trend_models(), draws=200, seed=0, combine=True)
        rows = made.table[(made.table["model"] == COMBINATION) & (made.table["region"] != "CHN")]
        held.append(((rows["truth"] >= rows["low80"]) & (rows["truth"] <= rows["high80"])).mean())
    assert np.mean(held) == pytest.approx(0.80, abs=0.06)


def test_errors_of_the_data_are_bridged_and_said():
    data = panel(years=12)
    values = data.values.copy()
    values[4, 2], values[11, 5], values[6, 1] = 0.02 * values[4, 2], 0.2 * values[11, 5], np.nan
    clean, notes = cleaned(Panel(data.regions, data.years, values))
    assert clean.values[4, 2] == pytest.approx(np.sqrt(values[3, 2] * values[5, 2]))
    assert clean.values[11, 5] == pytest.approx(values[10, 5])
    assert clean.values[6, 1] == pytest.approx(np.sqrt(values[5, 1] * values[7, 1]))
    assert len(notes) == 3
    assert "R1: no value of 2006, bridged" in notes
    assert "R2 2004" in notes[0] + notes[1]
    values[:, 3] = 0.0
    with pytest.raises(FormatError, match="R3: 0 usable values .* a series of zeros"):
        cleaned(Panel(data.regions, data.years, values))
    with pytest.raises(FormatError, match="3 years of inventories"):
        cleaned(data.upto(2002))


def test_known_revisions_are_marked():
    assert [r.year for r in revised_between(2012, 2013)] == [2013]
    assert not revised_between(2013, 2019)
    data = panel(years=17)
    made = hindcast(situations(data), data, trend_models(), draws=120, seed=0)
    assert set(made.table[made.table["revision"]]["target"]) == {2013, 2014, 2015}
    assert not made.table[(made.table["origin"] >= 2013)]["revision"].any()
