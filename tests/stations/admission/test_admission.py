"""Admission: each criterion on a station made to pass or fail it, dossiers, report, CSV."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import stations
from obsnet.errors import ConfigError, FormatError, MissingVariableError
from obsnet.kind_tables import table_names
from obsnet.schema import Quality
from stations.admission.base import Applicant
from stations.admission.chinese import in_chinese
from stations.admission.judge import FOLDER, Admission, judge, load_applicant, load_requirements
from stations.admission.kinds import KINDS
from stations.admission.report import admission_csv, admission_html, admission_summary, evidence_csv
from stations.record.file import write_record
from tests.stations.admission.dossier import write_dossier
from tests.stations.dialects import noaa_trends, read_text
from tests.stations.made import make_record


def requirements(tmp_path, text):
    path = tmp_path / "need.toml"
    path.write_text(text)
    return load_requirements(path)


def one(tmp_path, text, **given):
    applicant = Applicant("TST", given.pop("record", make_record(np.full(24 * 400, 400.0))), **given)
    (finding,) = judge(applicant, requirements(tmp_path, "[[criterion]]\n" + text)).findings
    return finding.outcome


def runs(bias, sd=0.02):
    bias = np.asarray(bias, float)
    array = np.empty(bias.size, dtype=[("time", "datetime64[ns]"), ("bias", "f8"), ("sd", "f8")])
    array["time"] = np.datetime64("2020-01-01", "ns") + np.arange(bias.size) * np.timedelta64(12, "h")
    array["bias"], array["sd"] = bias, sd
    return array


STANDARDS = [
    {"name": "A", "grade": "tertiary", "value": 380.0, "calibrated": "2019-01-01"},
    {"name": "B", "grade": "tertiary", "value": 410.0, "calibrated": "2019-01-01"},
    {"name": "C", "grade": "tertiary", "value": 440.0, "calibrated": "2019-01-01"},
]


def test_every_kind_is_documented():
    for name, kind in KINDS.items():
        assert f"``{name}``" in (kind.options.__doc__ or ""), name


@pytest.mark.parametrize("name", table_names(FOLDER))
def test_tables_that_come_with_the_package_are_valid(name):
    assert load_requirements(name).criteria


def test_coverage_by_year(tmp_path):
    value = np.full(24 * 500, 400.0)
    value[24 * 366 : 24 * 430] = np.nan  # the second year lacks its first 64 days
    outcome = one(tmp_path, 'kind="coverage"\nminimum=0.8', record=make_record(value))
    assert outcome.verdict == "fail"
    assert [r["passes"] for r in outcome.rows] == [True, False]
    assert outcome.rows[1]["coverage"] == pytest.approx((134 - 64) / 134, abs=0.01)
    assert (
        one(tmp_path, 'kind="coverage"\nminimum=0.8\nper="record"', record=make_record(value)).verdict
        == "pass"
    )


def test_coverage_counts_each_hour_once_and_rejected_hours_not(tmp_path):
    quality = np.zeros(100, np.uint32)
    quality[:40] = Quality.PRODUCER
    quality[40:50] = Quality.SELECTION  # valid, only not background
    record = make_record(np.full(100, 400.0), quality=quality)
    assert one(tmp_path, 'kind="coverage"\nminimum=0.7', record=record).found == "60.0%"
    twice = make_record([400.0] * 4, hours=[0, 0, 0, 3])
    assert one(tmp_path, 'kind="coverage"\nminimum=0.7', record=twice).found == "50.0%"


@pytest.mark.parametrize(("per", "found"), [("record", "75.0%"), ("year", "50.0%")])
def test_months_have_a_coverage_though_none_is_as_long_as_the_next(tmp_path, per, found):
    """NOAA's table of two years, six months of the second of which are fills."""
    rows = [
        f"{2020 + k // 12},{k % 12 + 1},{2020 + (k + 0.5) / 12:.4f},{-99.99 if k >= 18 else 414.0},414.0,25,0.5,0.2"
        for k in range(24)
    ]
    record = read_text(noaa_trends(rows=rows), "co2_mm_mlo.csv")
    outcome = one(tmp_path, f'kind="coverage"\nminimum=0.8\nper="{per}"', record=record)
    assert (outcome.verdict, outcome.found) == ("fail", found)
    assert sum(r["expected"] for r in outcome.rows) == 24


