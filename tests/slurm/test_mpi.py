"""Ranks of a real MPI: the same rows as one process; an error ends every rank; a killed rank costs a second run."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from obsnet.cf import read_netcdf
from obsnet.errors import UnfinishedError
from obsnet.store import ObservationStore
from obsnet.work.shards import require_finished
from tests.inversion.case.files import write_case
from tests.retrieval.granules import granule
from tests.slurm.conftest import OBSNET
from tests.waiting import wait_for

ASKED = ["--scheduler", "mpi", "--cluster-interface", "lo", "--cluster-memory", "1GB"]
GRANULES = 56  # more than the other worker does before mpirun has ended it
LONG = 300.0  # seconds; a rank that hangs would wait for ever


def ranks(*arguments, mpi, n=4):
    return [*mpi, str(n), *OBSNET, *map(str, arguments), *ASKED]


def rank_of(pid):
    """Return the rank of a process, None where it is none."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    own = [v.partition(b"=")[2] for v in variables if v.startswith(b"OMPI_COMM_WORLD_RANK=")]
    return int(own[0]) if own else None


def test_a_rank_is_killed_and_the_same_command_goes_on(mpi, environment, tmp_path):
    granules = tmp_path / "granules"
    granules.mkdir()
    for k in range(GRANULES):
        granule(granules, f"18{k // 28 + 1:02d}{k % 28 + 1:02d}", seed=k)
    alone = [*OBSNET, "ingest", granules, "--out", tmp_path / "undisturbed", "--scheduler", "serial"]
    subprocess.run(list(map(str, alone)), env=environment, check=True, capture_output=True)
    call = ranks("ingest", granules, "--out", "store", mpi=mpi)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    work = subprocess.Popen(call, env=environment, cwd=tmp_path, **pipes)
    store = ObservationStore(tmp_path / "store")
    # the plan stands before any granule is read, so that the rank dies before the work is done
    wait_for(lambda: work.poll() is not None or any(store.path.glob("_shards/*/plan.json")), "plan")
    children = Path(f"/proc/{work.pid}/task/{work.pid}/children").read_text().split()
    victim = next(int(pid) for pid in children if rank_of(pid) == 2)
    os.kill(victim, signal.SIGKILL)
    work.communicate(timeout=LONG)
    assert work.returncode != 0
    with pytest.raises(UnfinishedError, match=f"ingest of {GRANULES} items (began|failed)"):
        require_finished(store.path)
    done = subprocess.run(call, env=environment, cwd=tmp_path, timeout=LONG, check=False, **pipes)
    assert done.returncode == 0, done.stderr
    assert f"{GRANULES} files" in done.stdout.splitlines()[-1]
    assert done.stdout.count(f"{GRANULES} files") == 1  # one rank speaks
    assert store.read("CO2").equals(ObservationStore(tmp_path / "undisturbed").read("CO2"))
    assert require_finished(store.path) == ""


def test_an_error_of_the_command_ends_every_rank(mpi, environment, undisturbed, tmp_path):
    call = ranks("superobs", undisturbed, "--out", "s", "--species", "CO2", "--source", "none", mpi=mpi, n=3)
    done = subprocess.run(
        call, env=environment, cwd=tmp_path, timeout=LONG, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("obsnet: ")] == [
        f"obsnet: {undisturbed} has no CO2 source 'none'; there is: 'oco2_lite_v9'"
    ]


def test_two_ranks_are_too_few(mpi, environment, undisturbed, tmp_path):
    call = ranks("superobs", undisturbed, "--species", "CO2", mpi=mpi, n=2)
    done = subprocess.run(
        call, env=environment, cwd=tmp_path, timeout=LONG, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "2 ranks; a scheduler, the command and a worker are 3" in done.stderr


def test_an_inversion_on_ranks_is_that_of_one_process(mpi, environment, tmp_path):
    write_case(tmp_path)
    asked = ["invert", "case.toml", "--set", "invert.page=false", "--out"]
    serial = [*OBSNET, *asked, "here", "--scheduler", "serial"]
    for call in (serial, ranks(*asked, "there", mpi=mpi, n=3)):
        done = subprocess.run(
            call, env=environment, cwd=tmp_path, timeout=LONG, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "the Jacobian is on the workers" in done.stderr
    here, there = (read_netcdf(tmp_path / how / "posterior.nc") for how in ("here", "there"))
    for name in ("region_total", "total_covariance"):
        np.testing.assert_allclose(there[name].values, here[name].values, rtol=1e-8)
