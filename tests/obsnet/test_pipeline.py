"""Stages: order, restart, and what a case file may get wrong."""

import json
from pathlib import Path

import pytest

from obsnet import pipeline
from obsnet.atomic import write_text
from obsnet.config import Options
from obsnet.errors import ConfigError
from obsnet.pipeline import Stage, StageResult, read_case, run_case, run_shard, up_to


class First(Options):
    file: str
    fail: int = 0


class Second(Options):
    factor: int = 1


calls: list[str] = []


def run_first(options, case):
    calls.append("first")
    number = int((case.folder / options.file).read_text())
    write_text(case.out / "first.txt", str(number))
    return StageResult((case.out / "first.txt",), {"number": number}, failed=options.fail)


def run_second(options, case):
    calls.append("second")
    number = int((case.out / "first.txt").read_text())
    if number < 0:
        raise KeyboardInterrupt
    write_text(case.out / "second.txt", str(number * options.factor + case.run.seed))
    return StageResult((case.out / "second.txt",))


STAGES = {
    "second": Stage("second", Second, run_second, needs=("first", "absent")),
    "first": Stage("first", First, run_first, inputs=lambda o, c: [c.folder / o.file], shards=True),
}


@pytest.fixture
def case(tmp_path, monkeypatch):
    def load(names=None):
        for name in names or STAGES:
            if name not in STAGES:
                raise ConfigError(f"unknown table [{name}]")
        return {n: STAGES[n] for n in (names or STAGES)}

    monkeypatch.setattr(pipeline, "load_stages", load)
    calls.clear()
    (tmp_path / "n.txt").write_text("3")

    def run(data=None, **second):
        data = data or {"run": {"name": "t"}, "second": second, "first": {"file": "n.txt"}}
        place, steps = read_case(data, tmp_path / "case.toml")
        return run_case(place, steps)

    run.folder = tmp_path
    return run


def test_order_and_outputs(case):
    results = case(factor=2)
    assert calls == ["first", "second"]
    assert (case.folder / "run" / "second.txt").read_text() == "6"
    assert results["first"]["number"] == 3
    assert results["second"]["skipped"] is False


def test_nothing_is_done_twice(case):
    case()
    calls.clear()
    results = case()
    assert calls == []
    assert all(r["skipped"] for r in results.values())
    assert results["first"]["number"] == 3


def test_a_changed_option_reruns_it_alone(case):
    case()
    calls.clear()
    case(factor=5)
    assert calls == ["second"]


def test_a_changed_input_reruns_all_after_it(case):
    case()
    calls.clear()
    (case.folder / "n.txt").write_text("4")
    case()
    assert calls == ["first", "second"]


def test_a_lost_output_is_made_again(case):
    case()
    calls.clear()
    (case.folder / "run" / "second.txt").unlink()
    case()
    assert calls == ["second"]


def test_killed_in_the_middle_goes_on(case):
    (case.folder / "n.txt").write_text("-1")
    with pytest.raises(KeyboardInterrupt):
        case()
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        case()
    assert calls == ["second"]  # the first stage was finished
    assert not list((case.folder / "run").glob(".*.txt"))


def test_a_stage_with_failures_is_tried_again(case):
    data = {"run": {"name": "t"}, "first": {"file": "n.txt", "fail": 2}}
    assert case(data)["first"]["failed"] == 2
    calls.clear()
    case(data)
    assert calls == ["first"]


def test_a_torn_mark_is_no_mark(case):
    case()
    mark = case.folder / "run" / ".stages" / "first.json"
    assert json.loads(mark.read_text())["outputs"] == ["first.txt"]
    mark.write_text("{")
    calls.clear()
    case()
    assert calls == ["first"]


def test_all_faults_at_once(tmp_path, case):
    data = {"run": {"nam": "t"}, "first": {"fil": "n.txt"}, "third": {}}
    with pytest.raises(ConfigError) as caught:
        read_case(data, Path("case.toml"))
    text = str(caught.value)
    assert len(text.splitlines()) == 5
    assert "case.toml [run]: 'name' is missing" in text
    assert "case.toml [first]: unknown key 'fil'; nearest: 'file'" in text
    assert "unknown table [third]" in text


def test_a_shard_never_counts_as_its_stage(case, monkeypatch):
    data = {"run": {"name": "t", "shard": "1/2"}, "second": {}, "first": {"file": "n.txt"}}
    with pytest.raises(ConfigError, match="a shard is of one stage"):
        case(data)
    place, steps = read_case(data, case.folder / "case.toml")
    for name in ("first", None):  # the only one that takes shards
        found = run_shard(place, steps, name)
        assert (found["first"]["shard"], found["first"]["number"]) == ("1/2", 3)
    assert calls == ["first", "first"]
    assert not (place.out / ".stages").exists()
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "2")
    array = {**data, "run": {"name": "t", "scheduler": "array"}, "cluster": {"shards": 3}}
    assert run_shard(*read_case(array, case.folder / "case.toml"), "first")["first"]["shard"] == "2/3"
    with pytest.raises(ConfigError, match=r"\[second\] takes no shards; those that take them: first"):
        run_shard(place, steps, "second")


def test_up_to_a_stage(case):
    data = {"run": {"name": "t"}, "second": {}, "first": {"file": "n.txt"}}
    _, steps = read_case(data, case.folder / "case.toml")
    assert [s.name for s, _ in up_to(steps, "first")] == ["first"]
    assert [s.name for s, _ in up_to(steps, "second")] == ["first", "second"]
    with pytest.raises(ConfigError, match=r"no table \[third\] in this case"):
        up_to(steps, "third")


def test_a_case_without_stages(case):
    with pytest.raises(ConfigError, match="no stage; add a table such as"):
        read_case({"run": {"name": "x"}}, Path("case.toml"))
    with pytest.raises(ConfigError, match=r"table \[run\] is missing"):
        read_case({"second": {}}, Path("case.toml"))


def test_real_stages_are_declared():
    from importlib.metadata import entry_points

    names = {e.name for e in entry_points(group="obsnet.stages")}
    assert {"ingest", "stations", "footprints", "invert", "crosscheck", "report"} <= names
