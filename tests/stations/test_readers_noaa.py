"""NOAA text: the known answers of real files, dialect by dialect."""

from __future__ import annotations

import numpy as np
import pytest

import stations
from obsnet.schema import Quality
from stations.record import pair_means, summary

pytestmark = pytest.mark.filterwarnings("error")


def test_waliguan_event_file_gives_the_known_numbers(sample_data):
    record = stations.read(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    found = summary(record)
    assert found["rows"] == 3397
    assert found["header_lines"] == 158
    assert found["flags"] == {"...": 2676, "C..": 572, ".S.": 145, "M..": 4}
    assert found["first_time"] == "1990-08-05T08:57:00Z"
    assert found["last_time"] == "2022-12-28T00:15:00Z"
    assert (found["species"], found["unit"], found["scale"], found["site"]) == (
        "CO2",
        "ppm",
        "WMO CO2 X2019",
        "WLG",
    )
    assert found["interval"] == "instant"
    assert found["quality"] == {"use": 2676, "producer": 576, "range": 4, "selection": 145}
    assert pair_means(record).sizes["time"] == 1369
    assert np.nanmax(pair_means(record)["difference"]) <= 0.505


def test_daily_means_are_stamped_at_their_start(sample_data):
    record = stations.read(sample_data / "stations/noaa_insitu/co2_mlo_surface-insitu_1_ccgg_DailyData.txt")
    assert record.sizes["time"] == 17166
    assert record.attrs["interval"] == "start"
    assert record["time"].values[0] == np.datetime64("1973-01-01T12:00")
    assert record["time_start"].values[0] == np.datetime64("1973-01-01")
    assert record["time_end"].values[0] == np.datetime64("1973-01-02")
    missing = np.isnan(record["value"].values)
    assert missing.sum() == 3220
    assert (record["quality"].values[missing] & np.uint32(Quality.PRODUCER) != 0).all()
