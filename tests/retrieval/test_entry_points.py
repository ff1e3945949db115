"""What the command line and the pipeline load: there, and light."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from obsnet.pipeline import Stage


@pytest.mark.parametrize("name", ["superobs", "grid", "validate"])
def test_a_stage_is_found_in_its_own_module_and_beside_its_command(name):
    stage = importlib.import_module(f"retrieval.stage_{name}").STAGE
    command = importlib.import_module(f"retrieval.commands_{name}")
    assert isinstance(stage, Stage)
    assert stage.name == name
    assert command.STAGE is stage
    with pytest.raises(AttributeError, match="no attribute 'NOTHING'"):
        _ = command.NOTHING


def test_commands_load_nothing_heavy():
    """`obsnet --help` imports every command."""
    code = (
        "import sys, retrieval.commands_superobs, retrieval.commands_grid, retrieval.commands_validate;"
        "print([m for m in ('numpy', 'pyarrow', 'xarray', 'numba', 'matplotlib', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
