"""A year from snapshots: identities, and made-up years whose true total the interval must hold as often as it says."""

import numpy as np
import pytest

from obsnet.errors import ConfigError
from retrieval.plants.compare.annual import _sampling, annual_total
from retrieval.plants.compare.match import Overpass
from retrieval.plants.compare.profile import YearProfile, year_profile
from retrieval.plants.options import YearOptions
from tests.retrieval.plants.world import record

NAN = float("nan")


def overpass(at, rate, additive=0.0, share=0.0, status="rate", limit=90.0):
    """Return an overpass whose window is the two hours before."""
    told = status == "rate"
    parts = {
        "wind": share * abs(rate),
        "background": additive,
        "noise": 0.0,
        "method": 0.0,
        "conversion": 0.0,
    }
    window = (at - np.timedelta64(2, "h"), at)
    return Overpass(
        "s", "csf", "given", at, status, rate if told else NAN, NAN, NAN, limit, parts if told else {}, 0, 5.0, 1.0,
        2.0, 38.0, window,
    )  # fmt: skip


def snapshots(rec, hours, rng=None, additive=0.0, share=0.0, common=0.0):
    """Return overpasses of a made-up record, `common` being one error of all of them."""
    shift = 1.0 + common * (rng.standard_normal() if rng is not None else 0.0)
    out = []
    for i in hours:
        at = rec.start + np.timedelta64(int(i), "h")
        true = rec.window(at - np.timedelta64(2, "h"), at).rate
        part = np.sqrt(max(share**2 - common**2, 0.0))
        q = true * shift
        if rng is not None:
            q = q * (1 + part * rng.standard_normal()) + additive * rng.standard_normal()
        out.append((overpass(at, q, additive, share), true))
    return out


def test_with_its_own_hours_one_snapshot_gives_the_year():
    rec = record(outage=0.0)
    profile = year_profile(YearOptions(year=2023, profile="hours"), rec)
    assert profile.rate.mean() == pytest.approx(1.0)
    ((o, _),) = snapshots(rec, [4000])
    found = annual_total([o], profile, 0.0)
    assert found.total == pytest.approx(rec.mass.sum() * 1e-9)
    assert found.sampling == 0.0


def test_an_even_plant_seen_without_error_has_no_error():
    rec = record(outage=0.0, restless=0.0)
    profile = YearProfile(rec.start, np.ones(8760), 0.0, 24.0, "even")
    found = annual_total([overpass(rec.start + np.timedelta64(100, "h"), 317.0)], profile, 0.0)
    assert found.total == pytest.approx(317.0 * 8760 * 3600 * 1e-9)
    assert found.error == 0.0


def test_common_error_does_not_average_out_and_is_not_counted_twice():
    rec = record(outage=0.0)
    profile = YearProfile(rec.start, np.ones(8760), 0.0, 24.0, "even")
    one, many = (
        annual_total(
            [overpass(rec.start + np.timedelta64(10 + 80 * k, "h"), 300.0, share=0.3) for k in range(n)],
            profile,
            0.1,
        )
        for n in (1, 100)
    )
    assert one.error == pytest.approx(0.3 * one.total)
    assert many.common == pytest.approx(0.1 * many.total)
    assert many.random == pytest.approx(np.sqrt(0.08) / 10 * many.total)


def test_snapshots_of_every_hour_leave_nothing_unsampled():
    every = np.arange(2000) + 0.5
    assert _sampling(every, 2000, 50.0) < 0.01
    assert _sampling(np.array([1000.0]), 2000, 1e-3) == pytest.approx(1.0, abs=1e-3)
    few = [_sampling(np.array([500.0 + k, 1500.0]), 2000, 30.0) for k in (0, 999)]
    assert few[1] > few[0]  # two that are near each other say less


@pytest.mark.parametrize("count", [6, 20])
def test_the_interval_holds_the_true_total_of_made_up_years(count):
    """Profile from another year of the same plant; overpasses at 13:30 on days drawn at random."""
    rng = np.random.default_rng(count)
    inside, ignoring, ratio = [], [], []
    for k in range(120):
        profile = year_profile(
            YearOptions(year=2023, profile="cycles"), record(2022, seed=5000 + k, outage=0.0)
        )
        assert profile.spread == pytest.approx(0.15, abs=0.04)
        rec = record(2023, seed=1000 + k, outage=0.0)
        days = np.sort(rng.choice(360, count, replace=False))
        seen = [o for o, _ in snapshots(rec, 24 * days + 14, rng, additive=20.0, share=0.15, common=0.05)]
        found = annual_total(seen, profile, 0.05)
        truth = rec.mass.sum() * 1e-9
        inside.append(found.low <= truth <= found.high)
        ratio.append(found.total / truth)
        ignoring.append(abs(found.total - truth) <= 1.96 * np.hypot(found.random, found.common))
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.02)
    assert 0.89 <= np.mean(inside) <= 0.99
    assert np.mean(ignoring) < np.mean(inside)


