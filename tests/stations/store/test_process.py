"""From files to the store with scale, rules and budget; one scale a run."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError, ScaleError, UnfinishedError
from obsnet.schema import Quality
from obsnet.store import ObservationStore
from obsnet.work.shards import require_finished
from obsnet.work.work import Work
from stations.record.file import write_record
from stations.store.ingest import ingest
from stations.store.options import Delivery
from stations.store.process import OneScale, fingerprint, process_record
from tests.stations.made import make_record


@pytest.fixture
def files(tmp_path):
    value = np.full(48, 400.0)
    value[10] = 4999
    write_record(make_record(value, scale="WMO CO2 X2007", uncertainty=0.1), tmp_path / "old.nc")
    write_record(make_record(np.full(48, 410.0), uncertainty=0.1, start="2021-01-01"), tmp_path / "new.nc")
    return [tmp_path / "old.nc", tmp_path / "new.nc"]


RULES = '[[rule]]\nkind="range"\nmaximum=600\n[[rule]]\nkind="hours"\nfirst=12\nlast=16\n'
BUDGET = 'floor=0.5\n[[term]]\nname="p"\nkind="random"\nvariable="uncertainty"\n'


@pytest.fixture
def process(tmp_path):
    (tmp_path / "r.toml").write_text(RULES)
    (tmp_path / "b.toml").write_text(BUDGET)
    return Delivery(
        to_scale={"CO2": "X2019"}, rules=[str(tmp_path / "r.toml")], budget=str(tmp_path / "b.toml")
    )


def test_the_store_holds_processed_rows(files, process, tmp_path):
    store = ObservationStore(tmp_path / "store")
    total = ingest(files, store, base=tmp_path, options=process)
    assert total["failed"] == 0
    table = store.read("CO2").to_pandas()
    assert len(table) == 96
    assert set(table["scale"]) == {"WMO CO2 X2019"}
    assert (table["uncertainty"] == 0.5).all()
    assert table["uncertainty_systematic"].max() == pytest.approx(0.05)
    assert (
        (table["quality"] & int(Quality.HOURS)) > 0
    ).sum() == 79  # 80 rows outside; one is out of range first
    assert ((table["quality"] & int(Quality.RANGE)) > 0).sum() == 1


def test_changed_rules_do_the_files_again_and_unchanged_do_not(files, process, tmp_path):
    store = ObservationStore(tmp_path / "store")
    ingest(files, store, base=tmp_path, options=process)
    assert ingest(files, store, base=tmp_path, options=process)["skipped"] == 2
    (tmp_path / "r.toml").write_text(RULES.replace("600", "405"))
    assert ingest(files, store, base=tmp_path, options=process)["skipped"] == 0
    assert len(store.read("CO2")) == 96
    plain = Delivery(mixed_scales=True)
    assert ingest(files, store, base=tmp_path, options=plain)["skipped"] == 0  # plain again


def test_a_run_that_would_mix_scales_stops(files, tmp_path):
    store = ObservationStore(tmp_path / "store")
    with pytest.raises(ScaleError, match=r"X2007' in .*old.nc and on 'WMO CO2 X2019' in .*new.nc.*to_scale"):
        ingest(files, store, base=tmp_path)
    assert ingest(files, store, base=tmp_path, options=Delivery(mixed_scales=True))["failed"] == 0


def test_shards_that_each_see_one_scale_keep_to_that_of_the_first(files, tmp_path):
    store = ObservationStore(tmp_path / "store")
    assert ingest(files, store, base=tmp_path, work=Work(scheduler="serial", shard="1/2"))["rows"] == 48
    refused = r"CO2 is on .*X2007' in .*old.nc and on .*X2019' in .*new.nc; a store keeps to one scale"
    with pytest.raises(ScaleError, match=refused):
        ingest(files, store, base=tmp_path, work=Work(scheduler="serial", shard="2/2"))
    assert len(store.read("CO2")) == 48  # nothing of it was written
    with pytest.raises(UnfinishedError, match="of 2 shards: 2 failed: CO2 is on"):
        require_finished(store.path)
    converted = Delivery(to_scale={"CO2": "X2019"})
    for shard in ("1/2", "2/2"):
        work = Work(scheduler="serial", shard=shard)
        assert ingest(files, store, base=tmp_path, options=converted, work=work)["failed"] == 0
    assert set(store.read("CO2")["scale"].to_pylist()) == {"WMO CO2 X2019"}
    assert require_finished(store.path) == ""


def test_a_later_run_keeps_to_the_scale_of_the_store(files, tmp_path):
    store = ObservationStore(tmp_path / "store")
    ingest(files[:1], store, base=tmp_path)
    with pytest.raises(ScaleError, match="a store keeps to one scale"):
        ingest(files[1:], store, base=tmp_path)
    assert ingest(files[1:], store, base=tmp_path, options=Delivery(mixed_scales=True))["failed"] == 0


def test_a_record_that_mixes_scales_itself_stops_too():
    with pytest.raises(ScaleError, match="its rows are on several scales"):
        OneScale().check("CO2", "mixed", "made.txt")
    OneScale(mixed=True).check("CO2", "mixed", "made.txt")


def test_columns_pass_as_they_are_and_that_is_said(process):
    record = make_record([400.0])
    record.attrs["kind"] = "column"
    assert process_record(record, Delivery()) is record
    passed = process_record(record, process)
    assert passed.drop_attrs().identical(record.drop_attrs())
    assert "are for samples at a point and were not applied" in passed.attrs["warnings"][-1]


def test_fingerprint_names_what_is_done(process, tmp_path):
    before = fingerprint(process)
    assert before == fingerprint(process) != fingerprint(Delivery())
    (tmp_path / "b.toml").write_text(BUDGET.replace("0.5", "0.6"))
    assert fingerprint(process) != before


def test_a_faulty_table_stops_before_anything_is_read(files, tmp_path):
    with pytest.raises(ConfigError, match="no rule table 'x'"):
        ingest(files, ObservationStore(tmp_path / "store"), base=tmp_path, options=Delivery(rules=["x"]))
