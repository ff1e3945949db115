"""Files open in other people's programs: the CF checker, spreadsheets, openghg in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from inversion.case.options import InvertOptions
from inversion.case.run import run_invert
from inversion.transport.files.writers import write_cf, write_paris
from inversion.transport.readers import open_footprints
from obsnet.atomic import write_text
from obsnet.demo.weather import make_weather, write_weather
from obsnet.sheets import csv_text
from stations.record.file import read_record, write_record
from tests.inversion.case.files import CASE, write_case
from tests.inversion.transport import formats
from tests.obsnet.test_cf import check_with_compliance_checker
from tests.stations.made import make_record

OFFICE = shutil.which("soffice") or shutil.which("libreoffice")
OPENGHG = os.environ.get("OBSNET_OPENGHG_PYTHON")


def record():
    return make_record(np.linspace(400.0, 410.0, 48), intake_height_m=80.0, latitude=36.3, altitude_m=3890.0)


def pairs():
    """A record as of flasks: two samples at a time."""
    single = record()
    return single.isel(time=np.repeat(np.arange(24), 2))


def footprints(folder: Path):
    path = formats.openghg(
        folder / "ABC-25magl_TEST_202404.nc",
        np.stack([formats.field(k, 2) for k in range(4)]),
        formats.field(9, 4),
    )
    return open_footprints(path)


def written(folder: Path) -> dict[str, Path]:
    """Return a file of each writer that is not of a grid of fluxes (tests/obsnet/test_cf.py has that)."""
    case = write_case(folder)
    text = (
        CASE
        + '\n[[invert.ensemble.member]]\nname = "b"\naxis = "background"\nset = ["boundary.background=409"]\n'
    )
    run_invert(InvertOptions.model_validate(tomllib.loads(text)["invert"]), case, folder / "run")
    source = footprints(folder)
    write_cf(folder / "cf.nc", source)
    write_paris(folder / "paris.nc", source)
    return {
        "posterior": folder / "run" / "posterior.nc",
        "ensemble": folder / "run" / "ensemble.nc",
        "record": write_record(record(), folder / "record.nc"),
        "record of pairs": write_record(pairs(), folder / "pairs.nc"),
        "record in openghg's layout": write_record(record(), folder / "record.openghg.nc"),
        "footprints": folder / "cf.nc",
        "footprints in the PARIS layout": folder / "paris.nc",
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return written(tmp_path_factory.mktemp("files"))


def test_cf_checker_finds_no_error(files, tmp_path):
    for name, path in files.items():
        found, broke = check_with_compliance_checker(path, "cf:1.11", tmp_path / "report.json")
        assert not broke, name
        assert found["high_priorities"] == [], name


def test_times_that_repeat_come_back(files):
    back = read_record(files["record of pairs"])
    assert back.sizes == pairs().sizes
    for name in ("time", "time_start", "value", "quality"):
        np.testing.assert_array_equal(back[name].values, pairs()[name].values)


def test_the_demos_weather_passes_too(tmp_path):
    path = tmp_path / "weather.nc"
    times = np.datetime64("2019-01-01", "s") + np.arange(3) * np.timedelta64(3, "h")
    write_weather(make_weather(times, (30, 40, 100, 110), np.random.default_rng(1), step=5.0), path)
    found, broke = check_with_compliance_checker(path, "cf:1.11", tmp_path / "report.json")
    assert not broke
    assert found["high_priorities"] == []


def test_regions_are_chosen_by_name_in_plain_xarray(files):
    with xr.open_dataset(files["posterior"], engine="netcdf4") as data:
        total = data["region_total"].sel(region="a", sector="fossil")
        assert total.dims == ("period",)
        np.testing.assert_array_equal(
            total, data["region_total"][list(data["sector"].values).index("fossil"), 0]
        )


@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed here")
def test_spreadsheets_open_the_tables(tmp_path):
    table = pd.DataFrame(
        {"地区": ["北京市", "河北省"], "smallest": [1.5, np.inf], "原因": ["观测不足，见表", ""]}
    )
    write_text(tmp_path / "table.csv", csv_text(table))
    home = (tmp_path / "home").as_uri()
    done = subprocess.run(
        [
            OFFICE,
            f"-env:UserInstallation={home}",
            "--headless",
            "--infilter=CSV:44,34,UTF8",
            "--convert-to",
            "xlsx",
        ]
        + ["--outdir", tmp_path, tmp_path / "table.csv"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (tmp_path / "table.xlsx").exists(), done.stdout + done.stderr
    back = pd.read_excel(tmp_path / "table.xlsx", engine="openpyxl")
    assert list(back.columns) == list(table.columns)
    assert back["地区"].tolist() == ["北京市", "河北省"]
    assert back["smallest"].isna().tolist() == [False, True]
    assert back["原因"][0] == "观测不足，见表"


READS = """
import sys
from openghg.standardise.surface import parse_openghg
from openghg.standardise.footprints import parse_paris


def first(found):
    one = next(iter(found.values())) if isinstance(found, dict) else found[0]
    return one["data"] if isinstance(one, dict) else one.data


record, foot = sys.argv[1:]
data = first(parse_openghg(filepath=record, inlet="80m", update_mismatch="from_source"))
print("record", float(data["co2"].mean()))
data = first(parse_paris(filepath=foot, site="abc", domain="TEST", model="NAME", inlet="25m", species="inert"))
print("footprint", float(data["fp"].sum()))
"""


@pytest.mark.skipif(OPENGHG is None, reason="OBSNET_OPENGHG_PYTHON names no interpreter with openghg")
def test_openghg_reads_records_and_footprints(files, tmp_path):
    record_file, foot = files["record in openghg's layout"], files["footprints in the PARIS layout"]
    done = subprocess.run(
        [OPENGHG, "-c", READS, record_file, foot],
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(tmp_path)},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    said = dict(
        line.split(maxsplit=1) for line in done.stdout.splitlines() if line[:6] in ("record", "footpr")
    )
    assert float(said["record"].split()[0]) == pytest.approx(405.0, rel=1e-6)
    with xr.open_dataset(foot, engine="netcdf4") as own:
        assert float(said["footprint"]) == pytest.approx(float(own["srr"].sum()), rel=1e-4)
