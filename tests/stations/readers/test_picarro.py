"""Raw Picarro data logs: own turns, cut lines, clocks, archives and folders."""

from __future__ import annotations

import gzip
import zipfile

import numpy as np
import pytest

from obsnet.errors import FormatError
from obsnet.schema import Quality
from stations import read
from stations.readers import read_all
from stations.record import containers
from tests.stations.dialects import picarro, read_text

START = 1_533_083_820.0  # 2018-08-01T00:37:00Z


def log(first=START, size=9, value=600.0, **kwargs):
    """Return a log in which three gases take turns and CO2_dry changes in turn 3."""
    code = [3, 2, 1] * (size // 3)
    values = np.repeat(value + np.arange(size // 3), 3)
    return picarro(first + 2.0 * np.arange(size), values, code=code, **kwargs)


def test_real_log_has_three_measurements_of_each_gas(sample_data):
    path = sample_data / "stations/picarro_raw/CFADS2283-20180801-003712Z-DataLog_User.dat"
    record = read(path)
    assert (record.sizes["time"], record.attrs["scale"], record.attrs["unit"]) == (3, "uncalibrated", "ppm")
    assert record["value"].values[0] == pytest.approx(604.99626101)
    assert record["value_wet"].values[0] == pytest.approx(590.71154368)
    assert record["time"].values[0] == np.datetime64("2018-08-01T00:37:07.130")
    assert record["h2o_percent"].values[0] == pytest.approx(1.52642809)
    assert record["mpv_position"].values[0] == 16.0
    assert record.attrs["species_available"] == ["CH4", "CO2"]
    assert read(path, "CH4")["value"].values[0] == pytest.approx(1966.0250237)  # ppm in the log, ppb here


def test_repeats_in_another_gas_turn_are_left_out_and_counted():
    record = read_text(log(), "a-DataLog_User.dat")
    assert record["value"].values.tolist() == [600.0, 601.0, 602.0]
    assert (
        "6 rows that repeat the last value of CO2 in another gas's turn left out" in record.attrs["changes"]
    )
    assert set(record["species_code"].values) == {3.0}


def test_a_stuck_analyser_keeps_its_own_turns():
    code = [3, 2, 1] * 20
    values = np.repeat([*range(600, 610), *[609] * 10], 3).astype(float)
    record = read_text(picarro(START + np.arange(60.0), values, code=code), "a.dat")
    assert record.sizes["time"] == 20
    assert (record["value"].values[-10:] == 609.0).all()


def test_logs_without_turns_keep_every_row_that_changes():
    record = read_text(picarro(START + np.arange(4.0), [400.0, 401.0, 401.0, 402.0]), "a.dat")
    assert record["value"].values.tolist() == [400.0, 401.0, 401.0, 402.0]


@pytest.mark.parametrize("cut", [1, 5, 30, 300])
def test_an_unfinished_last_line_is_left_out(cut):
    text = log()
    whole = read_text(text, "a.dat")
    record = read_text(text[: -2 - cut], "a.dat")
    assert record.sizes["time"] == whole.sizes["time"]  # the last line was of another gas's turn
    assert "1 unfinished last line left out (a.dat)" in record.attrs["changes"]


def test_a_number_cut_short_never_becomes_a_value():
    text = picarro(START + np.arange(3.0), [400.0, 401.0, 402.0])
    cut = text[: text.rindex("4.0200000000E+02") + 4]  # "4.02"
    assert read_text(cut, "a.dat")["value"].values.tolist() == [400.0, 401.0]


def test_date_and_time_in_beijing_time_are_seen_and_epoch_time_used():
    record = read_text(log(local_hours=8.0), "a.dat")
    assert record["time"].values[0] == np.datetime64("2018-08-01T00:37:00")
    assert (
        "9 rows have DATE and TIME +8 h from EPOCH_TIME (local time); EPOCH_TIME was used as UTC"
        in record.attrs["changes"]
    )


def test_status_and_alarm_reject():
    text = picarro(START + np.arange(3.0), [400.0, 401.0, 402.0], status=[963, 961, 963])
    record = read_text(text, "a.dat")
    assert (record["quality"].values & np.uint32(Quality.PRODUCER) != 0).tolist() == [False, True, False]
    assert record["quality_original"].values.tolist() == ["963/0", "961/0", "963/0"]
    alarmed = read_text(picarro(START + np.arange(2.0), [400.0, 401.0], alarm=65536), "a.dat")
    assert (alarmed["quality"].values & np.uint32(Quality.PRODUCER) != 0).all()


def hours(folder, count=3):
    for i in range(count):
        (folder / f"CFADS-2018080{1 + i}-DataLog_User.dat").write_text(
            log(START + 3600.0 * i, value=600.0 + 10 * i), newline=""
        )
    return sorted(folder.iterdir())


def test_a_folder_of_hourly_files_is_one_record(tmp_path):
    hours(tmp_path)
    record = read(tmp_path)
    assert record["value"].values.tolist() == [600, 601, 602, 610, 611, 612, 620, 621, 622]
    assert record.attrs["files"] == 3
    assert (np.diff(record["time"].values) > np.timedelta64(0, "s")).all()


def test_gz_and_zip_are_read_without_being_unpacked_on_disk(tmp_path):
    folder = tmp_path / "hours"
    folder.mkdir()
    files = hours(folder)
    packed = tmp_path / "one.dat.gz"
    packed.write_bytes(gzip.compress(files[0].read_bytes()))
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in reversed(files):
            out.write(path, f"../../etc/{path.name}")  # a hostile name changes nothing
    before = sorted(p.name for p in tmp_path.rglob("*"))
    assert read(packed)["value"].values.tolist() == [600, 601, 602]
    assert read(archive)["value"].values.tolist() == read(folder)["value"].values.tolist()
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "MAX_BYTES", 100_000)
    packed = tmp_path / "bomb.dat.gz"
    packed.write_bytes(gzip.compress(log().encode() + b"0" * 1_000_000))
    with pytest.raises(FormatError, match=r"bomb\.dat\.gz: holds more than 0 MiB; split it"):
        read(packed)


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_archive_is_a_format_error(tmp_path, damage):
    data = bytearray(gzip.compress(log(size=900).encode()))
    if damage == "flip":
        data[len(data) // 2 : len(data) // 2 + 40] = b"\xff" * 40
    path = tmp_path / "a.dat.gz"
    path.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    with pytest.raises(FormatError, match=r"a\.dat\.gz: cannot be read"):
        read(path)


def test_files_of_two_analysers_in_a_folder_are_refused(tmp_path):
    hours(tmp_path, 1)
    (tmp_path / "z.dat").write_text(log().replace("CO2_dry", "CO2_xyz", 1), newline="")
    with pytest.raises(FormatError, match=r"z\.dat has other columns than the files before it"):
        read(tmp_path)


def test_carbon_monoxide_is_in_ppm_in_the_log():
    text = log().replace("CH4                       CH4_dry ", "CO                        CO_dry  ")
    record = read_text(text, "a.dat", species="CO")
    assert record["value"].values[0] == pytest.approx(1910.0)


def test_a_log_without_a_dry_column_says_that_it_is_wet():
    text = log().replace("CO2_dry", "unknown", 1)
    record = read_text(text, "a.dat", species="CO2")
    assert any("values of CO2 are of wet air" in w for w in record.attrs["warnings"])


def test_all_species():
    assert [r.attrs["species"] for r in read_text(log(), "a.dat", all_species=True)] == ["CH4", "CO2"]
    assert read_all.__doc__


def test_an_epoch_that_never_was_is_flagged_and_compared_with_nothing():
    record = read_text(picarro([0.0, 2.0, 4.0], [400.0, 401.0, 402.0]), "a.dat")
    assert (record["quality"].values & np.uint32(Quality.TIME) != 0).all()
    assert record.attrs["changes"] == []


def test_logs_one_after_the_other_are_one_where_their_columns_are():
    """Hours that were joined by hand; of another analyser's columns the numbers would be others."""
    first, second = (picarro(START + 3600 * h + np.arange(3.0), [400.0 + h, 401.0, 402.0]) for h in (0, 1))
    record = read_text(first + second, "a.dat")
    np.testing.assert_array_equal(record["value"], [400, 401, 402, 401, 401, 402])
    assert not any("text" in w for w in record.attrs["warnings"])
    head, rest = second.split("\n", 1)
    with pytest.raises(FormatError, match="second header"):
        read_text(first + head.replace("EPOCH_TIME", "ALARM_STATUS2") + "\n" + rest, "a.dat")
