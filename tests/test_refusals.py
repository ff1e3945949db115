"""What the fuzzer found, a case a kind: each is one line that names the file."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from inversion.jacobian.foreign import read_foreign
from inversion.operators.placed import read_block
from inversion.study.detect.run_detect import kept_system
from inversion.study.osse.pattern import read_field
from inversion.study.worlds.network import read_network
from inversion.transport.run.folder import read_plan
from obsnet.config import read_toml
from obsnet.errors import ObsnetError
from obsnet.met import Met
from obsnet.met.readers.archives import Unpacked
from obsnet.report.options import ReportOptions
from obsnet.report.run import report_files
from obsnet.report.sections.sectors import sectors
from obsnet.stage_mark import read_mark
from obsnet.status import status_of
from obsnet.work.agreement import agreed
from obsnet.work.shards import plans_of
from retrieval.estimation.clear_sky import read_preprocessor
from retrieval.forward.hitran import read_lines
from retrieval.forward.sun import read_solar_lines
from retrieval.forward.tables import open_table
from retrieval.plume.sources import read_sources
from retrieval.plume.winds import read_wind_table
from retrieval.products.read import read_granule
from retrieval.spectra.opus import read_opus
from stations.calibration.scales import conversions
from stations.quality.met_join import join_met
from stations.quality.rules import load_rules
from stations.readers import read_all
from tests import fuzz_own as own
from tests.inversion.jacobian.test_foreign import file as jacobian
from tests.obsnet.report import synthetic as reports
from tests.retrieval import synthetic
from tests.retrieval.estimation.test_clear_sky import a_band
from tests.retrieval.forward.worlds import record
from tests.retrieval.spectra.test_opus import opus
from tests.stations.dialects import noaa_text, read_text, simple


def refused(read, path):
    with pytest.raises(ObsnetError) as caught:
        read(path)
    said = str(caught.value)
    assert "\n" not in said
    assert path.name in said
    return said


@pytest.mark.parametrize("text", ["a = " + "9" * 5000, "a = " + "[" * 5000, "a = \x00", "a = 1979-13-01"])
def test_toml_of_any_kind(tmp_path, text):
    (tmp_path / "a.toml").write_text(text)
    assert "not a TOML file" in refused(read_toml, tmp_path / "a.toml")


def test_a_folder_is_no_toml(tmp_path):
    assert "not a TOML file" in refused(read_toml, tmp_path)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("rule = [1]", load_rules),
        ("conversion = [1]", lambda p: conversions("CO2", p)),
        ("conversion = 5", lambda p: conversions("CO2", p)),
        ('kind = "orbit"\nsources = 1', lambda p: read_network(str(p))),
    ],
)
def test_tables_where_tables_are_due(tmp_path, text, read):
    (tmp_path / "a.toml").write_text(text)
    refused(read, tmp_path / "a.toml")


def test_meteorology_without_a_row(tmp_path):
    (tmp_path / "wind.csv").write_text("time,wind_speed\n")
    record = read_text(noaa_text(simple(4)))
    assert "without a row" in refused(lambda p: join_met(record, p), tmp_path / "wind.csv")


@pytest.mark.parametrize("read", [read_all, lambda p: Unpacked([p])], ids=["stations", "meteorology"])
def test_an_archive_that_lost_a_byte(tmp_path, read):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("co2_wlg.txt", noaa_text(simple(4)))
    data = path.read_bytes()
    path.write_bytes(data[:60] + data[61:])
    assert "cannot be read" in refused(read, path)


def test_a_number_that_nothing_divides(tmp_path):
    errors = np.full(30, 10.0)
    errors[4] = 5e-324
    (bad,) = read_foreign([jacobian(tmp_path, oerr=errors)]).bad
    assert bad.row == 4
    assert "the others are near 10" in bad.reason


def test_a_kernel_that_claims_more_than_its_file(tmp_path):
    import h5py

    name = "S5P_BLND_L2__CH4____20180501T032352_20180501T050523_02834_03_020400_20230614T000922.nc"
    path = synthetic.write(tmp_path / name, *synthetic.blended(8)[:2])
    with h5py.File(path, "r+") as granule:
        del granule["column_averaging_kernel"]
        granule.create_dataset("column_averaging_kernel", (8, 1_000_000_000), "f4", chunks=True)
    assert "claims" in refused(read_granule, path)


@pytest.mark.parametrize("ends", [(np.nan, 6001.0), (6000.0, np.inf), (6000.0, 6000.0)])
def test_a_spectrum_that_begins_or_ends_nowhere(tmp_path, ends):
    path = opus(tmp_path / "a.0", np.ones(30), *ends)
    assert "are no spectrum" in refused(read_opus, path)


@pytest.mark.parametrize("at", [15, 55, 59], ids=["strength", "exponent", "shift"])
def test_a_line_that_is_no_number(tmp_path, at):
    line = record()
    (tmp_path / "a.par").write_text(line[:at] + "NaN".ljust(4) + line[at + 4 :] + "\n")
    said = refused(lambda p: read_lines(p, "CO2"), tmp_path / "a.par")
    assert "not a" in said
    (tmp_path / "sun.101").write_text("  1" + "nan".rjust(12) + f"{0.3:10.3f}{0.03:10.5f}{0.05:5.3f}\n")
    assert "line 1: not a record" in refused(read_solar_lines, tmp_path / "sun.101")


def test_a_preprocessor_file_that_claims_more_than_it_holds(tmp_path):
    import h5py

    path = a_band(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        del file["SoundingGeometry/sounding_id"]
        file.create_dataset("SoundingGeometry/sounding_id", (2_000_000_000,), "i8", chunks=True)
    assert "sounding_id claims 14.9 GiB" in refused(read_preprocessor, path)


def test_a_picture_that_claims_more_than_it_holds(tmp_path):
    import rasterio

    about = {"driver": "GTiff", "width": 100_000, "height": 100_000, "count": 1, "dtype": "float32"}
    place = {"crs": "EPSG:4326", "transform": rasterio.transform.from_origin(0, 1, 1e-5, 1e-5)}
    tiles = {"tiled": True, "blockxsize": 16_384, "blockysize": 16_384, "sparse_ok": True}
    with rasterio.open(tmp_path / "a.tif", "w", **about, **place, **tiles):
        pass
    assert "each band claims 74.5 GiB" in refused(read_field, tmp_path / "a.tif")


def test_a_table_of_winds_or_sources_with_a_word(tmp_path):
    (tmp_path / "a.csv").write_text("source,u,v\na,3,west\n")
    assert "column 'v' must be numbers" in refused(lambda p: read_wind_table(p, 1.0), tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("source,latitude,longitude\na,N35,110\n")
    assert "column 'latitude' must be numbers" in refused(read_sources, tmp_path / "b.csv")


def test_cross_sections_that_changed_or_claim_what_they_do_not_hold(tmp_path):
    path = own.cross_sections(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:])
    assert "changed since the file was written" in refused(open_table, path)
    path.unlink()
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        archive.writestr("a", whole)
    (tmp_path / "whole").write_bytes(whole[:-40])
    with zipfile.ZipFile(tmp_path / "whole") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "wavenumber/zarr.json":
                data = json.dumps(json.loads(data) | {"shape": [50_000_000_000]}).encode()
            new.writestr(name, data)
    assert "wavenumber claims 373 GiB" in refused(open_table, path)


def test_own_json_whose_numbers_changed_is_not_believed(tmp_path):
    """A number changed in what was kept was read as it stood."""

    def changed(path, old, new):
        text = path.read_text()
        assert text.count(old)
        path.write_text(text.replace(old, new))
        return path

    mark = own.stage_mark(tmp_path)
    assert read_mark(mark) is not None
    assert read_mark(changed(mark, '"seed": 0', '"seed": 1')) is None
    kept = own.detected(tmp_path)
    assert kept_system(kept)["observations"] == 40
    assert kept_system(changed(kept, "20.5", "21.5")) is None
    assert kept_system(changed(kept, '"sha256"', '"sh!256"')) is None  # a seal that is damaged too
    ingest = own.shards("plan.json")(tmp_path / "store")
    changed(changed(ingest, '"sha256"', '"sha56"'), '"settings"', '"setting"')
    assert "lacks settings" in refused(lambda p: plans_of(tmp_path / "store"), ingest)
    said = own.agreement(tmp_path)
    changed(changed(said, '"sha256"', '"sja256"'), '"value"', '"v`lue"')
    assert "lost its seal" in refused(lambda p: agreed(p.parent, "grid", "1 by 2", "here"), said)
    plan = own.footprint_plan(tmp_path / "fp")
    assert read_plan(plan.parent).decides["hours"] == 24
    changed(plan, '"hours": 24', '"hours": 48')
    assert "damaged" in refused(lambda p: read_plan(p.parent), plan)


def test_a_block_of_a_jacobian_that_changed_on_its_way(tmp_path):
    path = own.block(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    assert "changed since" in refused(read_block, path)
    path.write_bytes(whole[:-40])
    assert "lost its seal" in refused(read_block, path)


def test_prepared_meteorology_whose_axes_changed(tmp_path):
    *_, (path, _) = [f for f in own.prepared(tmp_path) if f[0].name == "met.json"]
    good = path.read_text()
    assert Met.load(path.parent).times.size == 3
    path.write_text(good.replace('"version"', '"Version"'))
    assert "changed since" in refused(lambda p: Met.load(p.parent), path)
    path.write_text(good)
    (path.parent / "wind.npy").write_bytes((path.parent / "wind.npy").read_bytes()[:-100])
    with pytest.raises(ObsnetError, match="met: cannot be read as prepared meteorology"):
        Met.load(path.parent)


def test_a_report_of_tables_that_lack_something(tmp_path):
    """Seen as KeyError: a table without a column, a posterior that another program wrote without an attribute."""
    import netCDF4

    folder = reports.folder(tmp_path / "run")
    table = folder / "attribution.csv"
    table.write_text(table.read_text().replace("by_errors_sd", "by_errors_se"))
    refused(sectors, table)
    with netCDF4.Dataset(folder / "posterior.nc", "a") as data:
        data.delncattr("n_observations")
    table.unlink()

    def whole(path):
        return report_files(path, folder / "provinces.csv", folder, ReportOptions(formats=["csv"]))

    refused(whole, folder / "posterior.nc")


def test_a_journal_with_bytes_that_are_no_text(tmp_path):
    (tmp_path / ".log").mkdir()
    line = {"event": "stage", "state": "failed", "stage": "ingest", "time": "2020", "job": "", "run": "r"}
    text = json.dumps(line).encode() + b'\n[1]\n{"event": "\xff"}\n'
    (tmp_path / ".log" / "a.jsonl").write_bytes(text)
    assert [s.line() for s in status_of(tmp_path)] == ["ingest: failed"]
