"""What the command line and the pipeline load: there, and light."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from obsnet.pipeline import Stage, load_stages


@pytest.mark.parametrize("name", ["superobs", "grid", "validate"])
def test_a_stage_is_found_in_its_own_module(name):
    stage = importlib.import_module(f"retrieval.commands.{name}_stage").STAGE
    assert isinstance(stage, Stage)
    assert stage.name == name
    assert load_stages([name]) == {name: stage}


def test_commands_load_nothing_heavy():
    """`obsnet --help` imports every command."""
    code = (
        "import sys, retrieval.commands.superobs, retrieval.commands.grid, retrieval.commands.validate;"
        "print([m for m in ('numpy', 'pyarrow', 'xarray', 'numba', 'matplotlib', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
