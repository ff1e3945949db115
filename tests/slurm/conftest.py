"""A SLURM of one node and an MPI, both real; skipped, with the reason, where programs or root are missing."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.retrieval.granules import week

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = ROOT / "scripts" / "sandbox_slurm.sh"
OBSNET = [sys.executable, "-m", "obsnet"]


def lacking(*programs):
    """Say what is missing, empty where nothing is."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return "wants the machine for itself: pytest -n 0 tests/slurm"
    missing = [p for p in programs if shutil.which(p) is None]
    return f"not installed: {', '.join(missing)} (see .ci/run)" if missing else ""


@pytest.fixture(scope="session")
def environment():
    """Variables of a user who runs this tree, as root on a small machine."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }


def free_ports():
    """Return a port that nobody listens at, nor at the next one."""
    for port in range(17000 + os.getpid() % 1000 * 10, 60000):
        with socket.socket() as one, socket.socket() as two, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            two.bind(("127.0.0.1", port + 1))
            return port
    raise RuntimeError("no free port")


@pytest.fixture(scope="session")
def slurm(environment):
    """Return the environment in which sbatch finds a cluster of its own."""
    why = lacking("munged", "slurmctld", "slurmd", "sbatch") or ("" if os.geteuid() == 0 else "needs root")
    if why:
        pytest.skip(f"SLURM: {why}")
    pytest.importorskip(
        "dask_jobqueue", reason="SLURM: dask-jobqueue is not installed; pip install 'obsnet[hpc]'"
    )
    folder = tempfile.mkdtemp(prefix="slurm-", dir="/tmp")  # sockets have short names
    try:
        call = ["bash", SANDBOX, "start", folder]
        ports = {**environment, "SANDBOX_SLURM_PORT": str(free_ports())}
        done = subprocess.run(call, env=ports, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield {**environment, "SLURM_CONF": f"{folder}/slurm.conf"}
    finally:
        subprocess.run(["bash", SANDBOX, "stop", folder], check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mpi(environment):
    """Return how ranks are started."""
    why = lacking("mpirun")
    if why:
        pytest.skip(f"MPI: {why}")
    for name in ("dask_mpi", "mpi4py"):
        pytest.importorskip(name, reason=f"MPI: {name} is not installed; pip install 'obsnet[hpc]'")
    return ["mpirun", "--oversubscribe", "-n"]


@pytest.fixture(scope="session")
def granules(tmp_path_factory):
    """Return a folder of eight granules."""
    folder = tmp_path_factory.mktemp("granules")
    week(folder, days=8)
    return folder


@pytest.fixture(scope="session")
def undisturbed(granules, tmp_path_factory, environment):
    """Return the store that one process makes of them, row by row."""
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    call = [*OBSNET, "ingest", granules, "--out", store, "--scheduler", "serial"]
    subprocess.run(list(map(str, call)), env=environment, check=True, capture_output=True)
    return store
