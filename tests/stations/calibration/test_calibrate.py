"""From valve sequence to calibrated hours: a made-up analyser whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

import stations
from obsnet.errors import ConfigError, MissingVariableError, RangeError
from obsnet.schema import Quality
from stations.calibration.calibrate import calibrate
from stations.calibration.plan import load_plan
from stations.record.summary import summary
from tests.stations.analyser import PLAN, air_truth, sequence


def plan_of(tmp_path, text=PLAN):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    return load_plan(path)


def errors(record):
    """Calibrated minus true hourly mean, of hours with enough air."""
    n = record["n"].values
    start = (record["time_start"].values - np.datetime64("2020-01-01")) / np.timedelta64(1, "h")
    fine = start[:, None] + (np.arange(180) + 0.5) / 180
    return (record["value"].values - air_truth(fine).mean(axis=1))[n >= 170]


def test_truth_is_recovered(tmp_path):
    done = calibrate(sequence(), plan_of(tmp_path))
    assert len(done.episodes) == 4
    assert done.episodes[0].tanks == ("low", "middle", "high")
    assert done.episodes[0].response.coefficients[1] == pytest.approx(0.998, abs=1e-3)
    off = errors(done.record)
    assert abs(off.mean()) < 0.01
    assert off.std() < 0.01
    assert done.record.attrs["scale"] == "WMO CO2 X2019"
    assert done.record.attrs["site"] == "TST"
    assert done.record["longitude"].values[0] == 100.0


def test_drift_between_calibrations_is_followed_in_a_straight_line(tmp_path):
    raw = sequence(drift_per_day=0.1)
    linear = calibrate(raw, plan_of(tmp_path))
    good = linear.record["quality"].values == 0
    off = errors(linear.record.isel(time=np.flatnonzero(good)))
    assert np.abs(off).max() < 0.03
    mean = calibrate(raw, plan_of(tmp_path, PLAN + '[response]\nbetween = "mean"\n'))
    assert np.abs(errors(mean.record.isel(time=np.flatnonzero(good)))).max() > 0.06


@pytest.mark.parametrize(("every", "days"), [(0.5, 10), (0.25, 5)])
def test_calibrations_close_to_each_other_stay_apart(tmp_path, every, days):
    """Without noise all that is left is the lag of 40 s behind air that changes by 1 ppm an hour."""
    done = calibrate(sequence(days, every, noise=0.0, drift_per_day=0.1), plan_of(tmp_path))
    assert len(done.episodes) == 20
    bits = done.record["quality"].values
    assert ((bits & Quality.CALIBRATION) == 0).mean() > 0.9
    good = done.record.isel(time=np.flatnonzero(bits == 0))
    off = np.abs(errors(good)).max()
    assert off < 0.0125
    drift = good["uncertainty_drift"].values
    assert drift.max() == pytest.approx(0.1 * every / 2, rel=0.05)  # half the change from one to the next


def test_drift_uncertainty_grows_where_a_calibration_failed(tmp_path):
    raw = sequence(10, 1.0, drift_per_day=0.1)
    hours = (raw["time"].values - raw["time"].values[0]) / np.timedelta64(1, "h")
    raw["mpv_position"].values[(hours > 96) & (hours < 120) & (raw["mpv_position"].values == 3)] = 9
    raw["mpv_position"].values[(hours > 96) & (hours < 120) & (raw["mpv_position"].values == 4)] = 9
    drift = calibrate(raw, plan_of(tmp_path)).record["uncertainty_drift"].values
    inside = slice(24, 200)
    assert drift[inside].max() == pytest.approx(0.5 * 0.11 * np.sqrt(2), rel=0.15)


def test_two_calibrations_alone_say_little_of_the_drift(tmp_path):
    """Half the one change seen, times Student's t of one degree of freedom at one sigma."""
    done = calibrate(sequence(4, 2.0, drift_per_day=0.1, noise=0.0), plan_of(tmp_path))
    assert len(done.episodes) == 2
    inside = (done.record["quality"].values & Quality.CALIBRATION) == 0
    drift = done.record["uncertainty_drift"].values[inside]
    assert drift.max() == pytest.approx(1.84 * 0.2 / 2, rel=0.02)


