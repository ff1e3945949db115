"""Files of any make into the sparse Jacobian, and the two commands."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from inversion.jacobian.store import JacobianStore
from inversion.transport.commands.footprints import app
from inversion.transport.conversion.convert import convert_files
from inversion.transport.conversion.matching import match_observations, receptor_names
from inversion.transport.conversion.one import part_name
from inversion.transport.readers import open_footprints, read
from obsnet import cli
from obsnet.errors import ConfigError, FormatError, GridError, SchemaError
from obsnet.grid import Grid
from obsnet.schema import observation_table
from obsnet.store import ObservationStore
from obsnet.work.work import Work
from tests.inversion.transport import formats
from tests.inversion.transport.formats import LAT, LON, T0

HOUR = np.timedelta64(1, "h")


def folder_of(tmp_path, n: int = 3, lead: str = ""):
    paths = []
    for k in range(n):
        name = f"{lead}2024040206{10 + k}_113.3_33.4_25_foot.nc"
        last = T0 + np.timedelta64(10 + k, "m")
        times = np.datetime64("2024-04-02T06", "us") - HOUR * np.arange(4)[::-1]
        paths.append(formats.stilt(tmp_path / name, formats.field(k, 4), last=last, times=times))
    return paths


def test_files_become_one_jacobian(tmp_path):
    paths = folder_of(tmp_path)
    report = convert_files(paths, tmp_path / "j", step="1h", work=Work(scheduler="serial"))
    assert (report["done"], report["observations"], report["failed"]) == (3, 3, [])
    jacobian = JacobianStore(tmp_path / "j").read()
    assert jacobian.grid == Grid.from_centres(LAT, LON)
    assert jacobian.time_edges[0] == np.datetime64("2024-04-02T03")
    for k, path in enumerate(paths):
        row = jacobian.select([str(read(path).obs_id.values[0])]).matrix
        np.testing.assert_allclose(row.toarray().reshape(-1, 12, 14)[:4], formats.field(k, 4), rtol=1e-6)
    meta = JacobianStore(tmp_path / "j").meta
    assert (meta["kind"], meta["weighting"], meta["model"]) == ("read", "none", "STILT")


@pytest.mark.slow
def test_processes_give_the_same(tmp_path):
    paths = folder_of(tmp_path, 4)
    convert_files(paths, tmp_path / "a", work=Work(scheduler="serial"))
    convert_files(paths, tmp_path / "b", work=Work(scheduler="processes", workers=2))
    a, b = (JacobianStore(tmp_path / k).read() for k in "ab")
    assert (a.obs_id == b.obs_id).all()
    assert (a.matrix != b.matrix).nnz == 0


def test_what_is_there_is_not_done_again(tmp_path):
    paths = folder_of(tmp_path, 3)
    times = {"start": "2024-04-02T00", "stop": "2024-04-03T00"}
    convert_files(paths[:2], tmp_path / "j", work=Work(scheduler="serial"), **times)
    before = (tmp_path / "j/sensitivity" / f"{part_name(paths[0])}.parquet").stat().st_mtime_ns
    report = convert_files(paths, tmp_path / "j", work=Work(scheduler="serial"))
    assert (report["done"], report["skipped"]) == (1, 2)
    assert (tmp_path / "j/sensitivity" / f"{part_name(paths[0])}.parquet").stat().st_mtime_ns == before
    assert JacobianStore(tmp_path / "j").obs_ids().size == 3


def test_bad_files_are_told_and_the_rest_goes_on(tmp_path):
    paths = folder_of(tmp_path, 2)
    (tmp_path / "bad.nc").write_bytes(b"\x89HDF\r\n\x1a\nhalf")
    nounit = formats.stilt(tmp_path / "202404020630_113.3_33.4_25_foot.nc", formats.field(1, 2), unit=None)
    report = convert_files(
        [*paths, tmp_path / "bad.nc", nounit], tmp_path / "j", work=Work(scheduler="serial")
    )
    assert report["done"] == 2
    assert [f["path"] for f in report["failed"]] == [str(tmp_path / "bad.nc"), str(nounit)]
    assert "has no unit" in report["failed"][1]["error"]


def test_files_on_different_grids_need_a_grid(tmp_path):
    one = folder_of(tmp_path, 1)[0]
    fine = formats.stilt(
        tmp_path / "202404020800_113.3_33.4_25_foot.nc", formats.field(3, 2, (24, 28)), last=T0 + 2 * HOUR,
        lat=np.arange(30.125, 36, 0.25), lon=np.arange(110.125, 117, 0.25),
    )  # fmt: skip
    with pytest.raises(GridError, match=r"is on Grid\(lat 30 to 36 in 12.*in 24.*--grid"):
        convert_files([one, fine], tmp_path / "j", work=Work(scheduler="serial"))
    grid = Grid.regular(30, 36, 110, 117, 1, 1)
    report = convert_files([one, fine], tmp_path / "j", grid=grid, work=Work(scheduler="serial"))
    total = formats.field(0, 4).sum(dtype=float) + formats.field(3, 2, (24, 28)).sum(dtype=float)
    assert JacobianStore(tmp_path / "j").read().matrix.sum() == pytest.approx(total, rel=1e-5)
    assert report["lost"]["grid"] == pytest.approx(0.0, abs=1e-9)


def test_two_runs_of_one_receptor_are_an_error(tmp_path):
    (tmp_path / "b").mkdir()
    paths = [*folder_of(tmp_path, 1), *folder_of(tmp_path / "b", 1)]
    with pytest.raises(SchemaError, match="receptor 'stilt:33.4000,113.3000,25m:2024-04-02T06:10:00' is in"):
        convert_files(paths, tmp_path / "j", work=Work(scheduler="serial"))


def test_read_and_emulated_do_not_mix(tmp_path):
    paths = folder_of(tmp_path, 2)
    convert_files(paths, tmp_path / "j", emulated=True, work=Work(scheduler="serial"))
    assert JacobianStore(tmp_path / "j").meta["kind"] == "emulated"
    with pytest.raises(SchemaError, match='made with kind "emulated", asked for "read"'):
        convert_files(paths, tmp_path / "j", work=Work(scheduler="serial"))


def test_short_lived_and_inert_do_not_mix(tmp_path, sample_data):
    radon = next((sample_data / "transport/openghg").glob("WAO*"))
    inert = next((sample_data / "transport/openghg").glob("MHD*"))
    with pytest.raises(SchemaError, match=r"different lifetime hours .*: 132.3768 in .*, None in "):
        convert_files(
            [radon, inert], tmp_path / "j", step="MS", unresolved="release", work=Work(scheduler="serial")
        )
    convert_files([radon], tmp_path / "j", step="MS", unresolved="release", work=Work(scheduler="serial"))
    meta = JacobianStore(tmp_path / "j").meta
    assert (meta["species"], meta["lifetime_hours"]) == ("RN", 132.3768)


def test_an_undeclared_column_is_refused_and_leaves_nothing(tmp_path):
    path = formats.stilt(tmp_path / "202404020600_113.3_33.4_X_foot.nc", formats.field(1, 3))
    report = convert_files([path], tmp_path / "j", work=Work(scheduler="serial"))
    assert "say --weighting kernel, pressure or none" in report["failed"][0]["error"]
    assert not (tmp_path / "j/meta.json").exists()
    report = convert_files([path], tmp_path / "j", weighting="kernel", work=Work(scheduler="serial"))
    assert report["done"] == 1
    assert JacobianStore(tmp_path / "j").meta["weighting"] == "kernel"


def test_a_failed_attempt_does_not_bind_the_next(tmp_path):
    resolved, residual = np.stack([formats.field(k, 4) for k in range(3)]), formats.field(9, 3)
    path = formats.openghg(tmp_path / "a.nc", resolved, residual)
    report = convert_files([path], tmp_path / "j", work=Work(scheduler="serial"))
    assert "integrated over hours" in report["failed"][0]["error"]
    report = convert_files(
        [path], tmp_path / "j", step="1D", unresolved="release", work=Work(scheduler="serial")
    )
    assert report["done"] == 1


def test_curtains_become_the_background(tmp_path):
    resolved, residual = np.stack([formats.field(k, 4) for k in range(3)]), formats.field(9, 3)
    path = formats.openghg(tmp_path / "a.nc", resolved, residual)
    sides = {"n": 400e-6, "e": 410e-6, "s": 420e-6, "w": 430e-6}
    curtain = formats.curtain(tmp_path / "bc.nc", sides, unit="mol mol-1")
    convert_files(
        [path],
        tmp_path / "j",
        unresolved="release",
        background=curtain,
        species="CO2",
        work=Work(scheduler="serial"),
    )
    jacobian = JacobianStore(tmp_path / "j").read()
    np.testing.assert_allclose(jacobian.background, 415.0, rtol=1e-6)
    np.testing.assert_allclose(jacobian.boundary.sum(axis=1), 1.0, rtol=1e-6)


# --- observations ---


def observations(times, lat=33.4, lon=113.3, intake=25.0, ids=None) -> pa.Table:
    n = len(times)
    return observation_table(
        {
            "obs_id": ids or [f"net:SITE:{t}" for t in times], "platform": ["SITE"] * n,
            "time": np.asarray(times, "datetime64[us]"), "latitude": np.broadcast_to(lat, n),
            "longitude": np.broadcast_to(lon, n), "intake_height_m": np.broadcast_to(intake, n).astype(float),
            "value": np.full(n, 420.0), "uncertainty": np.full(n, 1.0),
        },
        species="CO2", kind="point", source="net", file_id="0" * 16,
    )  # fmt: skip


def test_observations_find_their_receptor(tmp_path):
    receptors = open_footprints(
        formats.openghg(
            tmp_path / "a.nc", np.stack([formats.field(k, 2) for k in range(4)]), formats.field(9, 4)
        )
    ).receptors
    table = observations(["2024-04-02T06:10", "2024-04-02T07:59", "2024-04-02T12:00"])
    found = match_observations(receptors, table, max_minutes=1)
    assert found == {
        "net:SITE:2024-04-02T06:10": "openghg:ABC-25magl:2024-04-02T06:00:00",
        "net:SITE:2024-04-02T07:59": "openghg:ABC-25magl:2024-04-02T07:00:00",
    }
    assert match_observations(receptors, observations(["2024-04-02T06:10"], lat=33.5)) == {}
    assert match_observations(receptors, observations(["2024-04-02T06:10"], lat=33.5), max_km=20) != {}


def test_the_nearest_intake_is_taken(tmp_path):
    import pandas as pd

    receptors = open_footprints(
        formats.pystilt_parquet(tmp_path / "a.parquet", formats.field(1, 2))
    ).receptors
    two = pd.concat([receptors.assign(obs_id="low"), receptors.assign(obs_id="high", height_m=200.0)])
    assert list(match_observations(two, observations(["2024-04-02T06:00"], intake=180.0)).values()) == [
        "high"
    ]
    assert list(match_observations(two, observations(["2024-04-02T06:00"], intake=40.0)).values()) == ["low"]


def test_columns_and_intakes_do_not_stand_on_each_others_footprints(tmp_path):
    head = open_footprints(formats.pystilt_parquet(tmp_path / "a.parquet", formats.field(1, 2)))
    intake = replace(head, receptors=head.receptors.assign(obs_id="intake", height_m=25.0))
    whole = head.receptors.assign(obs_id="column", height_m=np.nan)
    column = replace(head, receptors=whole, column=True, weighting="kernel")
    # a release through all layers is no intake, and of a receptor without a height nobody knows
    deep = replace(head, receptors=head.receptors.assign(obs_id="deep", height_m=7000.0))
    unknown = replace(head, receptors=whole.assign(obs_id="unknown"))
    point = observations(["2024-04-02T06:00"])
    seen = point.set_column(point.column_names.index("kind"), "kind", pa.array(["column"]))
    for sources, table, receptor in (
        ([intake, column], point, "intake"),
        ([intake, column], seen, "column"),
        ([deep], seen, "deep"),
        ([unknown], seen, "unknown"),
        ([unknown], point, "unknown"),
    ):
        assert set(receptor_names(sources, table, 5.0, 30.0).names) == {receptor}
    for source, table in ((column, point), (intake, seen)):
        with pytest.raises(ConfigError, match="columns with columns"):
            receptor_names([source], table, 5.0, 30.0)


def test_footprints_of_another_height_are_said(tmp_path):
    head = open_footprints(formats.pystilt_parquet(tmp_path / "a.parquet", formats.field(1, 2)))

    def notes(intake: float, height: float) -> list[str]:
        source = replace(head, receptors=head.receptors.assign(height_m=height))
        return list(
            receptor_names([source], observations(["2024-04-02T06:00"], intake=intake), 5.0, 30.0).notes
        )

    [line] = notes(185.0, 100.0)
    assert line.startswith("1 observations of SITE at 185 m stand on footprints released at 100 m")
    assert notes(10.0, 20.0)
    assert not notes(25.0, 27.0)
    assert not notes(180.0, 185.0)
    assert not notes(np.nan, 100.0)
    assert not notes(100.0, np.nan)


def test_receptors_take_the_names_of_their_observations(tmp_path):
    path = formats.openghg(
        tmp_path / "a.nc", np.stack([formats.field(k, 2) for k in range(4)]), formats.field(9, 4)
    )
    times = ["2024-04-02T06:10", "2024-04-02T06:40", "2024-04-02T08:30", "2024-04-05T00:00"]
    report = convert_files(
        [path],
        tmp_path / "j",
        unresolved="release",
        observations=observations(times),
        work=Work(scheduler="serial"),
    )
    assert (report["observations"], report["unmatched"]) == (3, 1)
    jacobian = JacobianStore(tmp_path / "j").read()
    assert jacobian.obs_id.tolist() == [f"net:SITE:{t}" for t in times[:3]]
    np.testing.assert_array_equal(jacobian.matrix[[0]].toarray(), jacobian.matrix[[1]].toarray())
    assert jacobian.boundary.shape[0] == 3
    with pytest.raises(ConfigError, match="none of 1 observations lies within 5 km and 30 min"):
        convert_files(
            [path], tmp_path / "k", observations=observations(["2030-01-01"]), work=Work(scheduler="serial")
        )


# --- commands ---


def call(*args: str, code: int = 0):
    result = CliRunner().invoke(cli._group(app), [str(a) for a in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_info_as_json(sample_data):
    out = call("info", sample_data / "transport/stilt_synthetic/synt_surf_2000_foot.nc", "--json").stdout
    found = json.loads(out)
    assert found["kind"] == "read"
    assert found["unit"] == "ppm / (umol m-2 s-1)"
    assert found["total_sensitivity"] == pytest.approx(1.5283, abs=1e-4)
    assert found["receptor"]["latitude"] == 39.9
    assert found["hours"]["resolved_steps"] == 24
    assert found["grid"]["shape"] == [130, 180]


def test_info_for_people(sample_data):
    out = call("info", sample_data / "transport/flexpart11/grid_time_20240101120000_ctl-5.nc").stdout
    assert "flexpart (read), Version 11.0" in out
    assert "12 of 1 h, 2024-01-01T00:00:00 to 2024-01-01T12:00:00" in out
    assert "note: CTL was negative" in out


def test_convert_and_back(tmp_path, sample_data):
    source = sample_data / "inversion/acrg_footprints/WAO-20magl_UKV_co2_EUROPE_201801.nc"
    out = call(
        "convert", source, "--out", tmp_path / "j", "--unresolved", "drop", "--scheduler", "serial"
    ).stdout
    assert "left out: 34.3 % of all sensitivity is unresolved, dropped" in out
    assert "24 observations from 1 files" in out
    call("convert", tmp_path / "j", "--out", tmp_path / "j.nc", "--to", "cf")
    back = read(tmp_path / "j.nc")
    expected = read(source)
    total = expected.sensitivity[:, 1:].sum(("step", "lat", "lon"))
    order = np.argsort(expected.obs_id.values)
    np.testing.assert_allclose(back.sensitivity.sum(("step", "lat", "lon")), total.values[order], rtol=1e-5)
    call("convert", source, "--out", tmp_path / "p.nc", "--to", "paris")
    found = json.loads(call("info", tmp_path / "p.nc", "--json").stdout)
    assert found["total_sensitivity"] == pytest.approx(float(expected.sensitivity.sum()) / 24, rel=1e-5)


def test_convert_with_an_observation_store(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    folder_of(folder, 3)
    ObservationStore(tmp_path / "obs").write(observations(["2024-04-02T06:10", "2024-04-02T09:10"]))
    args = ("convert", folder, "--out", tmp_path / "j", "--store", tmp_path / "obs", "--species", "CO2")
    out = json.loads(call(*args, "--scheduler", "serial", "--max-minutes", "5", "--json").stdout)
    assert (out["observations"], out["unmatched"]) == (1, 1)
    assert JacobianStore(tmp_path / "j").obs_ids().tolist() == ["net:SITE:2024-04-02T06:10"]


def test_exit_code_says_that_a_file_failed(tmp_path):
    paths = folder_of(tmp_path, 1)
    (tmp_path / "bad.nc").write_bytes(b"CDF\x01")
    result = call(
        "convert", *paths, tmp_path / "bad.nc", "--out", tmp_path / "j", "--scheduler", "serial", code=1
    )
    assert "1 files failed" in result.output
    assert "bad.nc: cannot be read as netCDF" in result.output


@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        (("--receptor", "2024-04-02,1"), ConfigError, "TIME,LAT,LON,HEIGHT"),
        (("--grid", "1,2,3"), ConfigError, r"write it as south,north,west,east,dlat"),
        (("--source-density", "thick"), ConfigError, "write a number in kg m-3"),
        (("--store", "x"), ConfigError, "--store needs --species"),
        (("--background", "x"), ConfigError, "--background needs --species"),
        (("--step", "fortnight"), ConfigError, "'fortnight' is not a time step"),
        (("--to", "paris", "--format", "openghg"), FormatError, r"no openghg footprint \(netcdf with"),
    ],
)
def test_mistakes_are_named(tmp_path, args, error, text):
    path = folder_of(tmp_path, 1)[0]
    with pytest.raises(error, match=text):
        call("convert", path, "--out", tmp_path / "j", "--scheduler", "serial", *args)


def test_one_input_for_netcdf(tmp_path):
    with pytest.raises(ConfigError, match="--to cf takes one input, found 2"):
        call("convert", *folder_of(tmp_path, 2), "--out", tmp_path / "o.nc", "--to", "cf")