def test_flasks_have_no_coverage(tmp_path):
    record = make_record([400.0] * 9)
    del record.attrs["interval_seconds"]
    outcome = one(tmp_path, 'kind="coverage"\nminimum=0.7', record=record)
    assert outcome.verdict == "not testable"
    assert "无法判定" in outcome.reason_zh


def test_span(tmp_path):
    record = make_record([400.0] * 5, hours=[0, 24 * 31, 24 * 60, 24 * 200, 24 * 220])
    outcome = one(tmp_path, 'kind="span"\nmonths=4', record=record)
    assert outcome.verdict == "fail"
    assert outcome.rows[0] == {"from": "2020-01", "to": "2020-03", "months": 3}
    assert one(tmp_path, 'kind="span"\nmonths=3', record=record).verdict == "pass"


def test_metadata(tmp_path):
    record = make_record([400.0], scale="unknown")
    record["altitude_m"] = record["altitude_m"] * np.nan
    outcome = one(tmp_path, 'kind="metadata"\nstated=["responsible"]', record=record)
    assert outcome.reason == "missing: scale, altitude_m, responsible"
    assert one(tmp_path, 'kind="metadata"').verdict == "pass"


def test_scale(tmp_path):
    text = 'kind="scale"\nallowed={CO2=["X2019", "X2007"]}'
    assert one(tmp_path, text).verdict == "pass"
    outcome = one(tmp_path, text, record=make_record([400.0], scale="SIO-99"))
    assert outcome.verdict == "fail"
    assert "SIO-99" in outcome.reason_zh
    assert one(tmp_path, text, record=make_record([1900.0], species="CH4")).verdict == "not testable"


def test_standards(tmp_path):
    text = 'kind="standards"\nminimum=3\ngrades=["tertiary"]\nmaximum_age_years=4'
    record = make_record(395 + 10 * np.random.default_rng(0).random(500))
    assert one(tmp_path, text, record=record, dossier={"standards": STANDARDS}).verdict == "pass"
    assert one(tmp_path, text, record=record).verdict == "not testable"
    poor = [dict(STANDARDS[0], grade="working"), *STANDARDS[1:]]
    outcome = one(tmp_path, text, record=record, dossier={"standards": poor})
    assert outcome.verdict == "fail"
    assert [r["passes"] for r in outcome.rows] == [False, True, True]
    assert "standards span 410 to 440" in outcome.reason
    old = [dict(s, calibrated="2010-01-01") for s in STANDARDS]
    assert one(tmp_path, text, record=record, dossier={"standards": old}).found == "0 of 3"


STANDARDS_TEXT = 'kind="standards"\nminimum=3\ngrades=["tertiary"]\nmaximum_age_years=4'


@pytest.mark.parametrize("date", ["2021-06-01", "2099-01-01"])
def test_a_standard_calibrated_after_the_data_does_not_count(tmp_path, date):
    record = make_record(395 + 10 * np.random.default_rng(0).random(500))
    future = [dict(STANDARDS[0], calibrated=date), *STANDARDS[1:]]
    outcome = one(tmp_path, STANDARDS_TEXT, record=record, dossier={"standards": future})
    assert outcome.verdict == "fail"
    assert outcome.rows[0]["note"] == "calibrated after the data"
    assert outcome.found == "2 of 3"
    assert outcome.found_zh == "3瓶中2瓶"


@pytest.mark.parametrize("name", ["A", "a", " A ", "A-", "\uff21", "No. A", "A (new)", "钢瓶A"])
def test_one_cylinder_counts_once(tmp_path, name):
    record = make_record(395 + 10 * np.random.default_rng(0).random(500))
    twice = [*STANDARDS[::2], dict(STANDARDS[0], name=name)]
    outcome = one(tmp_path, STANDARDS_TEXT, record=record, dossier={"standards": twice})
    assert outcome.verdict == "fail"
    assert outcome.reason.startswith("2 of 2 standards")
    assert [r["note"] for r in outcome.rows] == ["", "", "listed before"]


def test_a_cylinder_calibrated_again_counts_by_the_calibration_that_serves(tmp_path):
    record = make_record(395 + 10 * np.random.default_rng(0).random(500))
    again = [
        dict(STANDARDS[0], calibrated="2010-01-01"),
        dict(STANDARDS[0], calibrated="2022-01-01"),
        *STANDARDS,
    ]
    outcome = one(tmp_path, STANDARDS_TEXT, record=record, dossier={"standards": again})
    assert outcome.verdict == "pass"
    assert [r["passes"] for r in outcome.rows] == [False, False, True, True, True]


