"""One model is signature, help and check."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from obsnet import cli
from obsnet.areas import BoxField, GridField
from obsnet.command import Command, Flag, Group, Shown, command, gather
from obsnet.config import Options, validate
from obsnet.grid import Grid
from obsnet.work.work import Work


class Inner(Options):
    length_km: float = Field(20.0, gt=0, description="a length")
    size: dict[str, float] = Field({}, description="sizes by name")


class Table(Options):
    files: Annotated[list[Path], Flag(positional=True)] = Field(description="what is read")
    species: str = Field(description="formula")
    method: Literal["fine", "coarse"] = Field("fine", description="how")
    count: int | None = Field(None, ge=1, description="how many")
    pairs: bool = Field(True, description="average pairs")
    loud: bool = Field(False, description="say more")
    sources: list[str] = Field([], description="which")
    grid: GridField | None = Field(None, description="cells")
    box: BoxField | None = Field(None, description="where")
    inner: Inner = Inner()
    members: list[Inner] = Field([], description="only in a file")
    secret: Annotated[str, Flag(hidden=True)] = Field("x", description="only in a file")


SEEN = []


@command("tests.obsnet.test_command:Table", work=True)
def measure(options, work):
    """Measure things.

    At length.
    """
    SEEN.append((options, work))
    return Shown({"count": options.count}, [f"count {options.count}"], ["a note"], failed=options.count == 3)


@command()
def nothing():
    """Take nothing."""
    return Shown({"nothing": None}, ["nothing"])


def run(target, *args):
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(cls=cli._Once)(target.function())
    return CliRunner().invoke(app, [str(a) for a in args])


def test_what_is_typed_is_what_the_model_holds():
    done = run(
        measure, "a", "b,c", "--species", "CO2", "--count", "2", "--no-pairs", "--loud", "--sources", "x,y",
        "--sources", "z", "--grid", "18,54,73,135,1", "--box", "-10,10,170,-170", "--inner-length-km", "5",
        "--inner-size", "a=1.5",
        "--scheduler", "serial", "--shard", "2/3",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    options, work = SEEN[-1]
    assert options == Table(
        files=[Path("a"), Path("b,c")],
        species="CO2",
        count=2,
        pairs=False,
        loud=True,
        sources=["x", "y", "z"],
        grid=Grid.regular(18, 54, 73, 135, 1, 1),
        box=(-10, 10, 170, -170),
        inner=Inner(length_km=5, size={"a": 1.5}),
    )
    assert work == Work(scheduler="serial", shard="2/3")


def test_defaults_are_the_models():
    assert run(measure, "a", "--species", "CO2").exit_code == 0
    assert SEEN[-1] == (Table(files=[Path("a")], species="CO2"), Work())


def test_help_says_defaults_bounds_and_forms():
    text = " ".join(run(measure, "--help").output.split())
    for word in (
        "Measure things.", "[default: fine]", "[fine|coarse]", "NAME=NUMBER", "--no-pairs", "[default: 20.0]",
        "south,north,west,east,dlat[,dlon]", "--shard", "--json",
    ):  # fmt: skip
        assert word in text
    assert "--secret" not in text
    assert "Undefined" not in text
    assert "--members" not in text


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--count", "0"], "count = '0'"),
        (["--count", "two"], "count = 'two'"),
        (["--method", "rough"], "method = 'rough'"),
        (["--grid", "1,2"], "write it as south,north,west,east,dlat"),
        (["--grid", "54,18,73,135,1"], "south must be less than north"),
        (["--box", "5,4,0,1"], "south must be less than north"),
        (["--inner-size", "a"], "write it as NAME=VALUE"),
        (["--inner-size", "a=1", "--inner-size", "b=1", "--inner-size", "a=2"], "--size: 'a' is '1' and '2'"),
        (["--count", "4", "--count", "5"], "--count is given 2 times; give it once"),
        (["--pairs", "--no-pairs"], "is given 2 times"),
        (["--species", "CH4"], "--species is given 2 times"),
        (["--inner-length-km", "-1"], "inner.length_km"),
        (["--shard", "4/3"], "write it as i/n"),
    ],
)
def test_faults_are_one_line(given, said):
    done = run(measure, "a", "--species", "CO2", *given)
    assert done.exit_code != 0
    assert said in str(done.exception)


def test_json_lines_notes_and_code(capsys):
    given = {"files": ["a"], "species": "CO2"}
    assert measure.call({**given, "count": "3"}, as_json=True) == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"count": 3}
    assert said.err == "a note\n"
    assert measure.call({**given, "count": "4"}) == 0
    assert capsys.readouterr().out == "count 4\n"
    assert run(measure, "a", "--species", "CO2", "--count", "3", "--json").exit_code == 1


def test_a_table_of_a_case_is_the_same_model():
    grid = {"south": 18, "north": 54, "west": 73, "east": 135, "dlat": 1}
    text = {"files": ["a"], "species": "CO2", "inner": {"length_km": 5}, "grid": grid}
    typed = gather(
        Table, {"files": ["a"], "species": "CO2", "inner__length_km": "5", "grid": "18,54,73,135,1"}
    )
    assert validate(Table, text) == validate(Table, typed)


def test_a_command_without_options():
    done = run(nothing)
    assert (done.exit_code, done.stdout) == (0, "nothing\n")


def test_groups_hold_commands_and_load_them_when_asked(capsys):
    group = Group(
        "Things.", {"measure": "tests.obsnet.test_command:measure", "gone": "tests.obsnet.nowhere:gone"}
    )
    done = CliRunner().invoke(cli._group(group), ["--help"])
    assert "Measure things." in done.output
    assert "cannot be loaded" in done.output
    assert CliRunner().invoke(cli._group(group), ["measure", "a", "--species", "CO2"]).exit_code == 0


def test_the_list_of_commands_builds_no_options():
    code = (
        "import contextlib, sys\nfrom obsnet import cli, command\n"
        "command._parameters = lambda *_: 1 / 0\n"
        "with contextlib.suppress(SystemExit): cli.main(['--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ingest" in done.stdout


def test_help_of_a_command_is_its_docstring():
    assert isinstance(measure, Command)
    assert measure.help.startswith("Measure things.")
