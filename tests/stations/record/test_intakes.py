"""Several intakes in one record: one series each, never a silent mean."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError
from obsnet.schema import Quality
from stations import fit_record
from stations.quality.rules import apply_rules, load_rules
from stations.record.intakes import apart, select_intake, side_by_side
from tests.stations.made import make_record


def tower(heights, offsets, *, days=1096, per_day=4, at_once=True, seed=0):
    """A truth of 2.5 ppm a year and a season of 4 ppm with noise of 1 ppm, seen at several heights."""
    rng = np.random.default_rng(seed)
    hours = np.arange(days * per_day) * 24.0 / per_day
    years = hours / 8766.0
    truth = 400 + 2.5 * years + 4 * np.sin(2 * np.pi * years)
    which = np.arange(hours.size) % len(heights)
    parts = []
    for k, (height, offset, share) in enumerate(zip(heights, offsets, (0.6, 1.0, 1.0), strict=False)):
        rows = np.flatnonzero(np.ones(hours.size, bool) if at_once else which == k)
        rows = rows[: int(share * rows.size)]  # the first ends within the record
        parts.append((hours[rows], truth[rows] + offset, np.full(rows.size, height)))
    hour, value, height = (np.concatenate(p) for p in zip(*parts, strict=True))
    order = np.lexsort((height, hour))
    noise = rng.standard_normal(order.size)
    return make_record(
        value[order] + noise,
        hours=hour[order],
        start="2018-01-01",
        longitude=0.0,
        intake_height_m=height[order],
    )


@pytest.mark.filterwarnings("ignore:.*samples a day")
@pytest.mark.parametrize("at_once", [True, False])
def test_a_fit_asks_which_intake_and_finds_its_truth(at_once):
    record = tower((10.0, 80.0), (20.0, 0.0), at_once=at_once)
    with pytest.raises(ConfigError, match=r"holds 2 intakes, 10 m, 80 m, .*--intake 80"):
        fit_record(record)
    fit = fit_record(select_intake(record, 80.0))
    assert fit.annual_increase()[2019] == pytest.approx(2.5, abs=0.2)
    with pytest.raises(ConfigError, match="no intake at 50 m; it has 10 m, 80 m"):
        select_intake(record, 50.0)


def test_an_event_at_one_intake_is_found_beside_another(tmp_path):
    """+8 ppm for 49 h at 80 m, 12 ppm less than what 10 m always has."""
    record = tower((10.0, 80.0), (20.0, 0.0), days=300, per_day=24)
    hours = (record["time"].values - record["time"].values[0]) / np.timedelta64(1, "h")
    event = (record["intake_height_m"].values == 80) & (hours >= 3000) & (hours < 3049)
    assert event.sum() == 49
    record["value"].values[event] += 8
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nkind="rebs"\nwindow_days=60\nb=3.5\nsigmas=3.0')
    after, reports = apply_rules(record, load_rules(path), {})
    flagged = after["quality"].values == Quality.SELECTION
    assert flagged[event].all()
    assert flagged[~event].mean() < 0.01
    assert [r.intake for r in reports] == [10.0, 80.0]
    alone, _ = apply_rules(select_intake(record, 80.0), load_rules(path), {})
    np.testing.assert_array_equal(
        alone["quality"].values, after["quality"].values[record["intake_height_m"].values == 80]
    )


def test_what_is_one_series():
    moved = make_record(np.full(100, 400.0), intake_height_m=np.repeat([10.0, 80.0], 50))
    flasks = make_record(
        np.full(4, 400.0),
        hours=[0, 0, 168, 168],
        intake_height_m=[2.0, 40.0, 2.0, 40.0],
        sample_id=np.array(["a", "b", "c", "d"]),
    )
    lost = make_record(np.full(100, 400.0), intake_height_m=np.where(np.arange(100) % 7, 10.0, np.nan))
    for record in (moved, flasks, lost):
        assert side_by_side(record) == ()
        assert [h for h, _ in apart(record)] == [None]


def test_an_intake_of_unknown_height_at_the_same_times_is_another_one():
    record = make_record(
        np.tile([420.0, 400.0], 50),
        hours=np.repeat(np.arange(50), 2),
        intake_height_m=np.tile([10.0, np.nan], 50),
    )
    assert side_by_side(record) == (10.0,)
    with pytest.raises(ConfigError, match="2 intakes, 10 m, and one of unknown height, .* --intake 10"):
        fit_record(record)
    assert {h: len(rows) for h, rows in apart(record)} == {10.0: 50, None: 50}
