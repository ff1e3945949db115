"""The rule engine: tables, order, bits, counts, comparison with a keeper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stations
from obsnet.errors import ConfigError, MissingVariableError
from obsnet.kind_tables import table_names
from obsnet.schema import Quality
from stations.quality.circumstances import in_sector
from stations.quality.kinds import KINDS
from stations.quality.rules import FOLDER, apply_rules, compare_with_keeper, load_rules, report_lines
from tests.stations.made import make_record


def table(tmp_path, text):
    path = tmp_path / "my.toml"
    path.write_text(text)
    return load_rules(path)


def run(tmp_path, text, record, **others):
    return apply_rules(record, table(tmp_path, text), others)


def bits(record):
    return [set(Quality.names(int(q))) for q in record["quality"].values]


@pytest.mark.parametrize("name", table_names(FOLDER))
def test_tables_that_come_with_the_package_are_valid_and_say_their_source(name):
    rules = load_rules(name)
    assert rules.rules
    assert rules.title
    assert rules.source


def test_every_kind_of_rule_is_documented():
    for name, kind in KINDS.items():
        assert f"``{name}``" in (kind.options.__doc__ or ""), name


def test_flags_are_added_and_never_taken_away(tmp_path):
    record = make_record([400, 400, 9999, 402.0], quality=[Quality.SELECTION, 0, 0, Quality.PRODUCER])
    before = record["quality"].values.copy()
    after, reports = run(tmp_path, '[[rule]]\nkind="range"\nmaximum=401\non="all"', record)
    assert (after["quality"].values & before == before).all()
    assert bits(after) == [{"selection"}, set(), {"range"}, {"producer", "range"}]
    assert (reports[0].judged, reports[0].flagged, reports[0].new) == (4, 2, 1)
    assert after.sizes == record.sizes
    np.testing.assert_array_equal(record["quality"].values, before)
    assert after.attrs["changes"][-1] == "1 rows flagged by the quality rules 'my'"


@settings(max_examples=12)
@given(
    st.lists(st.floats(300, 500), min_size=12, max_size=60),
    st.lists(st.integers(0, 2**19 - 1), min_size=60, max_size=60),
)
def test_no_table_ever_clears_a_bit(values, given_bits):
    record = make_record(values, quality=np.array(given_bits[: len(values)], np.uint32))
    for name in ("continuous_hours", "model_plain", "agage_background"):
        after, reports = apply_rules(record, load_rules(name))
        before = record["quality"].values
        assert (after["quality"].values & before == before).all()
        assert all(r.new <= r.flagged <= record.sizes["time"] for r in reports)


def test_later_rules_judge_only_what_is_left(tmp_path):
    text = '[[rule]]\nkind="range"\nmaximum=450\n[[rule]]\nkind="hampel"\nwindow_hours=20\nlimit=5\nleast=0.1'
    value = np.full(40, 400.0)
    value[10] = 500.0
    _, reports = run(tmp_path, text, make_record(value))
    assert reports[0].flagged == 1
    assert (reports[1].judged, reports[1].flagged) == (39, 0)


def test_a_rule_may_set_another_bit_and_judge_all_rows(tmp_path):
    text = '[[rule]]\nkind="range"\nmaximum=401\nflag="suspect"\non="valid"'
    after, _ = run(tmp_path, text, make_record([402.0, 402.0], quality=[0, Quality.SELECTION]))
    assert bits(after) == [{"suspect"}, {"selection", "suspect"}]


def test_species_tables_and_rules_for_some_species_only(tmp_path):
    text = '[[rule]]\nkind="pair"\nlimit={CO2=0.5}\n[[rule]]\nkind="range"\nspecies=["CH4"]\nmaximum=1'
    _, reports = run(tmp_path, text, make_record([1900.0], species="CH4", scale="WMO CH4 X2004A"))
    assert reports[0].skipped == "has no number for CH4"
    assert reports[1].flagged == 1
    _, reports = run(tmp_path, text, make_record([400.0]))
    assert reports[1].skipped == "is for CH4"
    assert "skipped: is for CH4" in "\n".join(report_lines(reports))


def test_nothing_left_to_judge(tmp_path):
    _, reports = run(
        tmp_path, '[[rule]]\nkind="rebs"', make_record([np.nan, 1], quality=[0, Quality.PRODUCER])
    )
    assert reports[0].skipped == "no rows left to judge"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"at least one \[\[rule\]\] is needed"),
        ('[[rule]]\nkind="hampl"\nlimit=3', "rule 1: unknown kind 'hampl'; nearest: 'hampel'"),
        ('[[rule]]\nkind="hampel"\nlimit=3', "'window_hours' is missing"),
        ('[[rule]]\nkind="hampel"\nlimit=3\nwindow_hours=1\nwidth=2', "unknown key 'width'"),
        ('[[rule]]\nkind="hampel"\nlimit=-3\nwindow_hours=1', "limit = -3"),
        ('[[rule]]\nkind="range"\nflag="bad"', "unknown flag 'bad'"),
        ('[[rule]]\nkind="range"\non="good"', "on = 'good'"),
        ('titel="x"\n[[rule]]\nkind="range"', "unknown key 'titel'; nearest: 'title'"),
    ],
)
def test_faulty_tables(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        table(tmp_path, text)


def test_all_faults_at_once(tmp_path):
    with pytest.raises(ConfigError) as caught:
        table(tmp_path, '[[rule]]\nkind="a"\n[[rule]]\nkind="stuck"\n[[rule]]\nkind="range"\n')
    assert len(str(caught.value).splitlines()) == 2


def test_unknown_table():
    with pytest.raises(ConfigError, match="no rule table 'noaa_flsk'; nearest: 'noaa_flask'"):
        load_rules("noaa_flsk")


# --- each kind on a record where the answer is known


def test_pair(tmp_path):
    record = make_record([400, 400.4, 401, 402.0], hours=[0, 0, 5, 5])
    assert bits(run(tmp_path, '[[rule]]\nkind="pair"\nlimit=0.5', record)[0]) == [
        set(),
        set(),
        {"pair"},
        {"pair"},
    ]


def test_outlier_judges_pairs_by_their_mean(tmp_path):
    hours = np.repeat(np.arange(0, 365 * 4 * 24, 7 * 24), 2)
    value = (
        400 + np.sin(2 * np.pi * hours / 8766) + 0.1 * np.random.default_rng(0).standard_normal(hours.size)
    )
    value[100] += 5
    after, _ = run(tmp_path, '[[rule]]\nkind="outlier"', make_record(value, hours=hours))
    assert np.flatnonzero(after["quality"].values & Quality.OUTLIER).tolist()[:2] == [100, 101]


def test_outlier_skips_what_cannot_be_fitted(tmp_path):
    after, reports = run(tmp_path, '[[rule]]\nkind="outlier"', make_record([400.0, 401.0, 999.0]))
    assert "found no curve to judge by (a fit of 11 coefficients needs" in reports[0].skipped
    assert (after["quality"].values == 0).all()


def test_spike_stuck_step_hampel(tmp_path):
    rng = np.random.default_rng(1)
    value = 400 + 0.05 * rng.standard_normal(2880)
    value[1000:1005] += 20
    value[2000:2030] = 400.123
    text = (
        '[[rule]]\nkind="stuck"\nrepeats=10\n[[rule]]\nkind="spike"\nalpha=3\nwindow_hours=24\n'
        '[[rule]]\nkind="step"\nper_hour=2000'
    )
    record = make_record(value, length_hours=1 / 60)
    after, reports = run(tmp_path, text, record)
    assert reports[0].flagged == 30
    assert all("spike" in b for b in bits(after)[1000:1005])
    assert reports[2].flagged == 0  # the spike's ends are gone already


def test_rebs_and_agage(tmp_path):
    rng = np.random.default_rng(2)
    value = 1900 + rng.standard_normal(24 * 200)
    dirty = rng.random(value.size) < 0.2
    value[dirty] += 10 + rng.exponential(40, dirty.sum())
    record = make_record(value, species="CH4", scale="WMO CH4 X2004A")
    for text in ('[[rule]]\nkind="rebs"\nwindow_days=30', '[[rule]]\nkind="agage"\nwindow_days=61'):
        flagged = run(tmp_path, text, record)[0]["quality"].values == Quality.SELECTION
        assert flagged[dirty].mean() > 0.98
        assert flagged[~dirty].mean() < 0.02


def test_within_hour(tmp_path):
    record = make_record([400.0] * 4, sd=[0.1, 0.5, np.nan, 0.1], n=[60, 60, 60, 3])
    after, reports = run(tmp_path, '[[rule]]\nkind="within_hour"\nmaximum_sd={CO2=0.3}\nminimum_n=30', record)
    assert bits(after) == [set(), {"variability"}, set(), {"variability"}]
    assert [r.flagged for r in reports] == [1, 1]


def test_hours_of_few_readings_against_what_is_usual_in_their_month(tmp_path):
    """60 readings an hour until the analyser was changed, 720 after; 15 of 60 and 100 of 720 are few."""
    n = np.r_[np.full(24 * 31, 60), np.full(24 * 29, 720)]
    n[[10, 1000]] = 15, 100
    n[20] = -1  # nobody counted
    record = make_record(400.0 + np.arange(n.size) * 0.001, n=n)
    after, _ = run(tmp_path, '[[rule]]\nkind="within_hour"\nminimum_share=0.33', record)
    assert np.flatnonzero(after["quality"].values).tolist() == [10, 1000]
    shipped, _ = apply_rules(record, load_rules("continuous_hours"))
    assert np.flatnonzero(shipped["quality"].values).tolist() == [10, 1000]


def test_mountain_hours_by_reason(tmp_path):
    text = '[[rule]]\nkind="mountain_hours"\nupslope=[11, 18]\nclock="solar"'
    after, reports = run(tmp_path, text, make_record(np.full(48, 400.0), sd=0.1, longitude=90.0))
    counts = {r.reason: r.flagged for r in reports}
    assert counts["upslope hours"] == 16
    solar = (np.arange(48) + 6) % 24  # 90 E is six hours ahead of Greenwich
    np.testing.assert_array_equal(after["quality"].values == Quality.HOURS, (solar >= 11) & (solar <= 18))


@pytest.mark.parametrize(("window", "kept"), [("", 2179), ("upslope=[21, 5]\n", 1066)])
def test_mountain_hours_of_a_whole_real_record_equal_noaa(sample_data, tmp_path, window, kept):
    """Hours without a scatter are missing to NOAA's program; those whose scatter is printed as 0 are steady."""
    path = sample_data / "stations/obspack_icos/co2_cbw_tower-insitu_445_allvalid-207magl.nc"
    record = stations.read(path)
    text = f'[[rule]]\nkind="mountain_hours"\non="all"\n{window}'
    after, reports = run(tmp_path, text, record)
    start = record["time_start"].values
    years = (start >= np.datetime64("2000")) & (start < np.datetime64("2023"))
    assert ((after["quality"].values == 0) & years).sum() == kept
    assert reports[-1].reason == "no scatter within the hour given"
    unknown = np.isnan(record["sd"].values) & ~record["sd_zero"].values
    assert reports[-1].flagged == unknown.sum() == 30390


