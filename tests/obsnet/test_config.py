"""Configuration: all faults at once, one line each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from obsnet.config import Options, apply_overrides, out_folder, read_toml, resolve_files, validate
from obsnet.errors import ConfigError


class Inner(Options):
    hours: int = Field(72, ge=1)


class Outer(Options):
    species: str
    footprints: Inner = Inner()
    names: list[str] = []


def test_good():
    made = validate(Outer, {"species": "CO2", "footprints": {"hours": 24}})
    assert made.footprints.hours == 24
    with pytest.raises(ValueError, match="frozen"):
        made.species = "CH4"


def test_every_fault_one_line():
    with pytest.raises(ConfigError) as caught:
        validate(Outer, {"footprints": {"hours": 0, "hour": 3}, "speces": "CO2", "names": 3}, "case.toml [x]")
    lines = sorted(str(caught.value).splitlines())
    assert len(lines) == 5
    assert "case.toml [x]: 'species' is missing" in lines
    assert "case.toml [x]: unknown key 'speces'; nearest: 'species'" in lines
    assert "case.toml [x]: unknown key 'footprints.hour'; nearest: 'hours'" in lines
    assert any(line.startswith("case.toml [x]: footprints.hours = 0:") for line in lines)
    assert any("names = 3" in line for line in lines)


class Several(Options):
    one: Inner | None = None
    named: dict[str, Inner] = {}
    listed: list[Inner] = []


@pytest.mark.parametrize(
    "data", [{"one": {"hour": 1}}, {"named": {"x": {"hour": 1}}}, {"listed": [{"hour": 1}]}]
)
def test_the_nearest_key_is_looked_for_in_optional_and_repeated_tables(data):
    with pytest.raises(ConfigError, match="nearest: 'hours'"):
        validate(Several, data)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=1", {"a": {"b": 1, "c": 2}}),
        ("a.c=[1, 2]", {"a": {"b": 0, "c": [1, 2]}}),
        ("a.b=some text", {"a": {"b": "some text", "c": 2}}),
        ("a.b='1'", {"a": {"b": "1", "c": 2}}),
        ("d.e.f=true", {"a": {"b": 0, "c": 2}, "d": {"e": {"f": True}}}),
    ],
)
def test_overrides(text, expected):
    base = {"a": {"b": 0, "c": 2}}
    assert apply_overrides(base, [text]) == expected
    assert base == {"a": {"b": 0, "c": 2}}


@pytest.mark.parametrize("text", ["a.b", "=1", " =2"])
def test_bad_overrides(text):
    with pytest.raises(ConfigError, match="write it as table.key=value"):
        apply_overrides({}, [text])


def test_override_through_a_value():
    with pytest.raises(ConfigError, match="b is a value, not a table"):
        apply_overrides({"a": {"b": 1}}, ["a.b.c=1"])


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(), max_size=4), st.integers())
def test_last_override_wins(base, value):
    assert apply_overrides(base, ["a=0", f"a={value}"]) == {**base, "a": value}


def test_read_toml(tmp_path):
    path = tmp_path / "case.toml"
    with pytest.raises(ConfigError, match="no such configuration file"):
        read_toml(path)
    path.write_text("a = \n")
    with pytest.raises(ConfigError, match="not a TOML file: .*line 1"):
        read_toml(path)
    path.write_text('[a]\nb = "x"\n')
    assert read_toml(path, ["a.c=2"]) == {"a": {"b": "x", "c": 2}}


def test_resolve_files(tmp_path):
    for name in ("d/b.nc", "d/a.nc", "d/sub/c.nc", "d/.hidden.nc", "e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    names = [p.relative_to(tmp_path).as_posix() for p in resolve_files(["d", "e.txt", "d/a.nc"], tmp_path)]
    assert names == ["d/a.nc", "d/b.nc", "d/sub/c.nc", "e.txt"]
    assert {p.name for p in resolve_files(["d/[ab].nc"], tmp_path)} == {"a.nc", "b.nc"}
    assert resolve_files([str(tmp_path / "d" / "sub" / "*.nc")]) == [tmp_path / "d/sub/c.nc"]
    with pytest.raises(ConfigError, match="no file matches 'f/\\*.nc'"):
        resolve_files(["f/*.nc"], tmp_path)


def test_the_folder_of_outputs(tmp_path):
    assert out_folder({"run": {"out": "a/b"}}, tmp_path) == tmp_path / "a/b"
    assert out_folder({}, tmp_path) == tmp_path / "run"
    assert out_folder({"run": 3}, tmp_path) == tmp_path / "run"  # what is wrong with it, the pipeline says
