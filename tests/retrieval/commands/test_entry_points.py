"""What the command line and the pipeline load: there, light, and one table of options for both."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from obsnet.command import load
from obsnet.config import validate
from obsnet.pipeline import Stage, load_stages

NAMES = ["ingest", "superobs", "grid", "validate"]


@pytest.mark.parametrize("name", NAMES)
def test_a_stage_is_found_in_its_own_module(name):
    stage = importlib.import_module(f"retrieval.commands.{name}_stage").STAGE
    assert isinstance(stage, Stage)
    assert stage.name == name
    assert load_stages([name]) == {name: stage}


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_the_stage_of_its_name(name):
    command = getattr(importlib.import_module(f"retrieval.commands.{name}"), name)
    assert load(command.model) is importlib.import_module(f"retrieval.commands.{name}_stage").STAGE.options


def test_commands_load_nothing_heavy():
    """`obsnet --help` imports every command."""
    modules = ", ".join(f"retrieval.commands.{name}" for name in [*NAMES, "bias", "retrieve"])
    code = (
        f"import sys, {modules};"
        "print([m for m in ('numpy', 'pyarrow', 'xarray', 'numba', 'matplotlib', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


MAP = "s --species CO2 --grid 0,1,0,1,1 --start 2020-01-01 --stop 2020-01-02"
# (command, what documents and users' scripts type, field, value)
FORMER = [
    ("ingest", "f --out s", "store", "s"),
    ("ingest", "f --x2019", "variant", "x2019"),
    ("ingest", "f --extra raw,footprint", "extra", ("raw", "footprint")),
    ("superobs", "s --species CO2 --source a,b", "sources", ["a", "b"]),
    ("superobs", "s --species CO2 --window 20", "window_s", 20.0),
    ("superobs", "s --species CO2 --max-gap 9", "max_gap_s", 9.0),
    ("superobs", "s --species CO2 --inner-s 2", "inner_s", 2.0),
    ("grid", f"{MAP} --spacing-km 900,300", "spacing_km", (900.0, 300.0)),
    ("grid", f"{MAP} --geotiff t", "geotiff", Path("t")),
    ("validate", "s --species CO2 --source a --altitude 100", "altitude_m", 100.0),
    ("validate", "s --species CO2 --source a --hours-by-mode target=0.25", "hours_by_mode", {"target": 0.25}),
]


@pytest.mark.parametrize(("name", "typed", "field", "value"), FORMER)
def test_what_people_type_goes_on(name, typed, field, value, monkeypatch):
    module = importlib.import_module(f"retrieval.commands.{name}")
    command, seen = getattr(module, name), []
    app = typer.Typer()
    kept = type(command)(
        lambda options, *_work: seen.append(options) or _Nothing, command.model, command.work
    )
    app.command()(kept.function())
    done = CliRunner().invoke(app, typed.split())
    assert done.exit_code == 0, done.exception
    assert getattr(seen[0], field) == value


class _Nothing:
    data, lines, notes, failed = None, (), (), 0


@pytest.mark.parametrize(
    ("name", "table", "field", "value"),
    [
        ("superobs", {"species": "CO2", "window": 20}, "window_s", 20.0),
        ("superobs", {"species": "CO2", "max_gap": 9}, "max_gap_s", 9.0),
        ("ingest", {"files": ["a"], "sensors": "tables"}, "sensors", ("tables",)),
        ("ingest", {"files": ["a"], "superobs": {"window": 20}}, "suffix", "_superobs"),
        ("validate", {"species": "CO2", "source": "a", "altitude": 50}, "altitude_m", 50.0),
    ],
)
def test_former_keys_of_case_files_go_on(name, table, field, value):
    stage = importlib.import_module(f"retrieval.commands.{name}_stage").STAGE
    assert getattr(validate(stage.options, table), field) == value