def test_a_long_calibration_is_named(tmp_path):
    raw = sequence(days=5, every_days=3)
    hours = (raw["time"].values - raw["time"].values[0]) / np.timedelta64(1, "h")
    valve = np.ones(hours.size)
    for start in (0.5, 72.5):  # one standard every seven hours
        for k, port in enumerate((2, 3, 4)):
            valve[(hours >= start + 7 * k) & (hours < start + 7 * k + 1)] = port
    raw["mpv_position"] = ("time", valve)
    done = calibrate(raw, plan_of(tmp_path))
    assert len(done.episodes) == 2
    assert done.episodes[0].hours == pytest.approx(14.9, abs=0.2)
    (word,) = [w for w in done.record.attrs["warnings"] if "longer than 12 h" in w]
    assert word.startswith("2 calibrations")
    assert "2020-01-01T08" in word
    assert not any(
        "longer than" in w for w in calibrate(sequence(), plan_of(tmp_path)).record.attrs["warnings"]
    )


def test_rows_outside_the_calibrations_are_flagged_not_dropped(tmp_path):
    done = calibrate(sequence(), plan_of(tmp_path))
    flagged = (done.record["quality"].values & Quality.CALIBRATION) > 0
    times = done.record["time_end"].values
    assert flagged.any()
    assert (times[flagged][-1] > done.episodes[-1].time) & (times[~flagged] > done.episodes[0].time).all()
    assert any("after the last calibration" in w for w in done.record.attrs["warnings"])


def test_uncertainties_are_apart_and_honest(tmp_path):
    """The spread of many calibrations about the truth is what the stated parts say."""
    off, stated = [], []
    for seed in range(25):
        rng = np.random.default_rng(100 + seed)
        text = PLAN
        for value in ("380.0", "410.0", "440.0"):
            text = text.replace(
                f"value = {value}", f"value = {float(value) + 0.02 * rng.standard_normal():.4f}"
            )
        done = calibrate(
            sequence(days=3, every_days=1, seed=seed, step_seconds=60.0), plan_of(tmp_path, text)
        ).record
        hour = int(np.argmax(done["n"].values >= 50)) + 30
        middle = (done["time"].values[hour] - np.datetime64("2020-01-01")) / np.timedelta64(1, "h")
        off.append(done["value"].values[hour] - air_truth(middle + np.linspace(-0.5, 0.5, 60)).mean())
        parts = [done[f"uncertainty_{k}"].values[hour] for k in ("fit", "drift", "tank")]
        stated.append(np.sqrt(np.square(parts).sum()))
    assert np.std(off) == pytest.approx(np.mean(stated), rel=0.45)
    assert done["uncertainty_tank"].values.mean() > 2 * done["uncertainty_fit"].values.mean()


def test_drift_uncertainty_is_zero_at_and_largest_between_calibrations(tmp_path):
    done = calibrate(sequence(drift_per_day=0.1), plan_of(tmp_path))
    drift = done.record["uncertainty_drift"].values
    time = done.record["time"].values
    inside = (time > done.episodes[1].time) & (time < done.episodes[2].time)
    part = drift[inside]
    assert part[0] < 0.35 * part.max()
    assert part.argmax() == pytest.approx(inside.sum() / 2, abs=4)
    assert part.max() == pytest.approx(0.2 * 0.5, rel=0.2)  # change of 0.2 ppm an episode, sqrt(1/4)


def test_repeatability_is_that_of_the_readings(tmp_path):
    done = calibrate(sequence(noise=0.05), plan_of(tmp_path))
    assert done.record["repeatability"].values[0] == pytest.approx(0.05, rel=0.05)


def test_discarding_matters(tmp_path):
    """With a memory of 40 s, no discarding pulls the tanks toward the gas before."""
    careless = PLAN.replace("discard_minutes = 5", "discard_minutes = 0")
    assert abs(errors(calibrate(sequence(), plan_of(tmp_path, careless)).record).mean()) > 0.02


def test_targets_are_calibrated_like_air_and_never_fitted(tmp_path):
    done = calibrate(sequence(), plan_of(tmp_path))
    (target,) = done.targets.values()
    assert target.bias.size >= 16
    assert np.abs(target.bias).max() < 0.05
    assert np.nanmedian(target.cmr) == pytest.approx(0.03, rel=0.2)
    wrong = PLAN.replace("value = 405.0", "value = 404.0")
    moved = calibrate(sequence(), plan_of(tmp_path, wrong))
    np.testing.assert_array_equal(moved.record["value"].values, done.record["value"].values)
    assert moved.targets["target"].bias.mean() == pytest.approx(1.0, abs=0.05)


