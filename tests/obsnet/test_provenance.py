"""The run record."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet import provenance


@given(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), min_size=2, max_size=5))
def test_hash_does_not_depend_on_order(config):
    turned = dict(reversed(config.items()))
    assert provenance.config_hash(config) == provenance.config_hash(turned)
    assert provenance.config_hash(config) != provenance.config_hash({**config, "more": 1})


def test_record(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    source = tmp_path / "a.txt"
    source.write_bytes(b"abc")
    made = provenance.record(
        command="obsnet x", config={"a": 1}, inputs=[source], seeds={"run": 3}, planted="370000"
    )
    provenance.write_record(tmp_path / "run.json", made)
    back = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert back["inputs"][str(source)].startswith("ba7816bf")
    assert back["seeds"] == {"run": 3}
    assert back["job"] == {"SLURM_JOB_ID": "42"}
    assert back["planted"] == "370000"
    assert back["versions"]["obsnet"]
    assert back["config_sha256"] == provenance.config_hash({"a": 1})
    assert back["peak_memory_mib"] > 1


def test_memory():
    assert provenance.available_memory() > 2**20
    block = bytearray(50 * 2**20)
    assert provenance.peak_memory() > len(block)


def test_no_git(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance._git_hash() is None


def test_missing_input_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        provenance.record(command="x", config={}, inputs=[tmp_path / "none"])