def test_repeatability(tmp_path):
    text = 'kind="repeatability"\nmaximum={CO2=0.05}'
    assert one(tmp_path, text, targets=runs(np.zeros(5), sd=0.03)).verdict == "pass"
    assert one(tmp_path, text, targets=runs(np.zeros(5), sd=0.06)).verdict == "fail"
    assert one(tmp_path, text, record=make_record([400.0] * 3, icos_cmr=0.04)).verdict == "pass"
    assert one(tmp_path, text).verdict == "not testable"
    for name in ("icos_smr", "smr", "cmr", "icos_ltr"):
        bad = make_record([400.0] * 3, **{name: np.array([0.0, 0.5, 0.5])})
        assert one(tmp_path, text, record=bad).verdict == "fail"
    foreign = make_record([400.0] * 3, icos_smr=5e-7)
    foreign["icos_smr"].attrs["units"], foreign["value"].attrs["units"] = "parts", "1e-6"
    outcome = one(tmp_path, text, record=foreign)
    assert (outcome.verdict, "icos_smr in parts" in outcome.reason) == ("not testable", True)
    nothing = make_record([400.0] * 3, icos_cmr=0.0)
    assert one(tmp_path, text, record=nothing).verdict == "not testable"  # a placeholder is no repeatability


def test_target_bias(tmp_path):
    text = 'kind="target_bias"\ngoal={CO2=0.1}\nminimum_runs=10'
    assert one(tmp_path, text, targets=runs(np.full(20, 0.05))).verdict == "pass"
    off = np.zeros(20)
    off[:3] = 0.2
    outcome = one(tmp_path, text, targets=runs(off))
    assert outcome.verdict == "fail"
    assert len(outcome.rows) == 3
    assert "20次目标气测量中有3次" in outcome.reason_zh
    assert (
        one(tmp_path, text, targets=runs(np.zeros(5))).reason
        == "cannot be judged: 5 target runs, 10 are needed"
    )
    missing = runs(np.full(30, np.nan))
    assert one(tmp_path, text, targets=missing).verdict == "not testable"


def test_comparison(tmp_path):
    text = 'kind="comparison"\ngoal={CO2=0.1}'
    hours = np.arange(0, 24 * 400, 100)
    near = make_record(np.full(hours.size, 400.05), hours=hours)
    far = make_record(np.full(hours.size, 400.5), hours=hours)
    far["quality"].values[:5] = Quality.PRODUCER
    assert one(tmp_path, text, comparison=near).verdict == "pass"
    outcome = one(tmp_path, text, comparison=far)
    assert outcome.verdict == "fail"
    assert outcome.found.startswith("-0.5")
    assert "median of 91 pairs" in outcome.reason
    assert (
        "(shifts in time: too few pairs to tell)"
        in one(tmp_path, text, comparison=make_record(np.full(30, 400.05), hours=hours[:30])).reason
    )
    assert one(tmp_path, text).verdict == "not testable"
    assert (
        one(tmp_path, text, comparison=make_record([400.0] * 99, scale="WMO CO2 X2007")).verdict
        == "not testable"
    )
    assert one(tmp_path, text, comparison=make_record([400.0] * 3)).verdict == "not testable"


@pytest.mark.parametrize("every", [1, 7])
def test_a_comparison_with_the_applicants_own_file_proves_nothing(tmp_path, every):
    value = 400 + np.random.default_rng(0).standard_normal(24 * 100)
    hours = np.arange(0, value.size, every)
    own = make_record(value[::every], hours=hours)
    outcome = one(tmp_path, 'kind="comparison"\ngoal={CO2=0.1}', record=make_record(value), comparison=own)
    assert outcome.verdict == "not testable"
    assert f"own values ({hours.size} of {hours.size} pairs are equal)" in outcome.reason
    assert "台站自身数据" in outcome.reason_zh