def test_mountain_hours_need_hours(tmp_path):
    record = make_record([400.0] * 9, length_hours=0.5, sd=0.1)
    _, reports = run(tmp_path, '[[rule]]\nkind="mountain_hours"', record)
    assert reports[0].skipped == "needs hourly data, one value an hour"


@pytest.mark.parametrize(
    ("first", "last", "inside", "outside"),
    [
        (20, 110, [20, 65, 110], [0, 19, 111, 300]),
        (350, 10, [350, 0, 10], [11, 180, 349]),
        (0, 360, [0, 180, 359], []),
    ],
)
def test_sectors_may_pass_north(first, last, inside, outside):
    assert in_sector(np.array(inside, float), first, last).all()
    assert not in_sector(np.array(outside, float), first, last).any()


def test_wind(tmp_path):
    record = make_record(
        [400.0] * 6, wind_direction=[60, 200, 60, 60, np.nan, 60.0], wind_speed=[5, 5, 0.5, 5, 5, 5.0]
    )
    text = '[[rule]]\nkind="wind"\nkeep=[20, 110]\nminimum_speed=1\nprevious=true'
    after, reports = run(tmp_path, text, record)
    assert [b == {"wind"} for b in bits(after)] == [False, True, True, True, False, False]
    gap = make_record([400.0] * 4, hours=[0, 1, 9, 10], wind_direction=[60, 200, 60, 60.0], wind_speed=5.0)
    assert [b == {"wind"} for b in bits(run(tmp_path, text, gap)[0])] == [False, True, False, False]
    assert [r.flagged for r in reports] == [2, 2]
    with pytest.raises(MissingVariableError, match=r"needs 'wind_direction'.*--met"):
        run(tmp_path, text, make_record([400.0]))


