"""Planning: work that grows as the number of files, whatever their sizes."""

from __future__ import annotations

import datetime as dt
import itertools
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
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


DAY = ("2018-01-01T00:00:00.000000", "2018-01-01T23:59:59.000000")


def same_day(path, _options):
    return plan.Sniffed("oco2_lite_v9", "oco2_lite", "CO2", None, *DAY)


def test_planning_files_of_the_same_time_is_linear(tmp_path, monkeypatch):
    """Each is looked into once; two in a row share a sounding."""
    looks = []

    def numbers(path, **_):
        looks.append(path)
        k = int(Path(path).stem[1:])
        return pa.array([str(2 * k), str(2 * k + 1), str(2 * k + 2)])

    monkeypatch.setattr(plan, "sniff", same_day)
    monkeypatch.setattr("retrieval.products.read.read_identities", numbers)
    taken = {}
    for number in (40, 640):
        paths = files(tmp_path / str(number), number, lambda k: b"%08d" % k)
        make = partial(plan.make_plan, paths, [], OPTIONS, mixed=False, work=SERIAL)
        make()
        looks.clear()
        taken[number], made = steps(make)
        assert sorted(looks) == paths
        assert made.newer == {one: (after,) for one, after in itertools.pairwise(paths)}
    assert taken[640] < 17 * taken[40]


def _at(hour):
    return np.datetime64("2018-01-01T00", "us") + np.timedelta64(hour, "h")


def test_only_soundings_of_shared_time_are_looked_at(tmp_path, monkeypatch):
    """Hours 0-10, 8-20 and 30-40 of this run; 9-31 and 32-33, and two that meet only each other, of the store."""
    spans = {"a": (0, 10), "b": (8, 20), "c": (30, 40)}
    stored = {"s": (9, 31), "t": (32, 33), "u": (50, 60), "v": (55, 65)}

    def looked(path, _options):
        start, end = (str(_at(h)) for h in spans[Path(path).stem])
        return plan.Sniffed("oco2_lite_v9", "oco2_lite", "CO2", None, start, end)

    asked = {}

    def numbers(path, *, until, since, **_):
        asked[Path(path).stem] = (until, since)
        return pa.array([], pa.string())

    monkeypatch.setattr(plan, "sniff", looked)
    monkeypatch.setattr("retrieval.products.read.read_identities", numbers)
    paths = [str(tmp_path / f"{name}.nc") for name in (*spans, *stored)]
    for k, path in enumerate(paths):
        Path(path).write_bytes(bytes(k + 1))
    rows = finished(paths[3:])
    for row, span in zip(rows, stored.values(), strict=True):
        row |= {"time_start": _at(span[0]).item(), "time_end": _at(span[1]).item()}
    plan.make_plan(paths[:3], rows, OPTIONS, mixed=False, work=SERIAL)
    assert asked == {
        "a": (None, _at(8)),
        "b": (_at(10), _at(9)),
        "c": (_at(31), _at(32)),
        "s": (_at(20), _at(30)),
        "t": (_at(40), None),
    }


def test_options_of_any_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "sniff", same_day)
    monkeypatch.setattr("retrieval.products.read.read_identities", lambda _, **__: pa.array(["1", None]))
    paths = files(tmp_path / "x", 2, lambda k: b"%08d" % k)
    made = plan.make_plan(paths, [], IngestOptions(extra=["albedo"]), mixed=False, work=SERIAL)
    assert made.newer == {paths[0]: (paths[1],)}


def test_of_three_files_the_latest_that_holds_a_sounding_wins(tmp_path, monkeypatch):
    held = {
        "oco2_190101000000": ["1", "2", "3"],
        "oco2_190201000000": ["2", "3", "4"],
        "oco2_190301000000": ["3", "9"],
        "oco2_190401000000": ["7"],
    }
    monkeypatch.setattr(plan, "sniff", same_day)
    monkeypatch.setattr(
        "retrieval.products.read.read_identities", lambda p, **_: pa.array(held[Path(p).stem])
    )
    paths = [str(tmp_path / f"{name}.nc") for name in held]
    for k, path in enumerate(paths):
        Path(path).write_bytes(bytes(k + 1))
    first, second, third, _ = paths
    made = plan.make_plan(paths, [], OPTIONS, mixed=False, work=SERIAL)
    assert made.newer == {first: (second, third), second: (third,)}
    stored = [finished([first])[0] | {"time_start": _at(0).item(), "time_end": _at(23).item()}]
    made = plan.make_plan(paths[1:], stored, OPTIONS, mixed=False, work=SERIAL)
    assert made.newer == {second: (first,), third: (first,)}  # what is in the store stays