def test_a_rounded_copy_is_a_copy_and_good_agreement_is_none(tmp_path):
    rng = np.random.default_rng(0)
    value = 400 + rng.standard_normal(24 * 100)
    text = 'kind="comparison"\ngoal={CO2=0.1}'
    rounded = one(tmp_path, text, record=make_record(value), comparison=make_record(np.round(value, 2)))
    assert rounded.verdict == "not testable"
    twin = make_record(value + 0.01 * rng.standard_normal(value.size))
    outcome = one(tmp_path, text, record=make_record(value), comparison=twin)
    assert (outcome.verdict, "shifted by up to two intervals" in outcome.reason) == ("pass", True)


def test_what_is_made_of_the_stations_own_values_proves_nothing(tmp_path):
    """Moved, rounded, averaged; of a second analyser that agrees to 0.02 ppm the same proves something."""
    rng = np.random.default_rng(0)
    value = 400 + 0.1 * np.cumsum(rng.standard_normal(24 * 100))
    second = value + 0.02 * rng.standard_normal(value.size)
    made = {
        "offset": lambda v: make_record(v + 0.05),
        "another scale and one decimal": lambda v: make_record(np.round(1.0001 * v - 0.02, 1)),
        "daily means": lambda v: make_record(v.reshape(-1, 24).mean(axis=1), length_hours=24),
        "an hour late": lambda v: make_record(np.roll(v, 1)),
        "running means": lambda v: make_record(np.round(np.convolve(v, np.ones(3) / 3, "same"), 2)),
        "single precision": lambda v: make_record(v.astype(np.float32)),
    }
    for name, make in made.items():
        for v, verdict in ((value, "not testable"), (second, "pass")):
            found = one(
                tmp_path, 'kind="comparison"\ngoal={CO2=0.1}', record=make_record(value), comparison=make(v)
            )
            assert found.verdict == verdict, name


def test_two_analysers_of_one_decimal_are_no_copies_of_each_other(tmp_path):
    """They agree to 0.03 ppm, so that three pairs in four are equal; of a copy all are."""
    rng = np.random.default_rng(0)
    value = 400 + 0.5 * np.cumsum(rng.standard_normal(500))
    mine = make_record(np.round(value, 1))
    text = 'kind="comparison"\ngoal={CO2=0.1}'
    other = make_record(np.round(value + 0.03 * rng.standard_normal(500), 1))
    assert one(tmp_path, text, record=mine, comparison=other).verdict == "pass"
    assert one(tmp_path, text, record=mine, comparison=mine).verdict == "not testable"


def test_another_place_is_no_second_record(tmp_path):
    far = make_record(np.full(999, 400.05), longitude=101.4)
    outcome = one(tmp_path, 'kind="comparison"\ngoal={CO2=0.1}', comparison=far)
    assert outcome.verdict == "not testable"
    assert "a place 45 km away" in outcome.reason


def test_target_runs_count_once_and_on_the_days_of_the_data(tmp_path):
    text = 'kind="target_bias"\ngoal={CO2=0.1}\nminimum_runs=10'
    early, late, good = (runs(np.zeros(n)) for n in (12, 12, 9))
    early["time"] -= np.timedelta64(40, "D")
    late["time"] += np.timedelta64(900, "D")
    outcome = one(tmp_path, text, targets=np.concatenate([early, late, good, good]))
    assert outcome.verdict == "not testable"
    assert "9 target runs, 10 are needed; 33 outside the days of the data, or listed twice" in outcome.reason
    assert "33次不计" in outcome.reason_zh
    late["sd"] = 0.5
    assert one(tmp_path, 'kind="repeatability"\nmaximum={CO2=0.05}', targets=late).verdict == "not testable"


def test_calibrations_outside_the_data(tmp_path):
    """Those after it do not count; the last before it does, and the pause begins there."""
    text = 'kind="calibration_interval"\nmaximum_days=60'
    record = make_record(np.full(24 * 40, 400.0))  # 2020-01-01 to 2020-02-10
    late = one(tmp_path, text, record=record, dossier={"calibrations": ["2030-01-01", "2030-02-01"]})
    assert late.verdict == "not testable"
    old = one(tmp_path, text, record=record, dossier={"calibrations": ["2017-01-01", "2018-01-01"]})
    assert old.verdict == "fail"
    assert old.rows[0]["from"] == "2018-01-01"
    good = ["2019-12-20", "2020-01-20", "2031-01-01"]
    outcome = one(tmp_path, text, record=record, dossier={"calibrations": good})
    assert outcome.verdict == "pass"
    assert "1 dates after the data do not count" in outcome.reason
    assert outcome.limit_zh == "≤ 60天"