def test_quadratic_response_and_least_squares(tmp_path):
    text = PLAN + '[response]\ndegree = 2\nmethod = "wls"\n'
    assert np.abs(errors(calibrate(sequence(), plan_of(tmp_path, text)).record)).mean() < 0.02


def test_what_the_standards_share_reaches_the_air(tmp_path):
    text = PLAN.replace("uncertainty = 0.02", "uncertainty = 0.02\ntype_b = 0.1")
    alone = calibrate(sequence(days=3), plan_of(tmp_path)).record["uncertainty_tank"].values
    shared = calibrate(sequence(days=3), plan_of(tmp_path, text)).record["uncertainty_tank"].values
    np.testing.assert_allclose(shared, np.hypot(alone, 0.1), rtol=1e-3)


def test_means_of_few_readings_are_flagged(tmp_path):
    done = calibrate(sequence(every_days=2.0), plan_of(tmp_path)).record
    few = done["n"].values < 0.33 * 180
    assert few.any()
    np.testing.assert_array_equal((done["quality"].values & Quality.VARIABILITY) > 0, few)
    assert any(
        f"{few.sum()} means with fewer than 33% of the 180 readings" in w for w in done.attrs["warnings"]
    )
    text = "minimum_share = 0.0\n" + PLAN
    anyway = calibrate(sequence(every_days=2.0), plan_of(tmp_path, text)).record
    assert not (anyway["quality"].values & Quality.VARIABILITY).any()


def test_tanks_past_their_last_calibration_are_named(tmp_path):
    text = PLAN.replace("value = 380.0\nuncertainty = 0.02", "calibrations = [[2015.0, 380.0, 0.02]]")
    done = calibrate(sequence(days=3), plan_of(tmp_path, text))
    (word,) = [w for w in done.record.attrs["warnings"] if "tank 'low'" in w]
    assert "5.0 years after its last calibration, uncertainty 0.02 ppm there" in word
    assert "on a single date cannot show (drift_per_year)" in word
    drifting = plan_of(
        tmp_path, text.replace("[[2015.0, 380.0, 0.02]]", "[[2015.0, 380.0, 0.02]]\ndrift_per_year = 0.03")
    )
    wider = calibrate(sequence(days=3), drifting)
    assert any("uncertainty 0.152 ppm there" in w for w in wider.record.attrs["warnings"])
    assert wider.record["uncertainty_tank"].values.mean() > done.record["uncertainty_tank"].values.mean()


def test_calibrations_that_scatter_more_than_they_state_are_named(tmp_path):
    dates = "[2018.0, 379.9, 0.01], [2018.5, 380.1, 0.01], [2019.0, 379.95, 0.01], [2020.5, 380.05, 0.01]"
    apart = f"calibrations = [{dates}]"
    done = calibrate(
        sequence(days=3), plan_of(tmp_path, PLAN.replace("value = 380.0\nuncertainty = 0.02", apart))
    )
    (word,) = [w for w in done.record.attrs["warnings"] if "scatter" in w]
    assert "the 4 calibrations of tank 'low' scatter 9.1 times more than they state" in word
    assert "uncertainty is from their scatter, 0.04" in word


def test_gases_that_are_off_by_more_than_they_state_are_told_in_one_line(tmp_path):
    """Within 3 sigma of each other, and yet the calibrations together say that the uncertainties are too small."""
    text = PLAN.replace("value = 410.0", "value = 410.06")
    done = calibrate(sequence(), plan_of(tmp_path, text))
    (word,) = [w for w in done.record.attrs["warnings"] if "chi-square" in w]
    assert word.startswith("4 calibrations with a reduced chi-square of")
    assert "times too small" in word
    assert not any(
        "chi-square" in w for w in calibrate(sequence(), plan_of(tmp_path)).record.attrs["warnings"]
    )


@pytest.mark.parametrize("how", ["ratio", "offset"])
def test_working_tank_takes_out_drift_between_calibrations(tmp_path, how):
    raw = sequence(drift_per_day=0.3, every_days=4.0)
    text = PLAN.replace('role = "target"', 'role = "working"').replace(
        'site = "TST"', f'site = "TST"\ndrift = "{how}"'
    )
    plain = calibrate(raw, plan_of(tmp_path))
    steady = calibrate(raw, plan_of(tmp_path, text))
    before = errors(plain.record.isel(time=slice(120, None)))
    after = errors(steady.record.isel(time=slice(120, None)))
    assert np.abs(before).max() > 0.3  # past the last calibration the plain response is stale
    assert np.abs(after).max() < 0.1  # the last hours lie after the last run of the working tank


