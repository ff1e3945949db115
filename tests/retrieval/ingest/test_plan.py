"""Planning: work that grows as the number of files, whatever their sizes."""

from __future__ import annotations

import datetime as dt
import sys
from functools import partial
from pathlib import Path

import pytest

from obsnet.content import sha256
from obsnet.work.work import Work
from retrieval.ingest import plan
from retrieval.ingest.options import IngestOptions

OPTIONS = IngestOptions()
SERIAL = Work(scheduler="serial")
START = dt.datetime(2018, 1, 1)


def looked(path, _options):
    """A day each, as daily products have it."""
    start = START + dt.timedelta(days=int(Path(path).stem[1:]))
    span = (t.isoformat(timespec="microseconds") for t in (start, start + dt.timedelta(hours=23)))
    return plan.Sniffed("oco2_lite_v9", "oco2_lite", "CO2", None, *span)


def steps(work):
    """Count the lines of Python that something takes: no clock decides."""
    count = [0]

    def trace(_frame, event, _arg):
        count[0] += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        found = work()
    finally:
        sys.settrace(before)
    return count[0], found


def files(folder, number, content):
    folder.mkdir()
    paths = []
    for k in range(number):
        paths.append(str(folder / f"g{k:05d}.nc"))
        Path(paths[-1]).write_bytes(content(k))
    return paths


def finished(paths):
    common = {"size": 8, "sensor": "oco2_lite", "species": "CO2", "version": "v9", "status": "done"}
    common |= {"options": OPTIONS.fingerprint("oco2_lite"), "time_start": None, "time_end": None}
    return [common | {"path": p, "sha256": sha256(p), "file_id": sha256(p)[:16]} for p in paths]


@pytest.mark.parametrize("content", [lambda k: b"%08d" % k, lambda _: b"00000000"], ids=["others", "same"])
@pytest.mark.parametrize("index", [lambda _: [], finished], ids=["new", "done"])
def test_planning_equal_sizes_is_linear(tmp_path, monkeypatch, content, index):
    monkeypatch.setattr(plan, "sniff", looked)
    taken = {}
    for number in (40, 640):
        paths = files(tmp_path / str(number), number, content)
        rows = index(paths)
        make = partial(plan.make_plan, paths, rows, OPTIONS, mixed=False, work=SERIAL)
        make()  # what is imported and read once
        taken[number], made = steps(make)
        assert sum(map(len, made.done.values())) <= 2 * number
    assert taken[640] < 17 * taken[40]


def test_a_file_is_compared_with_its_own_earlier_self(tmp_path):
    paths = files(tmp_path / "x", 3, lambda _: b"00000000")
    made = plan.make_plan(paths, finished(paths), OPTIONS, mixed=False, work=SERIAL)
    assert made.done == {p: ((sha256(p), p),) for p in paths}