def test_calibration_interval(tmp_path):
    text = 'kind="calibration_interval"\nmaximum_days=60'
    dates = [str(np.datetime64("2020-01-10") + np.timedelta64(50 * k, "D")) for k in range(8)]
    assert one(tmp_path, text, dossier={"calibrations": dates}).verdict == "pass"
    outcome = one(tmp_path, text, dossier={"calibrations": dates[:3] + dates[5:]})
    assert outcome.verdict == "fail"
    assert outcome.rows == [{"from": dates[2], "to": dates[5], "days": 150, "passes": False}]
    assert one(tmp_path, text).verdict == "not testable"


def test_rejected_and_uncertainty(tmp_path):
    quality = np.zeros(10, np.uint32)
    quality[:4] = Quality.SPIKE
    record = make_record([400.0] * 10, quality=quality, uncertainty=0.3)
    outcome = one(tmp_path, 'kind="rejected"\nmaximum=0.3', record=record)
    assert outcome.verdict == "fail"
    assert outcome.rows == [{"flag": "spike", "rows": 4}]
    assert one(tmp_path, 'kind="uncertainty"\nmaximum={CO2=0.5}', record=record).verdict == "pass"
    both = record.assign(uncertainty_systematic=("time", np.full(10, 0.5)))
    assert one(tmp_path, 'kind="uncertainty"\nmaximum={CO2=0.5}', record=both).verdict == "fail"
    assert one(tmp_path, 'kind="uncertainty"\nmaximum=1').verdict == "not testable"


