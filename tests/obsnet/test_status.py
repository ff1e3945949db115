"""What a run tells while it is at work, and what `obsnet status` makes of it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from obsnet.commands.run import RunCommand, run
from obsnet.commands.status import StatusCommand, status
from obsnet.journal import journal, note, read_journals
from obsnet.status import status_of
from obsnet.work.progress import progress
from obsnet.work.shards import taking_part
from obsnet.work.work import Work
from tests.retrieval.granules import week

CASE = """
[run]
name = "t"
scheduler = "serial"
[ingest]
files = ["in"]
[superobs]
species = "CO2"
errors = "baker2022_co2"
"""


@pytest.fixture
def case(tmp_path):
    week(tmp_path / "in", days=2)
    (tmp_path / "case.toml").write_text(CASE)
    return tmp_path / "case.toml"


def told(path):
    shown = status.run(StatusCommand(run=path))
    return list(shown.lines), shown


def test_a_run_leaves_a_journal_and_its_status(case):
    out = case.parent / "run"
    out.mkdir()
    assert told(case)[0] == ["ingest: waiting", "superobs: waiting"]
    run.run(RunCommand(case=case, to="ingest", shard="1/2"))
    lines, shown = told(case)
    assert lines[0].startswith("ingest: waiting, 1 of 2, ingest, of 2 shards: 2 never ran (1 of 2 items)")
    run.run(RunCommand(case=case))
    lines, shown = told(case)
    assert lines == ["ingest: done", "superobs: done"]
    assert not shown.failed
    assert told(out)[0] == lines
    events = read_journals(out)
    assert {e["name"] for e in events} == {"t"}
    assert len({e["run"] for e in events}) == 2
    first = [e for e in events if e.get("shard") == "1/2"]
    told_of = [e.get("state") or (e["what"], e["done"]) for e in first]
    assert told_of == ["begins", ("files looked into", 2), ("granules", 1), "done"]
    assert [e["stage"] for e in first] == ["ingest"] * 4
    for end in (e for e in events if e.get("state") == "done"):
        assert end.get("skipped") or min(end[k] for k in ("seconds", "processor_seconds", "peak_mib")) > 0
        assert {"time", "run", "host", "pid", "job"} <= set(end)
    stages = json.loads((out / "run.json").read_text())["stages"]
    assert all(s["peak_mib"] > 0 and s["processor_seconds"] > 0 for s in stages.values())
    json.dumps(shown.data)


def test_a_stage_that_failed_says_why(case):
    case.write_text(CASE.replace('species = "CO2"', 'species = "CH4"'))
    with pytest.raises(Exception, match="no CH4 here"):
        run.run(RunCommand(case=case))
    lines, shown = told(case)
    assert lines[0] == "ingest: done"
    assert lines[1].startswith("superobs: failed, ")
    assert "no CH4 here" in lines[1]
    assert shown.failed == 1


def test_running_and_killed_are_told_apart_and_the_rest_is_forecast(case, monkeypatch):
    out = case.parent / "run"
    with journal(out):
        note("stage", stage="ingest", state="begins")
        note("progress", stage="ingest", what="granules", done=1, of=4, since="2020-01-01T00:00:00")
        (found,) = status_of(out, ["ingest"])
        assert (found.state, found.done, found.of) == ("running", 1, 4)
        assert found.seconds_left > 3 * 365 * 86400
        assert "about" in found.line()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    text = next((out / ".log").iterdir()).read_text().replace(f'"pid": {os.getpid()}', f'"pid": {child.pid}')
    next((out / ".log").iterdir()).write_text(text + '{"torn')
    (found,) = status_of(out, ["ingest"])
    assert (found.state, found.seconds_left) == ("killed", None)
    # of another node nobody knows here, whatever runs under that number on this one
    monkeypatch.setattr(platform, "node", lambda: "elsewhere")
    assert status_of(out, ["ingest"])[0].state == "running"


def test_shards_at_work(case):
    store = case.parent / "run" / "store"
    with taking_part(store, "ingest", list("abcd"), "", Work(shard="1/2")):
        (found,) = status_of(case.parent / "run")
        assert (found.state, found.done, found.of) == ("running", 0, 4)
    with taking_part(store, "ingest", list("abcd"), "", Work(shard="2/2")) as mine:
        (found,) = status_of(case.parent / "run")
        assert (found.state, found.done) == ("running", 2)
        mine["failed"] = 1
    (found,) = status_of(case.parent / "run")
    assert (found.state, found.said, found.failed) == ("waiting", "all shards ended", 1)


def test_progress_is_told_where_a_journal_is_open(tmp_path):
    with journal(tmp_path), progress(3, "days") as advance:
        advance(1)
        advance(2)
    with progress(3, "days") as advance:
        advance(3)  # nobody listens
    (line,) = read_journals(tmp_path)
    assert (line["event"], line["done"], line["of"], line["what"]) == ("progress", 3, 3, "days")


def test_loops_within_each_other_share_a_terminal(tmp_path, monkeypatch):
    import rich.progress

    shown, kind = [], rich.progress.Progress
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(rich.progress, "Progress", lambda *a, **k: shown.append(1) or kind(*a, **k))
    with journal(tmp_path), progress(2, "members") as outer:
        for _ in range(2):
            with progress(3, "totals") as inner:
                inner(3)
            outer(1)
    assert [(e["what"], e["done"]) for e in read_journals(tmp_path)] == [
        ("totals", 3),
        ("totals", 3),
        ("members", 2),
    ]
    assert len(shown) == 1
