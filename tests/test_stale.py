"""Nothing is stale: a stage runs again whenever anything that it reads has changed, and only then.

What a stage reads is found out by an independent witness, the time of access that the file system keeps of each file.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from obsnet.pipeline import contents_of, inputs_of, read_case, run_case
from obsnet.work.shards import FOLDER
from tests.cases import WORLDS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=sorted(WORLDS))
def world(request, tmp_path_factory):
    made = WORLDS[request.param](tmp_path_factory.mktemp(request.param))
    go(made)
    return made


def go(world, said=None):
    case, steps = read_case(world.data, world.folder / "case.toml")
    return run_case(case, steps, report=(said if said is not None else []).append)


def test_a_second_run_does_nothing(world):
    said = []
    again = go(world, said)
    assert all(record["skipped"] for record in again.values()), said
    assert all(line.endswith(": done before") for line in said)


def test_each_changed_input_makes_its_stage_run_again_and_is_named(world):
    go(world)  # whatever an earlier test left
    for stage, changes in world.changes.items():
        for name, change in changes.items():
            change()
            said = []
            record = go(world, said)[stage]
            assert not record["skipped"], f"[{stage}]: {name}"
            assert name in record["because"], f"[{stage}]: {name}: {record['because']}"
            assert f"{stage} … ({record['because']})" in said
            after = go(world)
            # one more round for what changed in the folder of an earlier stage; then all is quiet
            assert all(r["skipped"] for r in after.values()), f"[{stage}]: {name}: {after}"


def opened(folder: Path, run) -> set[Path]:
    """Return the files below a folder that are read while something runs."""
    files = {p: p.stat() for p in folder.rglob("*") if p.is_file()}
    for path, about in files.items():
        os.utime(path, ns=(0, about.st_mtime_ns))
    run()
    now = {p: p.stat() for p in files if p.exists()}
    # what was written anew is another file of that name
    return {p for p, about in now.items() if about.st_ino == files[p].st_ino and about.st_atime_ns != 0}


def test_all_that_is_read_is_an_input(tmp_path, world):
    (tmp_path / "x").write_text("x")
    if not opened(tmp_path, (tmp_path / "x").read_text):
        pytest.skip("this file system keeps no times of access")
    case, steps = read_case(world.data, world.folder / "case.toml")
    go(world)
    for stage, options in steps:
        known = contents_of(case)
        declared = {case.folder / name for name in inputs_of(case, stage, options, known)}
        read = opened(world.folder, lambda: stage.run(options, case))  # noqa: B023 - called at once
        own = _own(case.out, stage.name)
        # plans of shards say whether an earlier stage has ended, and are no numbers
        strange = {
            p for p in read - declared if FOLDER not in p.parts and not any(p.is_relative_to(f) for f in own)
        }
        assert not strange, f"[{stage.name}] reads what it does not declare: {sorted(strange)}"


def _own(out: Path, stage: str) -> list[Path]:
    """Return where a stage keeps its own restart: what it finds there it has made itself, and checks."""
    return {
        "ingest": [out / "store"],
        "stations": [out / "store"],
        "superobs": [out / "superobs"],
        "footprints": [out / "footprints"],
        "invert": [out / f"restart{n}.npz" for n in ("", "-1", "-2")],
    }.get(stage, [])


def test_an_input_that_is_no_longer_named_leaves_nothing_behind(tmp_path):
    """The store holds what the case names today, as if it had never been otherwise."""
    from obsnet.store import ObservationStore

    made = WORLDS["satellite"](tmp_path)
    go(made)
    store = ObservationStore(tmp_path / "run" / "store")
    both = len(store.read("CO2"))
    granules = sorted((tmp_path / "granules").iterdir())
    later = tmp_path / granules[1].name
    granules[1].rename(later)
    said = []
    go(made, said)
    assert len(store.read("CO2")) == both // 2
    assert any("files of an earlier run removed" in line for line in said)
    status = {r["path"]: r["status"] for r in store.index.read().to_pylist()}
    assert status[str(granules[1])] == "removed: the case no longer names it"
    later.rename(granules[1])
    go(made)
    assert len(store.read("CO2")) == both


def test_a_lost_part_is_made_again(tmp_path):
    from obsnet.store import ObservationStore

    for name in ("satellite", "stations"):
        made = WORLDS[name](tmp_path / name) if (tmp_path / name).mkdir() is None else None
        assert made is not None
        go(made)
        store = ObservationStore(made.folder / "run" / "store")
        rows = len(store.read("CO2"))
        store.files()[0].unlink()
        go(made)
        assert len(store.read("CO2")) == rows


def test_numbers_follow_a_sensor_table(tmp_path):
    """The case of a table that names another value: the store holds the other value, not the first."""
    from obsnet.store import ObservationStore

    made = WORLDS["satellite"](tmp_path)
    del made.data["ingest"]["correction"]
    go(made)
    store = ObservationStore(tmp_path / "run" / "store")
    first = store.read("CO2")["value"].to_numpy().mean()
    table = tmp_path / "own" / "oco2_lite.toml"
    table.write_text(table.read_text() + '\n[variables.value]\npath = "Retrieval/xco2_raw"\nunit = "ppm"\n')
    go(made)
    assert abs(store.read("CO2")["value"].to_numpy().mean() - first) > 1e-3


def test_another_version_of_the_algorithm_is_another_result(tmp_path, monkeypatch):
    from dataclasses import replace

    from obsnet import pipeline

    made = WORLDS["own_tables"](tmp_path)
    go(made)
    real = pipeline.load_stages
    newer = lambda names=None: {k: replace(s, version=s.version + 1) for k, s in real(names).items()}  # noqa: E731
    monkeypatch.setattr(pipeline, "load_stages", newer)
    now = real()["stations"].version
    assert go(made)["stations"]["because"] == f"its algorithm is now version {now + 1}, then {now}"