def test_tank_drift_over_years_reaches_the_calibration(tmp_path):
    text = PLAN.replace(
        "value = 440.0\nuncertainty = 0.02",
        'degree = "linear"\n'
        "calibrations = [[2016.0, 439.0, 0.01], [2018.0, 439.5, 0.01], [2020.0, 440.0, 0.01]]",
    )
    done = calibrate(sequence(), plan_of(tmp_path, text))
    assert np.abs(errors(done.record)).mean() < 0.02


def test_own_water_correction(tmp_path):
    raw = sequence()
    h = np.where(raw["mpv_position"].values == 1, 1.5, 0.0)
    raw["h2o_reported_percent"] = ("time", h)
    raw["value_wet"] = ("time", raw["value"].values * (1 - 0.012 * h - 2.674e-4 * h * h))
    text = PLAN + '[water]\nsource = "own"\na = -0.012\nb = -2.674e-4\na_sd = 1e-5\n'
    done = calibrate(raw, plan_of(tmp_path, text))
    assert np.abs(errors(done.record)).mean() < 0.01
    assert done.record["uncertainty_water"].values.max() == pytest.approx(412 * 1.5e-5, rel=0.05)
    factory = calibrate(raw, plan_of(tmp_path, PLAN + '[water]\nsource = "own"\n'))
    np.testing.assert_allclose(factory.record["value"].values, done.record["value"].values, atol=1e-9)
    wet = calibrate(raw, plan_of(tmp_path, PLAN + '[water]\nsource = "wet"\n'))
    assert np.abs(errors(wet.record)).mean() > 5


def test_residual_water_correction_on_the_analysers_dry_values(tmp_path):
    """The analyser dries with the factory's coefficients, its true ones differ; only dry values were kept."""
    raw = sequence()
    h = np.where(raw["mpv_position"].values == 1, 1.5, 0.0)
    raw["h2o_reported_percent"] = ("time", h)
    true, factory = 1 - 0.0115 * h - 2.4e-4 * h * h, 1 - 0.012 * h - 2.674e-4 * h * h
    raw["value"] = ("time", raw["value"].values * true / factory)
    raw = raw.drop_vars("value_wet")
    assert np.abs(errors(calibrate(raw, plan_of(tmp_path)).record)).mean() > 0.2
    text = PLAN + '[water]\nsource = "residual"\na = -0.0115\nb = -2.4e-4\na_sd = 1e-5\n'
    done = calibrate(raw, plan_of(tmp_path, text)).record
    assert np.abs(errors(done)).mean() < 0.01
    assert done["uncertainty_water"].values.max() == pytest.approx(412 * 1.5e-5, rel=0.05)


def test_alarmed_readings_do_not_count(tmp_path):
    raw = sequence()
    bad = np.zeros(raw.sizes["time"], np.uint32)
    bad[::3] = Quality.PRODUCER
    raw["value"] = raw["value"].where(bad == 0, 9999.0)
    raw["quality"] = ("time", bad)
    done = calibrate(raw, plan_of(tmp_path))
    assert done.record["n"].values.max() <= 121
    assert np.abs(done.record["value"].values - 412).max() < 6


def test_result_is_a_record_like_any_other(tmp_path):
    done = calibrate(sequence(days=3), plan_of(tmp_path))
    text = summary(done.record)
    assert text["interval"] == "start"
    assert text["interval_seconds"] == 3600.0
    assert text["unit"] == "ppm"


def test_a_short_raw_log_says_what_is_missing(sample_data, tmp_path):
    raw = stations.read(sample_data / "stations" / "picarro_raw")
    text = PLAN.replace("air = [1]", "air = [16]")
    with pytest.raises(RangeError, match="no complete calibration"):
        calibrate(raw, plan_of(tmp_path, text))


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (('species = "CO2"', 'species = "CH4"'), ConfigError, "the plan is for CH4, the record is CO2"),
        (("air = [1]", "air = [9]"), RangeError, "no settled reading of air at valve positions"),
        (
            ("air = [1]", 'air = [1]\nvalve = "solenoid"'),
            MissingVariableError,
            "needs the variable 'solenoid'",
        ),
        (("valve = 3", "valve = 33"), None, "valve positions the plan does not name"),
    ],
)
def test_wrong_plans_for_a_record(tmp_path, change, error, text):
    plan = plan_of(tmp_path, PLAN.replace(*change))
    if error is None:
        assert any(text in w for w in calibrate(sequence(days=3), plan).record.attrs["warnings"])
    else:
        with pytest.raises(error, match=text):
            calibrate(sequence(days=3), plan)


