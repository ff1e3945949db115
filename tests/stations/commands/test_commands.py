"""The processing commands as a user types them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from obsnet.errors import ConfigError
from stations.curve.options import decimal_years
from stations.record.file import read_record, write_record
from tests.stations.analyser import PLAN, sequence
from tests.stations.made import make_record
from tests.stations.references import reference


def test_fit_json_holds_noaas_numbers(station, waliguan, sample_data):
    case = reference(sample_data, "noaa_curve_fit.json")["cases"][0]
    dates = ",".join(repr(d) for d in case["dates"])
    code, out, _ = station("fit", waliguan, "--json", "--dates", dates)
    got = json.loads(out)
    assert code == 0
    np.testing.assert_allclose(got["coefficients"], case["params"], atol=1e-5)
    assert got["timezero"] == 1990
    assert got["interval_days"] == 9
    assert got["rsd_function"] == pytest.approx(1.7085932564, abs=1e-8)
    assert got["rsd_smooth"] == pytest.approx(1.3123634342, abs=1e-7)
    for key, theirs, atol in (
        ("function", "function", 1e-5),
        ("smooth", "smooth", 1e-5),
        ("trend", "trend", 1e-5),
        ("growth", "growth_rate", 1e-4),
    ):
        np.testing.assert_allclose(got[key], case[theirs], rtol=0, atol=atol)
    assert got["unit"] == "ppm"
    whole = {str(y): m for y, m, _, n in case["annual_means"] if n >= 40}  # of 9 days; 1990 begins in August
    assert got["annual_means"] == pytest.approx(whole, abs=5e-5)
    assert min(whole) == "1991"
    amplitudes = {str(y): height for y, height, *_ in case["amplitudes"] if str(y) in whole}
    assert got["amplitudes"] == pytest.approx(amplitudes, abs=5e-5)
    last = {f"{y}-{m:02d}": mean for y, m, mean, *_ in case["monthly_means_last24"]}
    assert {k: got["monthly_means"][k] for k in last} == pytest.approx(last, abs=5e-5)


def test_fit_text_and_ensemble(station, waliguan):
    code, out, _ = station("fit", waliguan, "--dates", "2015-07-02", "--errors", "20")
    assert code == 0
    assert "1369 values" in out
    assert "2015.4986: function" in out
    assert "2021: 13.02" in out  # the amplitude
    _, out, _ = station("fit", waliguan, "--dates", "2015.5", "--errors", "20", "--json")
    ensemble = json.loads(out)["ensemble"]
    assert 0.1 < ensemble["trend_sd"][0] < 1.0
    assert len(ensemble["coefficient_sd"]) == 11


def test_fit_options_reach_the_fit(station, waliguan):
    words = [
        "--terms",
        "2",
        "--harmonics",
        "2",
        "--interval",
        "7",
        "--timezero",
        "2000",
        "--use",
        "valid",
        "--no-pairs",
    ]
    _, out, _ = station("fit", waliguan, "--json", *words)
    got = json.loads(out)
    assert (got["timezero"], got["interval_days"], len(got["coefficients"])) == (2000, 7, 6)
    assert got["n"] == 2821


def test_fit_of_many_goes_on_and_says_how_many_failed(station, sample_data, tmp_path):
    files = sorted((sample_data / "stations/noaa_flask").glob("co2_*.txt"))
    code, out, err = station("fit", *files, tmp_path / "no.txt", "--json", "--scheduler", "serial")
    got = json.loads(out)
    assert code == 1
    assert len(got["files"]) == 3
    assert got["failed"] == 1
    assert err.strip().splitlines()[-1] == "1 of 4 files could not be fitted"


def test_one_bad_file_is_a_mistake_of_the_user(station, tmp_path):
    code, _, err = station("fit", tmp_path / "no.txt")
    assert code == 2
    assert "no.txt" in err


def test_dates_as_people_write_them(tmp_path):
    assert decimal_years(["2015.5,2016", "2017-01-01"]) == [2015.5, 2016.0, 2017.0]
    (tmp_path / "dates.txt").write_text("2015.5\n2016-07-02T00:00Z\n")
    assert decimal_years([str(tmp_path / "dates.txt")]) == [2015.5, pytest.approx(2016.5, abs=1e-9)]
    with pytest.raises(ConfigError, match="'soon' is not a time"):
        decimal_years(["soon"])


def test_scale(station, tmp_path):
    write_record(make_record([400.0, 410.0], scale="WMO CO2 X2007"), tmp_path / "a.nc")
    code, out, err = station(
        "scale", tmp_path / "a.nc", "--to", "X2019", "--out", tmp_path / "b.nc", "--json"
    )
    got = json.loads(out)
    assert code == 0
    assert got["mean_change"] == pytest.approx(0.178, abs=1e-3)
    assert "values from WMO CO2 X2007 to WMO CO2 X2019" in err
    assert read_record(tmp_path / "b.nc").attrs["scale"] == "WMO CO2 X2019"
    code, out, _ = station("scale", tmp_path / "a.nc", "--to", "X2019")
    assert "mean change +0.17" in out
    code, _, err = station("scale", tmp_path / "a.nc", "--to", "X2050")
    assert code == 2
    assert "no conversion of CO2" in err


def test_scale_only_with_a_netcdf_name(station, tmp_path):
    write_record(make_record([400.0], scale="WMO CO2 X2007"), tmp_path / "a.nc")
    code, _, err = station("scale", tmp_path / "a.nc", "--to", "X2019", "--out", tmp_path / "b.csv")
    assert code == 2
    assert "name it *.nc" in err


def test_qc_and_what_it_writes(station, tmp_path):
    value = np.full(200, 400.0) + 0.01 * np.arange(200)
    value[50] = 460
    write_record(make_record(value), tmp_path / "a.nc")
    code, out, _ = station("qc", tmp_path / "a.nc", "--rules", "continuous_hours", "--out", tmp_path / "q.nc")
    assert code == 0
    assert "199 of 200 rows to use" in out
    assert (read_record(tmp_path / "q.nc")["quality"].values != 0).nonzero()[0].tolist() == [50]
    _, out, _ = station("qc", tmp_path / "a.nc", "--rules", "continuous_hours", "--json")
    got = json.loads(out)
    assert got["usable"] == 199
    assert {r["kind"] for r in got["rules"]} == {"range", "stuck", "hampel", "within_hour"}


def test_qc_against_the_keeper(station, waliguan):
    code, out, _ = station("qc", waliguan, "--rules", "noaa_flask", "--compare", "--json")
    got = json.loads(out)
    assert code == 0
    assert got["both"] + got["ours_only"] + got["keeper_only"] + got["neither"] == got["rows"]
    _, out, _ = station("qc", waliguan, "--rules", "noaa_flask", "--compare")
    assert "keeper keeps" in out


def test_qc_with_wind_and_another_intake(station, tmp_path):
    write_record(make_record(np.full(6, 400.0)), tmp_path / "high.nc")
    write_record(make_record([400, 400, 403, 400, 400, 400.0]), tmp_path / "low.nc")
    (tmp_path / "met.csv").write_text(
        "time,wind_direction,wind_speed\n"
        + "\n".join(f"2020-01-01T{h:02d}:30Z,{60 if h else 200},4" for h in range(5))
    )
    (tmp_path / "r.toml").write_text(
        '[[rule]]\nkind="wind"\nkeep=[20,110]\n[[rule]]\nkind="gradient"\npartner="low"\nlimit=1\n'
    )
    words = [
        "--rules",
        tmp_path / "r.toml",
        "--met",
        tmp_path / "met.csv",
        "--with",
        f"low={tmp_path / 'low.nc'}",
    ]
    _, out, _ = station("qc", tmp_path / "high.nc", *words, "--json")
    assert [r["flagged"] for r in json.loads(out)["rules"]] == [1, 0, 1]
    code, _, err = station("qc", tmp_path / "high.nc", "--rules", tmp_path / "r.toml", "--with", "low")
    assert code == 2
    assert "'low': write it as NAME=VALUE" in err


def test_calibrate_to_budget_to_plot(station, tmp_path):
    write_record(sequence(days=6, step_seconds=60.0), tmp_path / "raw.nc")
    (tmp_path / "plan.toml").write_text(PLAN)
    raw, out_nc = tmp_path / "raw.nc", tmp_path / "hours.nc"
    code, out, err = station("calibrate", raw, "--plan", tmp_path / "plan.toml", "--out", out_nc, "--json")
    got = json.loads(out)
    assert code == 0
    assert len(got["episodes"]) == 3
    assert got["targets"]["target"]["alarms"] == []
    assert abs(got["targets"]["target"]["mean_bias"]) < 0.02
    assert "not checked against the original" in err
    _, out, _ = station("calibrate", raw, "--plan", tmp_path / "plan.toml")
    assert "3 calibrations" in out
    text = '[[term]]\nname="tanks"\nkind="systematic"\nvariable="uncertainty_tank"\n'
    text += '[[term]]\nname="fit"\nkind="random"\nvariable="uncertainty_fit"\n'
    (tmp_path / "b.toml").write_text(text)
    code, out, _ = station(
        "budget",
        out_nc,
        "--budget",
        tmp_path / "b.toml",
        "--out",
        tmp_path / "u.nc",
        "--json",
    )
    got = json.loads(out)
    assert code == 0
    assert got["median"]["uncertainty_systematic"] > got["median"]["uncertainty_measurement"] > 0
    code, out, _ = station("budget", out_nc, "--budget", tmp_path / "b.toml")
    assert "of the variance" in out


def test_plot(station, waliguan, tmp_path):
    code, _, _ = station("plot", waliguan, "--out", tmp_path / "w.png", "--picture", "record")
    assert code == 0
    assert (tmp_path / "w.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    code, _, err = station("plot", waliguan, "--out", tmp_path / "w.png", "--language", "fr")
    assert code == 2
    assert "'fr'" in err


def test_admit(station, waliguan, tmp_path):
    code, _, err = station("admit", waliguan, "--out", tmp_path / "report")
    assert code == 1
    assert err.strip().splitlines()[-1] == "1 of 1 stations do not pass"
    assert {p.name for p in (tmp_path / "report").iterdir()} == {
        "admission.html",
        "admission.csv",
        "evidence.csv",
    }
    (tmp_path / "easy.toml").write_text('[[criterion]]\nkind="span"\nmonths=12\n')
    code, out, _ = station("admit", waliguan, "--requirements", tmp_path / "easy.toml", "--json")
    assert code == 0
    assert json.loads(out)["stations"][0]["verdict"] == "pass"
    code, _, err = station("admit", waliguan, tmp_path / "no.nc", "--requirements", tmp_path / "easy.toml")
    assert code == 1
    assert "no.nc" in err


def test_sites(station):
    code, out, _ = station("sites")
    assert code == 0
    assert "WLG        36.2879  100.8964   3810  Mt. Waliguan 瓦里关; GAW global, NOAA, CMA" in out
    assert "AKD        47.1000   87.9700    563  Akedala 阿克达拉 (unverified); CMA" in out
    code, out, _ = station("sites", "hefei", "--json")
    assert [(s["code"], s["verified"]) for s in json.loads(out)["sites"]] == [("HF", True)]
    assert "TCCON public files" in station("sites", "合肥")[1]
    assert station("sites", "WLQ")[0] == 2


def test_help_imports_nothing_heavy():
    code = (
        "import sys, stations.commands.station; "
        "print(sorted({'numpy','xarray','pandas','matplotlib','scipy','numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
