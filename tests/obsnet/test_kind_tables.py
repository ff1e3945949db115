"""Tables of entries that name a kind."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from obsnet.config import Options
from obsnet.errors import ConfigError
from obsnet.kind_tables import find_table, read_kinds


class Common(Options):
    kind: str
    name: str = ""


class Size(Options):
    size: float


@dataclass(frozen=True)
class Kind:
    options: type[Options]


KINDS = {"size": Kind(Size)}


def read(tmp_path, text):
    path = tmp_path / "t.toml"
    path.write_text(text)
    return read_kinds(path, "entry", Common, KINDS)


def test_head_and_entries_come_apart(tmp_path):
    head, entries = read(
        tmp_path, 'title = "x"\n[[entry]]\nkind="size"\nname="a"\nsize=1\n[[entry]]\nkind="size"\nsize=2'
    )
    assert head == {"title": "x"}
    assert [(c.name, o.size) for c, o in entries] == [("a", 1.0), ("", 2.0)]


def test_every_fault_is_told_at_once(tmp_path):
    text = '[[entry]]\nkind="sise"\n[[entry]]\nkind="size"\n[[entry]]\nsize=1\n'
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert lines[0] == "t.toml: entry 1: unknown kind 'sise'; nearest: 'size'"
    assert lines[1] == "t.toml: entry 2: 'size' is missing"
    assert lines[2] == "t.toml: entry 3: 'kind' is missing"


@pytest.mark.parametrize("text", ["", "entry = 3", "entry = []"])
def test_no_entries(tmp_path, text):
    with pytest.raises(ConfigError, match=r"at least one \[\[entry\]\] is needed"):
        read(tmp_path, text)


def test_finding_a_table(tmp_path):
    (tmp_path / "ours.toml").write_text("")
    assert find_table("ours", tmp_path, "table") == tmp_path / "ours.toml"
    assert find_table("elsewhere.toml", tmp_path, "table").name == "elsewhere.toml"
    with pytest.raises(ConfigError, match="no table 'our'; nearest: 'ours'; or give a .toml file"):
        find_table("our", tmp_path, "table")
