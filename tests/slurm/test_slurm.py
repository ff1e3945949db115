"""Jobs of a real SLURM: arrays in a chain, workers in jobs; one is killed, and nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from obsnet.cf import read_netcdf
from obsnet.chain import chain, write_scripts
from obsnet.config import read_toml
from obsnet.errors import UnfinishedError
from obsnet.pipeline import read_case, up_to
from obsnet.seal import read_json
from obsnet.store import ObservationStore
from obsnet.work.shards import require_finished
from tests.inversion.case.files import write_case
from tests.slurm.conftest import OBSNET, ROOT
from tests.waiting import wait_for, wait_for_some

ASKED = [
    "--scheduler",
    "slurm",
    "--cluster-queue",
    "work",
    "--cluster-memory",
    "1GB",
    "--cluster-interface",
    "lo",
]
CASE = """
[run]
name = "a week; and a name with blanks"
[cluster]
queue = "work"
memory = "1GB"
interface = "lo"
shards = 3
[ingest]
files = ["{granules}"]
[superobs]
species = "CO2"
errors = "baker2022_co2"
[grid]
store = "superobs"
species = "CO2"
grid = "-60,60,-180,180,10"
start = "2018-01-01"
stop = "2018-01-09"
folds = 0
"""


def obsnet(slurm, folder, *arguments):
    call = [*OBSNET, *map(str, arguments)]
    return subprocess.run(call, env=slurm, cwd=folder, capture_output=True, text=True, check=False)


def states(slurm):
    """Return the jobs that have not ended, by number, with their state."""
    call = ["squeue", "-h", "-r", "-o", "%i %T"]
    lines = subprocess.run(call, env=slurm, capture_output=True, text=True, check=True).stdout.splitlines()
    found = dict(line.split() for line in lines)
    return {k: v for k, v in found.items() if v in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING")}


def wait_until_over(slurm):
    wait_for(lambda: not states(slurm), "empty queue", seconds=300.0)


def test_a_chain_of_arrays_of_which_one_task_is_killed(slurm, granules, undisturbed, tmp_path):
    folder = tmp_path / "a folder's name"
    folder.mkdir()
    (folder / "case.toml").write_text(CASE.format(granules=granules))
    first = obsnet(slurm, folder, "run", "case.toml", "--submit")
    assert first.returncode == 0, first.stderr
    numbers = json.loads((folder / "run" / ".jobs" / "numbers.json").read_text())
    assert list(numbers) == ["01-ingest", "02-superobs", "03-grid"]
    store = folder / "run" / "store"
    wait_for(lambda: list(store.glob("_shards/*/3of3.json")), "third task at work")
    os.kill(read_json(next(store.glob("_shards/*/3of3.json")))["pid"], signal.SIGKILL)
    wait_until_over(slurm)
    with pytest.raises(UnfinishedError, match=r"ingest, of 3 shards: 3 (never ran|began)"):
        require_finished(store)
    assert not (folder / "run" / "superobs").exists()  # what depends on it did not begin
    second = obsnet(slurm, folder, "run", "case.toml", "--submit")
    assert second.returncode == 0, second.stderr
    wait_until_over(slurm)
    log = "".join(p.read_text() for p in (folder / "logs").iterdir())
    assert ObservationStore(store).read("CO2").equals(ObservationStore(undisturbed).read("CO2")), log
    assert require_finished(folder / "run" / "superobs") == ""
    record = json.loads((folder / "run" / "run.json").read_text())
    assert set(record["stages"]) == {"ingest", "superobs", "grid"}
    assert record["job"]["SLURM_JOB_ID"].isdigit()
    with xr.open_dataset(folder / "run" / "maps" / "columns.nc", engine="netcdf4") as data:
        assert "unfinished_inputs" not in data.attrs


def test_workers_in_jobs_of_which_one_is_killed(slurm, granules, undisturbed, tmp_path):
    call = [*OBSNET, "ingest", str(granules), "--out", "store", "--workers", "2", *ASKED]
    work = subprocess.Popen(
        call, env=slurm, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for_some(work, tmp_path / "store")
    running = [job for job, state in states(slurm).items() if state == "RUNNING"]
    subprocess.run(["scancel", "--signal=KILL", "--full", running[0]], env=slurm, check=True)
    out, err = work.communicate(timeout=180)
    assert work.returncode == 0, err
    assert "8 files: 320 soundings" in out
    assert ObservationStore(tmp_path / "store").read("CO2").equals(ObservationStore(undisturbed).read("CO2"))

    wait_until_over(slurm)  # nothing of it stays in the queue


def test_the_process_that_leads_is_killed_and_its_jobs_end_too(slurm, granules, undisturbed, tmp_path):
    call = [*OBSNET, "ingest", str(granules), "--out", "store", *ASKED]
    work = subprocess.Popen(call, env=slurm, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_some(work, tmp_path / "store")
    work.kill()
    work.communicate(timeout=60)

    wait_until_over(slurm)
    with pytest.raises(UnfinishedError, match="ingest of 8 items began"):
        require_finished(tmp_path / "store")
    again = obsnet(slurm, tmp_path, "ingest", granules, "--out", "store", "--scheduler", "serial")
    assert again.returncode == 0, again.stderr
    assert ObservationStore(tmp_path / "store").read("CO2").equals(ObservationStore(undisturbed).read("CO2"))


STUB = """#!/bin/bash
if [ "${{SLURM_RESTART_COUNT:-0}}" = 0 ]; then
    trap 'exit 75' TERM
    touch begun
    sleep 60 &
    wait
