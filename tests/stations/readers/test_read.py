"""One call for any file: recognising, refusing, and never failing in a way the user cannot mend."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stations
from obsnet.errors import ConfigError, FormatError, ObsnetError
from stations.readers import READERS, StationReader, find_reader, read_all
from stations.readers.choice import choose
from stations.record.source import Source
from tests.stations.dialects import TEXTS, gcwerks_crds, noaa_text, read_text, simple
from tests.stations.strategies import damage

REAL = {
    "noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt": "noaa_text",
    "noaa_flask_old/ch4_scsn06_surface-flask_1_ccgg_event.txt": "noaa_text",
    "noaa_insitu/co2_mlo_surface-insitu_1_ccgg_DailyData.txt": "noaa_text",
    "obspack/ch4_esp_surface-flask_2_representative.nc": "obspack",
    "obspack/ch4_bao_tower-insitu_1_ccgg_all.nc": "obspack",
    "obspack_icos/co2_cbw_tower-insitu_445_allvalid-27magl.nc": "obspack",
    "wdcgg/ch4_syo_surface-flask_2_3001-9999_event.txt": "wdcgg",
    "wdcgg/wlg236n0.dat": "wdcgg_monthly",
    "icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4": "icos",
    "icos/ICOS_ATC_L2_L2-2024.1_CBW_207.0_1480_FLASK.14C": "icos",
    "icos/tta.co2.1minute.222m.min.dat": "icos",
    "icos/svb_co2.csv": "icos",
    "agage/AGAGE-Picarro_TAC_ch4.nc": "agage",
    "gcwerks/shangdianzi-medusa.18.C": "gcwerks",
    "crds/bsd.picarro.hourly.108m.min.dat": "gcwerks_crds",
    "picarro_raw/CFADS2283-20180801-003712Z-DataLog_User.dat": "picarro",
}
VARIABLES = {
    "value", "uncertainty", "sd", "n", "time", "time_start", "time_end", "quality", "quality_original",
    "latitude", "longitude", "altitude_m", "intake_height_m", "sample_id",
}  # fmt: skip
ATTRS = {
    "species",
    "unit",
    "scale",
    "scale_original",
    "site",
    "network",
    "source",
    "kind",
    "interval",
    "format",
    "path",
    "changes",
    "warnings",
}


@pytest.mark.parametrize(("name", "reader"), REAL.items())
def test_real_files_are_recognised_by_one_reader_alone(sample_data, name, reader):
    path = sample_data / "stations" / name
    assert [r.name for r in READERS if r.sniff(Source(path))] == [reader]


@pytest.mark.parametrize("name", REAL)
def test_every_record_has_the_documented_layout(sample_data, name):
    record = stations.read(sample_data / "stations" / name)
    assert set(record.variables) >= VARIABLES
    assert set(record.attrs) >= ATTRS
    assert record["value"].dtype == np.float64
    assert record["quality"].dtype == np.uint32
    assert record["n"].dtype == np.int32
    assert record["time"].dtype == "datetime64[ns]"
    assert record["quality_original"].dtype.kind == "U"
    start, middle, end = (record[n].values for n in ("time_start", "time", "time_end"))
    assert (start <= middle).all()
    assert (middle <= end).all()


def test_a_record_can_be_saved_and_opened_again(sample_data, tmp_path):
    record = stations.read(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    record.to_netcdf(tmp_path / "record.nc")
    with xr.open_dataset(tmp_path / "record.nc", engine="netcdf4") as again:
        np.testing.assert_array_equal(again["value"].values, record["value"].values)
        assert again.attrs["scale"] == "WMO CO2 X2019"


@pytest.mark.parametrize("name", TEXTS)
def test_synthetic_files_are_recognised_by_one_reader_alone(tmp_path, name):
    make, filename = TEXTS[name]
    path = tmp_path / filename
    path.write_text(make(), newline="", encoding="utf-8")
    found = [r.name for r in READERS if r.sniff(Source(path))]
    assert len(found) == 1
    assert name.startswith(found[0][:3]) or found == ["wdcgg_monthly"]
    assert stations.read(path).sizes["time"] >= 3


def test_the_wrong_ending_does_not_mislead():
    assert read_text(noaa_text(simple()), "data.nc").attrs["format"] == "noaa_text"
    assert read_text(gcwerks_crds(simple()), "data.C").attrs["format"] == "gcwerks_crds"


def test_missing_empty_and_unknown_files(tmp_path):
    with pytest.raises(FormatError, match=r"none\.txt: no such file"):
        stations.read(tmp_path / "none.txt")
    (tmp_path / "empty.txt").touch()
    with pytest.raises(FormatError, match=r"empty\.txt: the file is empty"):
        stations.read(tmp_path / "empty.txt")
    (tmp_path / "letter.txt").write_text("Dear colleague,\nplease find")
    with pytest.raises(
        FormatError, match=r"no reader knows this format .it begins 'Dear colleague,'.*--config"
    ):
        stations.read(tmp_path / "letter.txt")
    (tmp_path / "blank.txt").write_text("\n\n \n")
    with pytest.raises(FormatError, match="it holds no text"):
        stations.read(tmp_path / "blank.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FormatError, match="it holds no text"):
        stations.read(tmp_path / "folder")


def test_a_netcdf_of_another_kind_names_its_variables(sample_data):
    with pytest.raises(FormatError, match="its variables are z, pressure, slant_xgas_bin"):
        stations.read(sample_data / "satellite/tccon/ak_tables.nc")


def test_unknown_format_and_option_name_the_nearest(tmp_path):
    (tmp_path / "a.txt").write_text(noaa_text(simple()))
    with pytest.raises(ConfigError, match="unknown format 'noaa'; nearest: 'noaa_text'"):
        stations.read(tmp_path / "a.txt", format="noaa")
    with pytest.raises(ConfigError, match="unknown option 'stampp'; nearest: 'stamp'"):
        stations.read(tmp_path / "a.txt", stampp="end")


def test_choice_of_a_species():
    path = Path("x")
    assert choose(["CH4", "CO2", "CO"], None, path) == ["CO2"]
    assert choose(["NF3", "CF4"], None, path) == ["NF3"]
    assert choose(["CH4", "CO2"], "*", path) == ["CH4", "CO2"]
    assert choose(["CH4", "CO2"], "ch4", path) == ["CH4"]
    with pytest.raises(ConfigError, match="x: no N2O in this file"):
        choose(["CH4", "CO2"], "N2O", path)


def archive(path, members):
    """Write a .zip, .tar, .tar.gz, .tar.bz2 or .tar.xz of texts by name."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as out:
            for name, text in members.items():
                out.writestr(name, text)
        return path
    with tarfile.open(path, f"w:{path.suffix[1:] if path.suffix != '.tar' else ''}") as out:
        for name, text in members.items():
            info = tarfile.TarInfo(f"some/folder/{name}")
            info.size = len(text.encode())
            out.addfile(info, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_an_archive_of_two_sites_is_two_records(tmp_path, suffix):
    two = {
        f"co2_{site.lower()}.txt": noaa_text(simple(3 + k, site=site))
        for k, site in enumerate(("MLO", "WLG"))
    }
    path = archive(tmp_path / f"two{suffix}", {**two, "README": "by hand", ".hidden": "no"})
    found = stations.read_all(path)
    assert [(r.attrs["site"], r.sizes["time"]) for r in found] == [("MLO", 3), ("WLG", 4)]
    assert found[0].attrs["path"] == f"{path}:co2_mlo.txt"
    assert (
        "1 files of the archive are of no known format and were left out: README"
        in found[0].attrs["warnings"]
    )
    with pytest.raises(ConfigError, match=r"holds 2 records \(MLO CO2, WLG CO2\); say which with --site"):
        stations.read(path)
    assert stations.read(path, site="wlg").sizes["time"] == 4
    with pytest.raises(ConfigError, match="no site 'LLN' in it; there is: 'MLO', 'WLG'"):
        stations.read(path, site="LLN")


def test_species_of_an_archive_are_where_they_are(tmp_path):
    from tests.stations.dialects import gcwerks_crds

    members = {"co2_mlo.txt": noaa_text(simple(3)), "sdz.picarro.hourly.10m.dat": gcwerks_crds(simple(5))}
    path = archive(tmp_path / "two.zip", members)
    assert [r.attrs["species"] for r in stations.read_all(path)] == ["CO2", "CH4", "CO2"]
    assert stations.read(path, "CH4").sizes["time"] == 5
    with pytest.raises(ConfigError, match="no SF6 in this file"):
        stations.read(path, "SF6")
    with pytest.raises(FormatError, match="no reader knows any of its files"):
        stations.read(archive(tmp_path / "none.zip", {"a": "hello", "b": "world"}))


@pytest.mark.parametrize("pack", ["gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("kind", ["text", "netcdf", "record"])
def test_packed_files_of_any_kind(tmp_path, pack, kind):
    import bz2
    import gzip
    import lzma

    from stations.record.file import write_record
    from tests.stations.dialects_netcdf import agage
    from tests.stations.made import make_record

    plain = tmp_path / ("a.txt" if kind == "text" else "a.nc")
    if kind == "text":
        plain.write_text(noaa_text(simple()))
    elif kind == "netcdf":
        rows = simple()
        rows.value = rows.value + 1500.0
        agage(plain, rows)
    else:
        write_record(make_record([400.0, 401.0]), plain)
    path = plain.with_name(f"{plain.name}.{pack}")
    if pack == "zip":
        with zipfile.ZipFile(path, "w") as out:
            out.write(plain, plain.name)
    else:
        path.write_bytes({"gz": gzip, "bz2": bz2, "xz": lzma}[pack].compress(plain.read_bytes()))
    expected = stations.read(plain)
    xr.testing.assert_equal(stations.read(path), expected)
    assert {**stations.read(path).attrs, "path": ""} == {**expected.attrs, "path": ""}


def test_a_gzipped_text_of_any_dialect(tmp_path):
    import gzip

    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(noaa_text(simple()).encode()))
    assert stations.read(tmp_path / "a.txt.gz").sizes["time"] == 4


def test_importing_stations_is_light():
    heavy = "{'xarray', 'pandas', 'numpy', 'pyarrow'}"
    code = f"import sys, stations, stations.commands.station; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_table_of_readers_is_whole():
    assert len({r.name for r in READERS}) == len(READERS)
    for reader in READERS:
        assert isinstance(reader, StationReader)
        assert reader.about
        assert callable(reader.sniff)


# --- nothing but an ObsnetError ------------------------------------------------------------------------------


def survives(data: bytes, name: str) -> None:
    """Read bytes; a Dataset or an ObsnetError is fine, anything else is a fault of ours."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        records = []
        with contextlib.suppress(ObsnetError):
            records = read_all(path)
        assert all(isinstance(r, xr.Dataset) for r in records)


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_damaged_text_never_raises_anything_but_an_obsnet_error(name, data):
    make, filename = TEXTS[name]
    survives(data.draw(damage(make().encode("utf-8"))), filename)


@given(
    text=st.text(max_size=300),
    name=st.sampled_from(["a.txt", "a.dat", "a.C", "a.csv", "a.gz", "a.zip", "a.nc"]),
)
def test_any_text_under_any_name(text, name):
    survives(text.encode("utf-8", errors="surrogatepass"), name)


@given(
    data=st.binary(max_size=200),
    magic=st.sampled_from([b"", b"\x89HDF\r\n\x1a\n", b"CDF\x01", b"PK\x03\x04", b"\x1f\x8b\x08"]),
)
def test_any_bytes_behind_any_magic(data, magic):
    survives(magic + data, "a.bin")


def test_find_reader_is_public_and_says_which(tmp_path):
    (tmp_path / "a.txt").write_text(noaa_text(simple()))
    assert find_reader(Source(tmp_path / "a.txt")).name == "noaa_text"
