"""The station table."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError
from stations import read
from stations.record.sites import Site, by_name, site, sites


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


# A second source for each: other hands' lists of the same stations (decimal degrees).
SECOND = {
    "TAP": (36.72, 126.12),
    "AMY": (36.539, 126.329),
    "GSN": (33.30, 126.16),
    "RYO": (39.03, 141.82),
    "MNM": (24.28, 153.98),
    "YON": (24.47, 123.02),
    "HAT": (24.06, 123.81),
    "COI": (43.167, 145.5),
    "UUM": (44.452, 111.096),
    "KZD": (44.0839, 76.8712),
    "KZM": (43.25, 77.88),
    "CRI": (15.08, 73.83),
    "DSI": (20.70, 116.73),
    "LLN": (23.47, 120.87),
    "HF": (31.90, 117.17),
    "RJ": (43.46, 143.77),
    "TK": (36.05, 140.12),
    "JS": (33.24, 130.29),
    "AN": (36.54, 126.33),
    "BU": (18.53, 120.65),
}


@pytest.mark.parametrize("code", SECOND)
def test_two_sources_agree_on_the_neighbours(code):
    found = site(code)
    assert found.verified
    assert distance_km((found.latitude, found.longitude), SECOND[code]) < 2.5


def test_the_column_networks_of_the_region():
    on = {n: {s.code for s in sites().values() if n in s.networks} for n in ("TCCON", "COCCON")}
    assert on["TCCON"] == {"XH", "HF", "RJ", "TK", "JS", "AN", "BU"}
    assert on["COCCON"] == {"TK", "BEIJING", "DUNHUANG"}
    xianghe = (site("XH").latitude, site("XH").longitude)
    assert distance_km(xianghe, (39.80, 116.96)) < 6  # TCCON's own list; the paper's is kept


def test_names_in_any_spelling():
    assert site("wlg") is site("Mt. Waliguan") is site("waliguan") is site("瓦里关")
    assert by_name("shangdianzi").code == "SDZ"
    assert by_name("nowhere") is None
    assert by_name("") is None
    with pytest.raises(ConfigError, match="no station 'WLQ' in the table; nearest: 'WLG'"):
        site("WLQ")


def test_rows_quoted_without_a_check_are_marked_and_never_fill_in_a_position():
    assert {s.code for s in sites().values() if not s.verified} == {
        "AKD",
        "BEIJING",
        "DUNHUANG",
    }
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