def test_the_whole_verdict(tmp_path):
    need = requirements(
        tmp_path,
        '[[criterion]]\nkind="span"\nmonths=1\n[[criterion]]\nkind="target_bias"\ngoal=1\nrequired=false\n',
    )
    assert judge(Applicant("A", make_record([400.0])), need).verdict == "pass"
    strict = requirements(
        tmp_path, '[[criterion]]\nkind="target_bias"\ngoal=1\n[[criterion]]\nkind="span"\nmonths=9\n'
    )
    assert judge(Applicant("A", make_record([400.0])), strict).verdict == "fail"
    open_ = requirements(tmp_path, '[[criterion]]\nkind="target_bias"\ngoal=1\n')
    assert judge(Applicant("A", make_record([400.0])), open_).verdict == "not testable"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"at least one \[\[criterion\]\] is needed"),
        ('[[criterion]]\nkind="span"\nmonth=1', "unknown key 'month'; nearest: 'months'"),
        ('[[criterion]]\nkind="spann"', "unknown kind 'spann'; nearest: 'span'"),
        ('[[criterion]]\nkind="coverage"\nminimum=2', "minimum = 2"),
    ],
)
def test_faulty_requirements(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        requirements(tmp_path, text)
    with pytest.raises(
        ConfigError, match="no table of requirements 'exampel_network'; nearest: 'example_network'"
    ):
        load_requirements("exampel_network")


@pytest.mark.parametrize(
    ("text", "change", "why"),
    [
        ('kind="span"\nmonths=1', {"quality": Quality.PRODUCER}, "there are no valid rows"),
        ('kind="rejected"\nmaximum=0.1', {"value": np.nan}, "there are no values"),
        ('kind="coverage"\nminimum=0.5', {"time_start": np.datetime64("NaT", "ns")}, "no row has a time"),
        (
            'kind="uncertainty"\nmaximum={CH4=1}',
            {"uncertainty": 0.1},
            "the requirements have no number for CO2",
        ),
    ],
)
def test_what_cannot_be_tested_says_why(tmp_path, text, change, why):
    record = make_record(np.full(48, 400.0))
    for name, value in change.items():
        record[name][:] = value
    outcome = one(tmp_path, text, record=record)
    assert outcome.verdict == "not testable"
    assert why in outcome.reason


# --- dossiers and reports


@pytest.fixture
def dossier(tmp_path):
    return write_dossier(tmp_path)


def test_dossier_brings_everything_together(dossier):
    applicant = load_applicant(dossier)
    assert applicant.name.startswith("试验站")
    assert applicant.record.sizes["time"] == 24 * 420
    assert applicant.targets.size == 20
    assert applicant.targets["bias"][0] == pytest.approx(0.01)
    assert applicant.comparison.sizes["time"] == 90
    result = judge(applicant, load_requirements("example_network"))
    by_kind = {f.criterion.kind: f.outcome.verdict for f in result.findings}
    assert by_kind["metadata"] == "pass"
    assert by_kind["target_bias"] == "pass"
    assert by_kind["standards"] == "fail"
    assert by_kind["calibration_interval"] == "fail"
    assert result.verdict == "fail"


class _Page(HTMLParser):
    """Collects text and checks that tags close."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_escaped_whole_and_in_two_languages(dossier):
    need = load_requirements("example_network")
    html = admission_html([judge(load_applicant(dossier), need)], need)
    assert "<Test>" not in html
    assert "试验站 &lt;Test&gt; &amp; Co" in html
    page = _Page()
    page.feed(html)
    assert page.open == []
    text = "".join(page.text)
    for word in ("数据覆盖率", "Data coverage", "未通过", "未核对原文", "依据"):
        assert word in text
    assert "http://" not in html
    assert "https://" not in html
    assert "<script" not in html


def test_every_word_of_limits_and_evidence_is_there_in_chinese(dossier):
    """What the reader of the page sees in English letters is a name, a unit or a value of the station's own."""
    (dossier.parent / "flasks.nc").unlink()
    write_record(
        make_record(400 + np.random.default_rng(4).standard_normal(90), hours=np.arange(90) * 100),
        dossier.parent / "flasks.nc",
    )
    result = judge(load_applicant(dossier), load_requirements("example_network"))
    own = r"ppm|CO2|WMO|X2019|TST|A|station\.nc|flasks\.nc|ppb|test|obsnet station scale"
    for finding in result.findings:
        o = finding.outcome
        for text in (o.found_zh or o.found, o.limit_zh or o.limit):
            assert not re.search("[A-Za-z]", re.sub(own, "", text)), text
        assert re.search("[\u4e00-\u9fff]", o.reason_zh)
        for row in o.rows:
            for key in row:
                assert in_chinese(key) != key, key
            for key in ("note", "flag", "source", "part", "grade"):
                assert not re.search("[A-Za-z]", in_chinese(str(row.get(key, "")))), row[key]


@pytest.mark.parametrize("flag", Quality)
def test_every_flag_has_a_chinese_name(flag):
    assert in_chinese(flag.name.lower()) != flag.name.lower()


def test_the_page_says_when_the_data_are_from(dossier):
    need = load_requirements("example_network")
    result = judge(load_applicant(dossier), need)
    assert (result.first, result.last) == ("2020-01-01", "2021-02-23")
    assert "2020-01-01 – 2021-02-23" in admission_html([result], need)
    assert admission_summary([result])[0]["data_to"] == "2021-02-23"
    (row, *_) = csv.DictReader(io.StringIO(admission_csv([result])))
    assert (row["data_from"], row["data_to"]) == ("2020-01-01", "2021-02-23")


def test_the_page_prints_its_verdicts_and_fits_a_telephone(dossier):
    """Without background colours signs and frames differ; below 45 rem every cell carries its own heading."""
    need = load_requirements("example_network")
    html = admission_html([judge(load_applicant(dossier), need)], need)
    style = html[html.index("<style>") : html.index("</style>")]
    printed = style[style.index("@media print") :]
    frames = {
        re.search(rf"\.mark\.{kind} {{([^}}]*)}}", printed).group(1) for kind in ("pass", "fail", "open")
    }
    assert len(frames) == 3
    assert "print-color-adjust: exact" in style
    assert "✗ 未通过 fail" in html
    assert "✓ 通过 pass" in html
    assert "@media (max-width: 45rem)" in style
    outer = re.sub(r"<details>.*?</details>", "", html, flags=re.DOTALL)
    assert outer.count("<table") == len(re.findall(r'<table class="[^"]*cards">', outer)) == 2
    bare = [c for c in re.findall(r"<td[^>]*>", outer) if "data-label" not in c and "colspan" not in c]
    assert len(bare) == len(need.criteria)  # the criterion is the heading of its card
    boxed = (
        r'<div class="scroll" tabindex="0" role="group" aria-label="[^"]+"><table>'  # the keyboard reaches it
    )
    assert html.count("<table>") == len(re.findall(boxed, html)) > 0


def test_csv_holds_every_criterion_and_every_row(dossier):
    result = judge(load_applicant(dossier), load_requirements("example_network"))
    rows = list(csv.DictReader(io.StringIO(admission_csv([result]))))
    assert [r["criterion"] for r in rows] == [f.criterion.label for f in result.findings]
    assert {r["verdict"] for r in rows} <= {"pass", "fail", "not testable"}
    evidence = list(csv.DictReader(io.StringIO(evidence_csv([result]))))
    assert len({(r["criterion"], r["row"]) for r in evidence}) == sum(
        len(f.outcome.rows) for f in result.findings
    )


def test_csv_holds_no_formula(tmp_path):
    record = make_record([400.0])
    result = judge(
        Applicant("=HYPERLINK(1)", record), requirements(tmp_path, '[[criterion]]\nkind="span"\nmonths=1')
    )
    assert "'=HYPERLINK(1)" in admission_csv([result])


def test_a_bare_file_is_an_applicant_too(sample_data):
    path = sample_data / "stations/icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4"
    applicant = load_applicant(path)
    result = judge(applicant, load_requirements("example_network"))
    by_kind = {f.criterion.kind: f.outcome for f in result.findings}
    assert by_kind["repeatability"].verdict in {"pass", "fail"}
    assert by_kind["standards"].verdict == "not testable"
    assert applicant.name == "RGL"
    assert admission_summary([result])[0]["station"] == "RGL"


def test_waliguan_flasks_are_judged_by_what_flasks_can_show(sample_data):
    record = stations.read(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    result = judge(Applicant("WLG", record), load_requirements("example_network"))
    by_kind = {f.criterion.kind: f.outcome for f in result.findings}
    assert by_kind["scale"].verdict == "pass"
    assert by_kind["span"].verdict == "pass"
    assert by_kind["coverage"].verdict == "not testable"
    assert isinstance(result, Admission)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (('files = ["station.nc"]', "files = []"), ConfigError, "files names one record, found 0"),
        (
            ('name = "A"', 'nam = "A"'),
            ConfigError,
            "unknown key 'standards.0.nam'|'standards.0.name' is missing",
        ),
        (
            ('targets = "targets.csv"', 'targets = "dossier.toml"'),
            (FormatError, MissingVariableError),
            "dossier.toml",
        ),
        (('comparison = "flasks.nc"', 'comparison = "gone.nc"'), FormatError, "gone.nc"),
        (('"2020-06-01"', '"soon"'), ConfigError, "calibrations.1"),
        (('calibrated = "2019-01-01"', 'calibrated = "2019-13-01"'), ConfigError, "calibrated"),
    ],
)
def test_faulty_dossiers(dossier, change, error, text):
    dossier.write_text(dossier.read_text().replace(*change))
    with pytest.raises(error, match=text):
        load_applicant(dossier)


