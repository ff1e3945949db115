"""Dask wherever it runs: kept within a session, files that crash a worker, a scheduler that is gone, job scripts."""

from __future__ import annotations

import ctypes
import os
import shlex
import subprocess
import sys

import dask
import pytest

from obsnet.config import validate
from obsnet.errors import ClusterError, ConfigError, DependencyError
from obsnet.pipeline import read_case
from obsnet.work.cluster import job_script, map_dask, session
from obsnet.work.parallel import map_unordered
from obsnet.work.work import Cluster, Work

LO = {"interface": "lo"}


def process_id(_item):
    return os.getppid()  # the nanny's, or its leader's


def threads(_item):
    return {k: os.environ.get(k) for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}


def crash(item):
    if item == 2:
        ctypes.string_at(0)
    return item


def fail(item):
    raise ValueError(f"item {item}")


def test_a_file_that_crashes_its_library_costs_no_worker():
    found = dict(
        map_unordered(crash, range(5), Work(scheduler="dask", workers=2), on_death=lambda _item, why: why)
    )
    assert {k: v for k, v in found.items() if k != 2} == {0: 0, 1: 1, 3: 3, 4: 4}
    assert "killed by SIGSEGV" in found[2]


def test_an_error_comes_through_as_it_is():
    with pytest.raises(ValueError, match="item"):
        list(map_unordered(fail, range(3), Work(scheduler="dask", workers=2)))


def test_workers_are_kept_within_a_session_and_pinned():
    work = Work(scheduler="dask", workers=2)
    with session():
        first = {v for _, v in map_unordered(process_id, range(6), work)}
        assert {v for _, v in map_unordered(process_id, range(6), work)} <= first
        (one,) = {tuple(v.items()) for _, v in map_unordered(threads, range(2), work)}
    assert set(dict(one).values()) == {"1"}


def test_a_scheduler_that_runs_already_and_one_that_is_gone():
    from distributed import LocalCluster

    cluster = LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address=None)
    work = validate(Work, {"scheduler": "connect", "address": cluster.scheduler_address})
    assert sorted(v for _, v in map_unordered(crash, [0, 1, 3], work)) == [0, 1, 3]
    each = map_dask(crash, list(range(10, 40)), work, 1, None)
    next(each)
    cluster.close()
    with pytest.raises(ClusterError, match="run again to go on"):
        list(each)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ClusterError, match=f"no Dask scheduler at {work.address}"),
    ):
        list(map_unordered(crash, [1], work))


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"scheduler": "connect"}, "needs the address of a running Dask scheduler"),
        ({"scheduler": "slurm"}, r"needs the network interface .* this machine has .*lo"),
        ({"scheduler": "mpi"}, "cluster-interface"),
        ({"cluster": {"walltime": "two hours"}}, "cluster.walltime = 'two hours'"),
        ({"cluster": {"memory": "much"}}, "cluster.memory = 'much'"),
        ({"cluster": {"setup": ["a\nrm -r ."]}}, "a line each"),
        ({"cluster": {"que": "work"}}, "unknown key 'cluster.que'; nearest: 'queue'"),
    ],
)
def test_faults_are_one_line(table, fault):
    with pytest.raises(ConfigError, match=fault):
        validate(Work, table)


def test_other_words():
    assert validate(Work, {"scheduler": "local"}).scheduler == "processes"
    assert Cluster(walltime="1-02:00:30").seconds == 93630


def test_a_task_of_an_array_knows_its_shard(monkeypatch):
    work = validate(Work, {"scheduler": "array", "cluster": {"shards": 5}})
    for variable in ("SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "SGE_TASK_ID"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ConfigError, match="this is no task of a job array"):
        _ = work.part
    monkeypatch.setenv("SGE_TASK_ID", "undefined")  # what it says outside of an array
    with pytest.raises(ConfigError, match="this is no task of a job array"):
        _ = work.part
    monkeypatch.setenv("PBS_ARRAY_INDEX", "3")
    assert work.part == (2, 5)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "6")
    with pytest.raises(ConfigError, match=r"this is task 6; tasks go from 1 to cluster.shards = 5"):
        _ = work.part


def test_the_table_cluster_of_a_case_is_the_one_of_the_flags(tmp_path):
    data = {
        "run": {"name": "t", "scheduler": "slurm"},
        "cluster": {"interface": "lo", "queue": "work"},
        "ingest": {"files": ["a"]},
    }
    case, _ = read_case(data, tmp_path / "case.toml")
    assert (case.run.cluster.queue, case.run.cluster.interface) == ("work", "lo")
    with pytest.raises(ConfigError, match=r"\[cluster\]: unknown key 'queu'"):
        read_case({**data, "cluster": {"queu": "a"}}, tmp_path / "case.toml")


@pytest.mark.parametrize(("system", "mark"), [("slurm", "#SBATCH"), ("pbs", "#PBS"), ("sge", "#$")])
def test_job_scripts_quote_what_they_are_given(system, mark, tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue")
    monkeypatch.chdir(tmp_path)
    hostile = "a; touch broken `touch broken` $(touch broken)"
    table = {"queue": hostile, "local_directory": hostile, "directives": ["--exclusive"], "cores": 2, **LO}
    text = job_script(validate(Work, {"scheduler": system, "cluster": {**table, "walltime": "02:00:00"}}))
    assert f"{mark} --exclusive" in text
    assert "export OMP_NUM_THREADS=1" in text
    assert "export HDF5_USE_FILE_LOCKING=FALSE" in text
    assert "--nthreads 1 " in text
    assert "--nworkers 2 " in text
    assert "--lifetime 6840s" in text
    assert shlex.quote(hostile) in text
    body = "\n".join(line for line in text.splitlines() if not line.startswith(mark))
    body = body.replace(f"{shlex.quote(sys.executable)} -m", "true")
    assert "true distributed" in body
    subprocess.run(["bash", "-c", body], cwd=tmp_path, capture_output=True, check=False)
    assert not (tmp_path / "broken").exists()


@pytest.mark.slow
def test_a_performance_report_is_written_when_the_workers_end(tmp_path, monkeypatch):
    wanted = tmp_path / "deep" / "report.html"
    table = {"scheduler": "dask", "workers": 2, "cluster": {"performance_report": str(wanted)}}
    work = validate(Work, table)
    with monkeypatch.context() as patch:
        patch.setattr("obsnet.work.cluster.find_spec", lambda _name: None)
        with pytest.raises(DependencyError, match=r"performance_report needs bokeh: pip install bokeh"):
            list(map_unordered(crash, [0, 1], work))
    pytest.importorskip("bokeh")
    with session():
        assert len(list(map_unordered(crash, [0, 1], work))) == 2
        assert not wanted.exists()
    assert "performance" in wanted.read_text().lower()
