"""What the fuzzer found, a case a kind: each is one line that names the file."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from inversion.jacobian.foreign import read_foreign
from inversion.study.network import read_network
from obsnet.config import read_toml
from obsnet.errors import ObsnetError
from obsnet.met.readers.archives import Unpacked
from retrieval.products.read import read_granule
from stations.calibration.scales import conversions
from stations.quality.met_join import join_met
from stations.quality.rules import load_rules
from stations.readers import read_all
from tests.inversion.jacobian.test_foreign import file as jacobian
from tests.retrieval import synthetic
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