@pytest.mark.parametrize(
    ("lines", "error", "text"),
    [
        ("when,bias\n2020-01-01,0.1\n", MissingVariableError, "target runs need the column 'time'"),
        ("time,bia\n2020-01-01,0.1\n", MissingVariableError, "the column 'bias'; nearest: 'bia'"),
        ("time,bias\nyesterday,0.1\n", FormatError, "a column of the target runs is not what it should be"),
        ("time,bias\n2020-01-01,good\n", FormatError, "a column of the target runs is not what it should be"),
    ],
)
def test_faulty_target_runs(dossier, lines, error, text):
    (dossier.parent / "targets.csv").write_text(lines)
    with pytest.raises(error, match=text):
        load_applicant(dossier)


def test_the_summary_names_what_failed_in_both_languages(dossier):
    need = load_requirements("example_network")
    html = admission_html([judge(load_applicant(dossier), need)], need)
    first = html[html.index("<tbody>") : html.index("</tbody>")]
    assert "标准气等级" in first
    assert "Grade of the standard gases" in first


def test_on_paper_verdicts_differ_by_colour_sign_and_frame(dossier):
    """Browsers leave backgrounds out, so the words themselves are coloured (looked at in Chromium)."""
    need = load_requirements("example_network")
    html = admission_html([judge(load_applicant(dossier), need)], need)
    paper = html[html.index("@media print") : html.index("</style>")]
    colours = [
        re.search(rf"\.mark\.{name} {{[^}}]*\bcolor: (#\w+)", paper)[1] for name in ("pass", "open", "fail")
    ]
    assert len(set(colours)) == 3
    assert "background: none" in paper
    assert "dashed" in paper
    assert "double" in paper
