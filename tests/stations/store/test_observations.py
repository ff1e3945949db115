"""Records on the observation contract, and files into a store."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError
from obsnet.schema import Quality, unit_of
from obsnet.store import ObservationStore
from stations import read
from stations.store.ingest import ingest
from stations.store.observations import observations
from stations.store.options import Delivery
from tests.stations.dialects import (
    gcwerks_c,
    gcwerks_crds,
    gcwerks_precisions,
    noaa_text,
    read_text,
    simple,
)
from tests.stations.dialects_netcdf import obspack


def table_of(record):
    return observations(record, digest="f" * 64)


def test_waliguan_table(sample_data):
    record = read(sample_data / "stations/noaa_flask/co2_wlg_surface-flask_1_ccgg_event.txt")
    table = table_of(record)
    assert len(table) == 3397
    assert unit_of(table) == "1e-6"
    first = table.slice(0, 1).to_pylist()[0]
    assert first["obs_id"] == "noaa_event_co2:WLG:1990-08-05T08:57:00Z:CS5-66/164953"
    assert (first["platform"], first["kind"], first["scale"]) == ("WLG", "point", "WMO CO2 X2019")
    assert (first["value"], first["uncertainty"], first["intake_height_m"]) == (348.8, 0.116, 5.0)
    assert (first["file_id"], first["n"], first["prior_column"]) == ("f" * 16, None, None)
    ids = table["obs_id"].to_pylist()
    assert len(set(ids)) == len(ids)
    np.testing.assert_array_equal(table["quality"].to_numpy(), record["quality"].values)


def test_missing_numbers_are_null_and_flagged_rows_are_kept():
    rows = simple(4, flag=["...", "C..", "...", "..."])
    rows.value[2], rows.uncertainty[3] = -999.999, -999.999
    table = table_of(read_text(noaa_text(rows)))
    assert len(table) == 4
    assert table["quality"].to_pylist() == [0, int(Quality.PRODUCER), int(Quality.RANGE), 0]
    assert table["uncertainty"].null_count == 1
    assert table["quality_original"].to_pylist()[1] == "C.."


def test_intakes_of_a_tower_and_repeated_hours_have_identities_of_their_own(tmp_path):
    low = table_of(read(obspack(tmp_path / "a.nc", simple(3, intake=27.0))))
    high = table_of(read(obspack(tmp_path / "b.nc", simple(3, intake=207.0))))
    assert low["obs_id"][0].as_py().endswith(":WLG:2020-01-01T00:30:00Z:27m")
    assert not set(low["obs_id"].to_pylist()) & set(high["obs_id"].to_pylist())
    rows = simple(2)
    rows.time[1] = rows.time[0]
    twice = table_of(read_text(noaa_text(rows, tag="hourly")))
    assert [i[-3:] for i in twice["obs_id"].to_pylist()] == [":5m", "m#2"]


def test_two_species_of_one_flask_do_not_share_an_identity():
    carbon = table_of(read_text(noaa_text(simple(1))))
    methane = simple(1, species="ch4", unit="ppb", scale="CH4_X2004A")
    methane.value += 1500
    assert carbon["obs_id"][0].as_py() != table_of(read_text(noaa_text(methane)))["obs_id"][0].as_py()


def test_a_file_without_position_is_flagged_in_the_table(sample_data):
    table = table_of(read(sample_data / "stations/crds/bsd.picarro.hourly.108m.min.dat"))
    assert (table["quality"].to_numpy() & np.uint32(Quality.GEOLOCATION) != 0).all()


def test_a_change_of_scale_goes_with_its_rows():
    from tests.stations.dialects import wdcgg

    rows = simple(extra={"scale": [7, 7, 19, 19]})
    table = table_of(read_text(wdcgg(rows, scales=[(7, "WMO CO2 X2007"), (19, "CO2_X2019")])))
    assert table["scale"].to_pylist() == ["WMO CO2 X2007"] * 2 + ["WMO CO2 X2019"] * 2


def test_a_species_outside_the_contract_is_refused():
    with pytest.raises(ConfigError, match="unknown species 'CFC-11'"):
        table_of(read_text(gcwerks_c(simple()), "x.C", species="CFC-11"))


def test_ingest_writes_indexes_skips_and_goes_on(tmp_path):
    store = ObservationStore(tmp_path / "store")
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text(noaa_text(simple(5)))
    bad.write_text("nothing of the kind")
    said = []
    first = ingest([good, bad], store, base=tmp_path, report=said.append)
    assert first == {"files": 2, "skipped": 0, "failed": 1, "rows": 5, "good": 5, "species": {"CO2": 5}}
    assert said[0].startswith("bad: ")
    rows = {r["path"]: r for r in store.index.read().to_pylist()}
    assert rows["good.txt"]["status"] == "done"
    assert (rows["good.txt"]["soundings"], rows["good.txt"]["mean_good"]) == (5, 401.0)
    assert rows["good.txt"]["version"] == "noaa_event_co2"
    assert rows["bad.txt"]["status"].startswith("bad: ")
    again = ingest([good, bad], store, base=tmp_path)
    assert (again["skipped"], again["failed"], again["rows"]) == (1, 1, 0)
    assert len(store.read("CO2")) == 5


def test_a_changed_file_is_read_again(tmp_path):
    store = ObservationStore(tmp_path / "store")
    path = tmp_path / "a.txt"
    path.write_text(noaa_text(simple(3)))
    ingest([path], store, base=tmp_path)
    path.write_text(noaa_text(simple(4)))
    assert ingest([path], store, base=tmp_path)["rows"] == 4


def test_a_file_of_several_species_fills_several_and_says_what_it_left_out(tmp_path):
    store = ObservationStore(tmp_path / "store")
    (tmp_path / "shangdianzi-medusa.18.C").write_text(gcwerks_c(simple(3)).replace("CFC-11", "NF3   "))
    (tmp_path / "shangdianzi-medusa.18.precisions.C").write_text(
        gcwerks_precisions(["200101"], [0.1], gases=("SF6", "NF3"))
    )
    (tmp_path / "sdz.picarro.hourly.10m.dat").write_text(gcwerks_crds(simple(3)))
    said = []
    found = ingest(sorted(tmp_path.glob("s*.*")), store, base=tmp_path, report=said.append)
    assert found["species"] == {"CH4": 3, "CO2": 3, "SF6": 3}
    assert (found["files"], found["failed"]) == (2, 0)  # the precisions belong to their file
    assert any(
        "1 species are not in the observation contract and were left out: NF3" in line for line in said
    )
    assert store.species() == ["CH4", "CO2", "SF6"]
    row = next(r for r in store.index.read().to_pylist() if r["path"].endswith(".dat"))
    assert (row["species"], row["unit"], row["mean_good"]) == ("CH4,CO2", "1e-9,1e-6", None)


def test_nothing_of_the_contract_in_a_file_is_a_bad_file(tmp_path):
    store = ObservationStore(tmp_path / "store")
    (tmp_path / "a.C").write_text(gcwerks_c(simple(3), gases=("CFC-11",)))
    assert ingest([tmp_path / "a.C"], store, base=tmp_path)["failed"] == 1


def test_both_x2007_and_x2019_of_tccon_by_name_only(sample_data, tmp_path):
    path = sample_data / "satellite/tccon/hw20230402_20230402.public.qc.nc"
    store = ObservationStore(tmp_path / "store")
    found = ingest([path], store, base=tmp_path)
    assert found["species"] == {"CO2": 64, "CH4": 64, "N2O": 64, "CO": 64}
    assert set(store.read("CO2")["source"].to_pylist()) == {"tccon_ggg2020_xco2"}
    other = ObservationStore(tmp_path / "x2019")
    ingest([path], other, base=tmp_path, options=Delivery(species=["CO2_X2019"]))
    assert set(other.read("CO2")["scale"].to_pylist()) == {"WMO CO2 X2019"}
    assert other.species() == ["CO2"]


def test_minutes_and_hours_of_one_analyser_are_two_products():
    minutes = read_text(gcwerks_crds(simple(step=60)), "sdz.picarro.1minute.10m.dat")
    hours = read_text(gcwerks_crds(simple()), "sdz.picarro.hourly.10m.dat")
    assert minutes.attrs["source"] == "gcwerks_picarro-1minute_co2"
    assert hours.attrs["source"] == "gcwerks_picarro-hourly_co2"