fi
exec {obsnet} "$@"
"""


def test_a_job_that_ends_with_75_when_told_is_handed_in_again(slurm, granules, undisturbed, tmp_path):
    path = tmp_path / "case.toml"
    path.write_text(CASE.format(granules=granules).replace("shards = 3", "shards = 1"))
    case, steps = read_case(read_toml(path), path)
    (tmp_path / "stub").write_text(STUB.format(obsnet=shlex.join(OBSNET)))
    (tmp_path / "stub").chmod(0o755)
    (job,) = chain(case, up_to(steps, "ingest"), path, program=[str(tmp_path / "stub")])
    (script,) = write_scripts([job], tmp_path)
    (tmp_path / "logs").mkdir()
    call = ["sbatch", "--parsable", str(script)]
    number = subprocess.run(
        call, env=slurm, cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.strip()
    wait_for((tmp_path / "begun").exists, "job at work")
    subprocess.run(["scancel", "--batch", "--signal=TERM", number], env=slurm, check=True)
    wait_for(lambda: states(slurm).get(number) == "PENDING", "job that was handed in again")
    # SLURM lets two minutes pass before it begins a job again
    subprocess.run(["scontrol", "update", f"JobId={number}", "StartTime=now"], env=slurm, check=True)

    wait_until_over(slurm)
    assert (
        ObservationStore(tmp_path / "run" / "store")
        .read("CO2")
        .equals(ObservationStore(undisturbed).read("CO2"))
    )


def test_the_templates_are_what_is_handed_in(tmp_path):
    sys.path.insert(0, str(ROOT / "scripts"))
    from make_slurm import SLURM, templates

    for made in templates(tmp_path):
        assert made.read_text() == (SLURM / made.name).read_text(), f"run scripts/make_slurm.py: {made.name}"


def test_a_map_and_an_inversion_on_workers_in_jobs(slurm, undisturbed, tmp_path):
    """What one process makes: the map bit for bit, the inversion to rounding."""
    asked = [
        "--species",
        "CO2",
        "--grid",
        "-60,60,-180,180,20",
        "--start",
        "2018-01-01",
        "--stop",
        "2018-01-09",
    ]
    asked += [
        "--method",
        "kriging",
        "--folds",
        "0",
        "--window-days",
        "2",
        "--step",
        "4D",
        "--reach-km",
        "2000",
    ]
    write_case(tmp_path)
    for how, more in (("here", ["--scheduler", "serial"]), ("there", ASKED)):
        made = obsnet(slurm, tmp_path, "grid", undisturbed, *asked, "--out", f"{how}.nc", *more)
        assert made.returncode == 0, made.stderr
        solved = obsnet(
            slurm, tmp_path, "invert", "case.toml", "--set", "invert.page=false", "--out", how, *more
        )
        assert solved.returncode == 0, solved.stderr
    assert "the Jacobian is on the workers" in solved.stderr
    here, there = (read_netcdf(tmp_path / f"{how}.nc") for how in ("here", "there"))
    assert int(np.isfinite(here["xco2"].values).sum()) > 0
    for name in ("xco2", "xco2_uncertainty"):
        np.testing.assert_array_equal(there[name].values, here[name].values)
    here, there = (read_netcdf(tmp_path / how / "posterior.nc") for how in ("here", "there"))
    for name in ("region_total", "total_covariance"):
        np.testing.assert_allclose(there[name].values, here[name].values, rtol=1e-8)
    wait_until_over(slurm)