def test_a_flat_profile_with_the_stated_spread_is_biased_by_the_hour_of_the_overpass():
    """What the profile is for: at 13:30 this plant emits more than over the day."""
    rec = record(2023, outage=0.0, restless=0.0)
    seen = [o for o, _ in snapshots(rec, 24 * np.arange(5, 360, 7) + 14)]
    cycles = year_profile(YearOptions(year=2023, profile="cycles"), rec)
    even = year_profile(
        YearOptions(year=2023, profile="even", profile_spread=0.2, profile_memory_days=2), rec
    )
    truth = rec.mass.sum() * 1e-9
    assert annual_total(seen, cycles, 0.0).total == pytest.approx(truth, rel=0.02)
    assert annual_total(seen, even, 0.0).total > 1.04 * truth


def test_overpasses_that_saw_nothing_count_between_zero_and_their_limit():
    """A plant that stands still is never found: a total of what was found alone is too high."""
    inside, without = [], []
    rng = np.random.default_rng(4)
    for k in range(60):
        rec = record(2023, seed=k, outage=0.35)
        profile = year_profile(
            YearOptions(year=2023, profile="cycles"), record(2022, seed=500 + k, outage=0.35)
        )
        seen = []
        for o, true in snapshots(
            rec, 24 * np.sort(rng.choice(360, 15, replace=False)) + 14, rng, additive=20.0, share=0.1
        ):
            seen.append(o if true > 90 else overpass(o.time, 0.0, status="below", limit=90.0))
        truth = rec.mass.sum() * 1e-9
        found = annual_total(seen, profile, 0.0)
        inside.append(found.low <= truth <= found.high)
        alone = annual_total([o for o in seen if o.status == "rate"], profile, 0.0)
        without.append(alone.total / truth)
        assert found.total == pytest.approx(alone.total)
    assert np.mean(without) > 1.15
    assert np.mean(inside) >= 0.9


def test_the_bounds_of_what_saw_nothing_are_exact():
    """One rate of 300 and three limits of 400, an even plant, no errors: from 300 / 4 to (300 + 3 400) / 4."""
    start = np.datetime64("2023-01-01T00", "h")
    profile = YearProfile(start, np.ones(8760), 0.0, 24.0, "even")
    blind = [
        overpass(start + np.timedelta64(100 * k, "h"), 0.0, status="below", limit=400.0) for k in (2, 3, 4)
    ]
    found = annual_total([overpass(start + np.timedelta64(100, "h"), 300.0), *blind], profile, 0.0)
    kg_s = np.array([found.low, found.total, found.high]) * 1e9 / (8760 * 3600)
    np.testing.assert_allclose(kg_s, [75.0, 300.0, 375.0])
    assert (found.overpasses, found.unseen) == (1, 3)


def test_what_is_needed_is_asked_for(tmp_path):
    rec = record(2023)
    with pytest.raises(ConfigError, match="needs the plant's own record: give stack"):
        year_profile(YearOptions(year=2023, profile="hours"), None)
    with pytest.raises(ConfigError, match="0% of the hours of 2021"):
        year_profile(YearOptions(year=2021, profile="hours"), rec)
    with pytest.raises(ConfigError, match="profile_spread .* and profile_memory_days"):
        year_profile(YearOptions(year=2023, profile="even"), None)
    own = tmp_path / "p.csv"
    own.write_text(
        "category,kind,item,value\n" + "".join(f"plant,hour,{h},{1 + (h == 12)}\n" for h in range(24))
    )
    stated = YearOptions(year=2023, profile=str(own), profile_spread=0.1, profile_memory_days=1)
    rate = year_profile(stated, None).rate
    assert rate[4] == pytest.approx(2 * rate[5])  # noon of China Standard Time is 04 UTC


def test_no_rate_in_the_year_gives_no_total():
    rec = record(2023)
    profile = year_profile(YearOptions(year=2023, profile="cycles"), rec)
    assert annual_total([overpass(np.datetime64("2022-06-01T12"), 300.0)], profile, 0.1) is None