def test_wind_from_sectors_to_be_left_out(tmp_path):
    record = make_record([400.0] * 4, wind_direction=[5, 90, 355, np.nan])
    text = '[[rule]]\nkind="wind"\nexclude=[[350, 10], [80, 85]]'
    assert [b == {"wind"} for b in bits(run(tmp_path, text, record)[0])] == [True, False, True, False]


def test_gradient(tmp_path):
    low = make_record([400, 405, np.nan, 400.0], quality=[0, 0, 0, Quality.PRODUCER])
    high = make_record([400.2, 400, 400, 410.0, 400], hours=[0, 1, 2, 3, 40])
    text = '[[rule]]\nkind="gradient"\npartner="27m"\nlimit=1.0'
    after, _ = run(tmp_path, text, high, **{"27m": low})
    assert bits(after) == [set(), {"gradient"}, set(), set(), set()]
    with pytest.raises(ConfigError, match=r"'27m', which was not given.*--with 27m=FILE"):
        run(tmp_path, text, high)
    other = make_record([400.0], scale="WMO CO2 X2007")
    with pytest.raises(ConfigError, match="they cannot be compared"):
        run(tmp_path, text, high, **{"27m": other})


def test_hours_in_solar_time_not_beijing_time(tmp_path):
    """At Akedala (88 E) Beijing time is two hours ahead of the sun."""
    record = make_record(np.full(24, 400.0), longitude=88.0)
    middle = np.arange(24) + 0.5
    for clock, offset in (('"solar"', 88 / 15), ("8", 8.0), ('"utc"', 0.0)):
        after, _ = run(tmp_path, f'[[rule]]\nkind="hours"\nfirst=12\nlast=16\nclock={clock}', record)
        local = (middle + offset) % 24
        np.testing.assert_array_equal(after["quality"].values == 0, (local >= 12) & (local < 16))


