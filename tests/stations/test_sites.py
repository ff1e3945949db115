"""The station table."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError
from stations import read
from stations.sites import Site, by_name, site, sites


def distance_km(a, b):
    """Great-circle distance on a sphere."""
    lat1, lon1, lat2, lon2 = np.radians([a[0], a[1], b[0], b[1]])
    h = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(h))


@pytest.mark.parametrize("code", ["WLG", "SDZ", "LAN", "LFS", "XGL", "JSA", "AKD", "LLN", "DSI", "XH", "HF"])
def test_the_chinese_stations_are_there_and_in_china(code):
    found = site(code)
    assert 18 < found.latitude < 54
    assert 73 < found.longitude < 135
    assert found.name_zh
    assert found.source


def test_degrees_minutes_are_not_taken_for_decimals():
    waliguan = (site("WLG").latitude, site("WLG").longitude)
    # a paper prints 36.17 N, 100.55 E, meaning 36 deg 17', 100 deg 55'
    assert distance_km(waliguan, (36.17, 100.55)) == pytest.approx(33, abs=1)
    assert distance_km(waliguan, (36 + 17 / 60, 100 + 55 / 60)) < 3
    shangri_la = (site("XGL").latitude, site("XGL").longitude)
    assert distance_km(shangri_la, (28 + 1 / 60, 99 + 44 / 60)) < 1
    assert distance_km(shangri_la, (28.01, 99.44)) > 25


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("WLG", "noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt"),
        ("LLN", "noaa_flask/co2_lln_surface-flask_1_ccgg_event.txt"),
        ("MLO", "noaa_insitu/co2_mlo_surface-insitu_1_ccgg_DailyData.txt"),
        ("CBW", "obspack_icos/co2_cbw_tower-insitu_445_allvalid-27magl.nc"),
        ("BAO", "obspack/ch4_bao_tower-insitu_1_ccgg_all.nc"),
        ("TAC", "agage/AGAGE-Picarro_TAC_ch4.nc"),
        ("RGL", "icos/ICOS_ATC_L2_L2-2024.1_RGL_90.0_CTS.CH4"),
        ("CGO", "agage/AGAGE-GCMD_CGO_ch3ccl3.nc"),
    ],
)
def test_the_table_agrees_with_the_files_of_the_networks(sample_data, code, name):
    record = read(sample_data / "stations" / name)
    place = (float(record["latitude"].values[-1]), float(record["longitude"].values[-1]))
    assert record.attrs["site"] == code
    assert distance_km(place, (site(code).latitude, site(code).longitude)) < 2.0


def test_names_in_any_spelling():
    assert site("wlg") is site("Mt. Waliguan") is site("waliguan") is site("瓦里关")
    assert by_name("shangdianzi").code == "SDZ"
    assert by_name("nowhere") is None
    assert by_name("") is None
    with pytest.raises(ConfigError, match="no station 'WLQ' in the table; nearest: 'WLG'"):
        site("WLQ")


def test_rows_quoted_without_a_check_are_marked_and_never_fill_in_a_position():
    assert {s.code for s in sites().values() if not s.verified} == {"AKD", "HF"}
    from tests.stations.dialects import gcwerks_crds, read_text, simple

    checked = read_text(gcwerks_crds(simple()), "lan.picarro.hourly.50m.dat")
    assert (checked["latitude"].values[0], checked["altitude_m"].values[0]) == (30.30, 138.0 + 50.0)
    unchecked = read_text(gcwerks_crds(simple()), "akd.picarro.hourly.50m.dat")
    assert np.isnan(unchecked["latitude"].values).all()


def test_codes_and_positions_of_the_whole_table():
    assert all(code == s.code for code, s in sites().items())
    assert len({(s.latitude, s.longitude) for s in sites().values()}) == len(sites())


def test_an_impossible_row_is_refused():
    row = {"name": "x", "networks": (), "setting": "plain", "source": "x"}
    with pytest.raises(FormatError, match="'XXX' has an impossible position"):
        Site(code="XXX", latitude=136.0, longitude=0.0, **row)
    with pytest.raises(FormatError, match="lower case"):
        Site(code="xxx", latitude=36.0, longitude=0.0, **row)
    with pytest.raises(FormatError, match="setting 'hill'"):
        Site(code="XXX", latitude=36.0, longitude=0.0, **(row | {"setting": "hill"}))