def test_readings_without_a_time_are_refused(tmp_path):
    raw = sequence(days=1)
    with pytest.raises(RangeError, match="no reading has a time"):
        calibrate(
            raw.assign_coords(time=np.full(raw.sizes["time"], np.datetime64("NaT", "ns"))), plan_of(tmp_path)
        )


def test_a_working_tank_that_was_never_measured_is_named(tmp_path):
    text = PLAN.replace('site = "TST"', 'site = "TST"\ndrift = "ratio"').replace(
        'role = "target"', 'role = "working"'
    )
    with pytest.raises(RangeError, match=r"working tank 'target' \(valve 50\) was never measured"):
        calibrate(sequence(days=3), plan_of(tmp_path, text.replace("valve = 5", "valve = 50")))


def test_a_calibration_that_lacks_a_standard_is_left_out_and_counted(tmp_path):
    raw = sequence(days=5)
    valve = raw["mpv_position"].values
    hours = (raw["time"].values - raw["time"].values[0]) / np.timedelta64(1, "h")
    valve[(hours < 24) & (np.isin(valve, [3, 4]))] = 9
    done = calibrate(raw, plan_of(tmp_path))
    assert len(done.episodes) == 2
    assert "1 calibrations with too few standards left out" in done.record.attrs["warnings"]


def test_one_calibration_serves_all_and_has_no_drift(tmp_path):
    done = calibrate(sequence(days=1.5), plan_of(tmp_path))
    assert len(done.episodes) == 1
    assert np.nanmax(done.record["uncertainty_drift"].values) == 0.0
    assert abs(errors(done.record).mean()) < 0.03


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("valve = 3", "valve = 2"), "valve 2 has more than one gas"),
        (('role = "standard"', 'role = "target"'), "needs more than that many standards"),
        (('site = "TST"', 'drift = "ratio"'), "exactly one working tank"),
        (("value = 380.0\n", ""), "needs either value and uncertainty, or calibrations"),
        (("uncertainty = 0.02", ""), "needs the uncertainty of its value"),
        (("air = [1]", "air = [1]\nwater = {a = -0.01}"), "a and b of the water correction go together"),
        (("air = [1]", 'air = [1]\nwater = {source = "residual"}'), "needs a and b of one's own analyser"),
        (("uncertainty = 0.02", "uncertainty = 0.02\ndrift_per_year = 0.1"), "drift_per_year needs a date"),
        (
            ("discard_minutes = 5", "discard_minute = 5"),
            "unknown key 'discard_minute'; nearest: 'discard_minutes'",
        ),
    ],
)
def test_wrong_plans(tmp_path, change, text):
    with pytest.raises(ConfigError, match=text):
        plan_of(tmp_path, PLAN.replace(*change))


def test_a_wrong_one_of_two_standards_shows_in_the_target(tmp_path):
    """A line goes through any two: labels of standard and target swapped were 20 ppm without a word."""
    raw = sequence(3, 1.0)
    two = PLAN[: PLAN.index('[[tank]]\nname = "middle"')] + PLAN[PLAN.index('[[tank]]\nname = "high"') :]
    done = calibrate(raw, plan_of(tmp_path, two))
    assert (done.record["quality"].values == 0).any()
    assert not any("target" in w for w in done.record.attrs["warnings"])
    swapped = two.replace("440.0", "x").replace("405.0", "440.0").replace("x", "405.0")
    for text, said in ((swapped, "-49.6"), (two.replace("value = 380.0", "value = 381.0"), "+0.58")):
        bad = calibrate(raw, plan_of(tmp_path, text)).record
        assert (bad["quality"].values & Quality.CALIBRATION).all()
        assert f"'target' ({said}" in " ".join(bad.attrs["warnings"])
    alone = calibrate(raw, plan_of(tmp_path, two[: two.index('[[tank]]\nname = "target"')]))
    assert any("3 calibrations have no more standards" in w for w in alone.record.attrs["warnings"])
