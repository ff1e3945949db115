"""A case as a chain of jobs: who waits for whom, what a shell makes of it, and what is said without running."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from obsnet.chain import chain, submit
from obsnet.cli import main
from obsnet.errors import ClusterError, ConfigError, DependencyError
from obsnet.pipeline import read_case
from tests.retrieval.granules import week

HOSTILE = "a; touch $(touch broken) `touch broken` 'b'"


def case_of(folder, **cluster):
    data = {
        "run": {"name": HOSTILE},
        "cluster": {"queue": "work", "shards": 3, **cluster},
        "ingest": {"files": ["in"]},
        "superobs": {"species": "CO2"},
        "grid": {"species": "CO2", "grid": "0,1,0,1,1", "start": "2018-01-01", "stop": "2018-01-02"},
    }
    return read_case(data, folder / "case.toml")


def ran(job, folder, code="0", **variables):
    """Run a job's script with an obsnet that writes down its arguments and ends with a code; return its exit code."""
    (folder / "bin").mkdir(exist_ok=True)
    for name, text in (
        ("obsnet", f'printf "%s\\n" "$@" > arguments; exit {code}'),
        ("scontrol", 'echo "$@" >> requeued'),
    ):
        (folder / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / "bin" / name).chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    own = {**os.environ, "PATH": path, "SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", **variables}
    done = subprocess.run(
        ["bash", "-c", job.script], env=own, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode


def test_jobs_of_a_case(tmp_path):
    jobs = chain(*case_of(tmp_path), tmp_path / "case.toml", program=["obsnet"])
    assert [(j.name, j.tasks) for j in jobs] == [("01-ingest", 3), ("02-superobs", 3), ("03-grid", 0)]
    case, steps = case_of(tmp_path)
    assert [j.name for j in chain(case, steps[:2], tmp_path / "case.toml")] == [
        "01-ingest",
        "02-superobs",
        "03-end",
    ]
    case, steps = case_of(tmp_path, shards=1)
    assert [j.tasks for j in chain(case, steps, tmp_path / "case.toml")] == [0, 0, 0]


def test_every_argument_arrives_as_it_is(tmp_path):
    folder = tmp_path / HOSTILE
    folder.mkdir()
    override = f"run.name={HOSTILE}"
    first, _, last = chain(*case_of(folder), folder / "a case.toml", [override], program=["obsnet"])
    assert ran(first, folder) == 0
    given = (folder / "arguments").read_text().splitlines()
    assert given[:6] == ["run", "a case.toml", "--to", "ingest", "--set", override]
    assert given[-2:] == ["--shard", "2/3"]
    assert ran(last, folder) == 0
    assert "--to" not in (folder / "arguments").read_text().splitlines()  # the last job does whatever is left
    assert not list(tmp_path.rglob("broken"))


@pytest.mark.parametrize(
    ("code", "restarts", "ends", "again"),
    [
        ("0", "0", 0, False),
        ("1", "0", 0, False),
        ("2", "0", 2, False),
        ("75", "0", 75, True),
        ("75", "5", 75, False),
    ],
)
def test_exit_codes(tmp_path, code, restarts, ends, again):
    job = chain(*case_of(tmp_path), tmp_path / "case.toml", program=["obsnet"])[0]
    assert ran(job, tmp_path, code, SLURM_RESTART_COUNT=restarts) == ends
    assert (tmp_path / "requeued").exists() == again


def test_each_waits_for_the_one_before(tmp_path, monkeypatch):
    case, steps = case_of(tmp_path)
    jobs = chain(case, steps, tmp_path / "case.toml")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(DependencyError, match="no sbatch here; the scripts are in"):
        submit(jobs, case)
    (tmp_path / "bin").mkdir()
    fake = tmp_path / "bin" / "sbatch"
    fake.write_text(
        f"#!/bin/sh\necho \"$@\" >> {tmp_path}/calls\n/usr/bin/wc -l < {tmp_path}/calls | /usr/bin/tr -d ' '\n"
    )
    fake.chmod(0o755)
    assert submit(jobs, case) == {"01-ingest": "1", "02-superobs": "2", "03-grid": "3"}
    calls = (tmp_path / "calls").read_text().splitlines()
    assert "--dependency" not in calls[0]
    assert "--dependency=afterok:1 --kill-on-invalid-dep=yes" in calls[1]
    assert "--dependency=afterok:2" in calls[2]
    assert json.loads((tmp_path / "run" / ".jobs" / "numbers.json").read_text())["03-grid"] == "3"
    fake.write_text("#!/bin/sh\necho 'invalid partition' >&2\nexit 1\n")
    with pytest.raises(ClusterError, match="invalid partition"):
        submit(jobs, case)


def test_other_batch_systems_are_told(tmp_path):
    case, steps = read_case(
        {
            "run": {"name": "t", "scheduler": "pbs"},
            "cluster": {"interface": "lo"},
            "ingest": {"files": ["in"]},
        },
        tmp_path / "case.toml",
    )
    with pytest.raises(ConfigError, match="jobs are written for SLURM, not for pbs"):
        chain(case, steps, tmp_path / "case.toml")


def test_a_dry_run_says_what_there_is_and_writes_nothing(tmp_path, monkeypatch, capsys):
    week(tmp_path / "in", days=2)
    (tmp_path / "case.toml").write_text(
        '[run]\nname = "t"\n[cluster]\nshards = 2\n[ingest]\nfiles = ["in"]\n[footprints]\nmet = ["met/*.nc"]\n'
        'species = "CO2"\ngrid = { south = 0, north = 1, west = 0, east = 1, dlat = 1, dlon = 1 }\n'
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["run", "case.toml", "--dry-run"])
    assert not stop.value.code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("ingest: 2 files, ")
    assert lines[0].endswith("array of 2")
    assert lines[1].startswith("footprints: not known yet (no file matches 'met/*.nc'")
    assert "--- 01-ingest" in lines
    assert sorted(p.name for p in tmp_path.iterdir()) == ["case.toml", "in"]


def test_a_dry_run_of_workers_in_jobs_shows_their_job(tmp_path, monkeypatch, capsys):
    pytest.importorskip("dask_jobqueue")
    week(tmp_path / "in", days=1)
    text = '[run]\nname = "t"\nscheduler = "pbs"\n[cluster]\ninterface = "lo"\nqueue = "long"\n'
    text += '[ingest]\nfiles = ["in"]\n'
    (tmp_path / "case.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["run", "case.toml", "--dry-run", "--json"])
    (script,) = json.loads(capsys.readouterr().out)["scripts"].values()
    assert "#PBS -q long" in script
