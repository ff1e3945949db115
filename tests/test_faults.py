"""Faults of machines: after each the same command goes on, and the rows are those of a run that nobody disturbed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from obsnet.config import read_toml
from obsnet.errors import UnfinishedError
from obsnet.pipeline import read_case, run_case
from obsnet.store import ObservationStore
from obsnet.work.shards import require_finished
from tests.retrieval.granules import granule
from tests.waiting import wait_for_some

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def granules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("granules")
    for day in range(1, 7):
        granule(folder, f"1801{day:02d}", n=400, seed=day)
    return folder


@pytest.fixture(scope="module")
def undisturbed(granules, tmp_path_factory):
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    assert ingest(granules, store).returncode == 0
    return ObservationStore(store).read("CO2")


def command(granules, store, *more):
    call = [
        sys.executable,
        "-m",
        "obsnet",
        "ingest",
        granules,
        "--out",
        store,
        *(() if "--scheduler" in more else ("--scheduler", "serial")),
        *more,
    ]
    return list(map(str, call))


def ingest(granules, store, *more):
    return subprocess.run(
        command(granules, store, *more), cwd=ROOT, capture_output=True, text=True, check=False
    )


def begun(granules, store, *more):
    """Start an ingest and wait until it has written something."""
    process = subprocess.Popen(
        command(granules, store, *more), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for_some(process, store)
    return process


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_leader_that_is_killed(granules, undisturbed, tmp_path, number):
    process = begun(granules, tmp_path / "store", "--scheduler", "processes", "--workers", "2")
    process.send_signal(number)
    process.communicate(timeout=120)
    if process.returncode:  # else it had just done its work
        with pytest.raises(UnfinishedError, match="ingest of 6 items"):
            require_finished(tmp_path / "store")
    assert ingest(granules, tmp_path / "store").returncode == 0
    assert ObservationStore(tmp_path / "store").read("CO2").equals(undisturbed)
    assert require_finished(tmp_path / "store") == ""


def test_two_runs_on_one_store_at_once(granules, undisturbed, tmp_path):
    other = begun(granules, tmp_path / "store")
    assert ingest(granules, tmp_path / "store").returncode == 0
    other.communicate(timeout=120)
    assert other.returncode == 0
    assert ObservationStore(tmp_path / "store").read("CO2").equals(undisturbed)
    assert require_finished(tmp_path / "store") == ""


@pytest.fixture
def small_disk(tmp_path):
    """Return a disk of 300 kB, and how it is made another."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=300k", "none", disk], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("a disk of its own needs root and mount")
    try:
        yield disk, lambda how: subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_disk_that_is_full_and_one_that_is_read_only(granules, undisturbed, small_disk):
    disk, change = small_disk
    store = disk / "store"
    full = ingest(granules, store)
    assert full.returncode == 75
    assert "No space left on device" in full.stderr
    with pytest.raises(UnfinishedError, match="ingest of 6 items"):
        require_finished(store)
    change("size=20m,ro")
    locked = ingest(granules, store)
    assert locked.returncode == 75
    assert "Read-only file system" in locked.stderr
    change("rw")
    assert ingest(granules, store).returncode == 0
    assert ObservationStore(store).read("CO2").equals(undisturbed)
    assert require_finished(store) == ""


def test_a_file_that_vanishes_and_comes_back(granules, undisturbed, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(granules, folder)
    script = (
        "import sys; from pathlib import Path; import retrieval.ingest.run as run; from obsnet.cli import main\n"
        "plan = run.make_plan\n"
        "def planned(paths, *a, **k):\n"
        "    made = plan(paths, *a, **k); Path(paths[2]).rename(sys.argv[1] + '/kept'); return made\n"
        "run.make_plan = planned\n"
        "main(['ingest', sys.argv[2], '--out', sys.argv[3], '--scheduler', 'serial'])\n"
    )
    call = [sys.executable, "-c", script, str(tmp_path), str(folder), str(tmp_path / "store")]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "1 of 6 files bad" in done.stdout
    assert "No such file" in done.stdout
    (tmp_path / "kept").rename(folder / sorted(p.name for p in granules.iterdir())[2])
    assert ingest(folder, tmp_path / "store").returncode == 0
    assert ObservationStore(tmp_path / "store").read("CO2").equals(undisturbed)


def test_a_case_that_was_copied_elsewhere_is_done(granules, tmp_path):
    first = tmp_path / "first"
    shutil.copytree(granules, first / "in")
    (first / "case.toml").write_text('[run]\nname = "t"\nscheduler = "serial"\n[ingest]\nfiles = ["in"]\n')

    def go(folder):
        path = folder / "case.toml"
        return run_case(*read_case(read_toml(path), path))["ingest"]

    assert not go(first)["skipped"]
    second = tmp_path / "second"
    shutil.copytree(first, second)  # with times of its own
    assert go(second) == {**go(first), "skipped": True}
    # and where its stage runs all the same, as after a kill there
    shutil.rmtree(second / "run" / ".stages")
    (record,) = (second / "run" / "store" / "_shards").glob("*/1of1.json")
    record.unlink()
    with pytest.raises(UnfinishedError):
        require_finished(second / "run" / "store")
    again = go(second)
    assert (again["failed"], again["files"], again["soundings"]) == (0, 6, 2400)
    assert len(ObservationStore(second / "run" / "store").read("CO2")) == 2400
    assert require_finished(second / "run" / "store") == ""


@pytest.mark.parametrize("mask", [0o027, 0o002])
def test_outputs_follow_the_mask_of_their_owner(granules, tmp_path, mask):
    done = subprocess.run(
        command(granules, tmp_path / "store", "--shard", "1/6"),
        cwd=ROOT,
        umask=mask,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0
    written = [tmp_path / "store", *(tmp_path / "store").rglob("*")]
    assert {p.stat().st_mode & 0o777 for p in written if p.is_file()} == {0o666 & ~mask}
    assert {p.stat().st_mode & 0o777 for p in written if p.is_dir()} == {0o777 & ~mask}