def test_hours_may_pass_midnight(tmp_path):
    after, _ = run(
        tmp_path, '[[rule]]\nkind="hours"\nfirst=23\nlast=5\nclock="utc"', make_record(np.full(24, 400.0))
    )
    assert np.flatnonzero(after["quality"].values == 0).tolist() == [0, 1, 2, 3, 4, 23]


def test_uncertainty(tmp_path):
    record = make_record([400.0] * 3, uncertainty=[0.1, 2.0, np.nan])
    after, _ = run(tmp_path, '[[rule]]\nkind="uncertainty"\nmaximum=1\nrequired=true', record)
    assert bits(after) == [set(), {"uncertainty"}, {"uncertainty"}]


def test_log_book(tmp_path):
    text = (
        '[[rule]]\nkind="period"\nstart="2020-01-01T02:00Z"\nstop="2020-01-01T04:00Z"\nreason="pump failed"'
    )
    after, reports = run(tmp_path, text, make_record(np.full(6, 400.0)))
    assert np.flatnonzero(after["quality"].values == Quality.PRODUCER).tolist() == [2, 3]
    assert reports[0].reason == "pump failed"


def test_log_book_with_times_the_wrong_way_round(tmp_path):
    text = '[[rule]]\nkind="period"\nstart="2020-01-02T00:00Z"\nstop="2020-01-01T00:00Z"\nreason="pump"'
    with pytest.raises(ConfigError, match="needs start before stop, found 2020-01-02"):
        run(tmp_path, text, make_record([400.0]))


@pytest.mark.parametrize(
    ("text", "skipped"),
    [
        ('kind="range"\nminimum=1', "knows no physical range of XYZ"),
        ('kind="rebs"', "needs at least 20 values, found 3"),
    ],
)
def test_rules_that_cannot_judge_say_why_and_flag_nothing(tmp_path, text, skipped):
    record = make_record([400.0, 9e9, 400.0], species="XYZ")
    judged, reports = run(tmp_path, f"[[rule]]\n{text}", record)
    assert reports[0].skipped == skipped
    assert (judged["quality"].values == 0).all()


def test_a_range_of_ones_own_serves_a_gas_without_a_physical_one(tmp_path):
    record = make_record([4.0, 6.0], species="XYZ")
    assert bits(run(tmp_path, '[[rule]]\nkind="range"\nminimum=1\nmaximum=5', record)[0]) == [
        set(),
        {"range"},
    ]


# --- against a keeper


def test_confusion_with_the_keeper_of_waliguan(sample_data):
    record = stations.read(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    got = compare_with_keeper(record, load_rules("noaa_flask"))
    assert got["both"] + got["ours_only"] + got["keeper_only"] + got["neither"] == got["rows"]
    assert got["by_flag"]["..."]["rows"] == 2676
    assert got["by_flag"]["C.."]["flagged"] / got["by_flag"]["C.."]["rows"] > 0.7
    assert got["by_flag"]["..."]["flagged"] / 2676 < 0.05
    assert got["agreement"] > 0.90
    assert got["right"] > 0.85


def test_comparison_is_blind(tmp_path):
    """The rules must not profit from the keeper's flags."""
    record = make_record([400, 400, 500.0, 400], quality=[Quality.PRODUCER, 0, 0, Quality.SELECTION])
    got = compare_with_keeper(record, table(tmp_path, '[[rule]]\nkind="range"\nmaximum=450'))
    assert (got["both"], got["ours_only"], got["keeper_only"], got["neither"]) == (0, 1, 2, 1)
    assert got["rules"][0]["judged"] == 4


@pytest.mark.parametrize("rule", ['kind="hours"\nfirst=12\nlast=16', 'kind="mountain_hours"\nclock="solar"'])
def test_solar_time_needs_a_longitude(tmp_path, rule):
    judged, reports = run(
        tmp_path, f"[[rule]]\n{rule}", make_record(np.full(48, 400.0), sd=0.1, longitude=np.nan)
    )
    assert [r.skipped for r in reports] == ["needs solar time, and the record has no longitude"]
    assert (judged["quality"].values == 0).all()
