"""The table ``[convert]``: ready footprints from a case, made anew when what they are made of changes."""

from __future__ import annotations

import pytest

from inversion.jacobian.store import JacobianStore
from inversion.transport.commands.convert_stage import STAGE
from inversion.transport.conversion.options import ConvertTable
from obsnet.config import validate
from obsnet.errors import ConfigError
from obsnet.pipeline import Case, RunOptions
from obsnet.store import ObservationStore
from tests.inversion.transport.conversion.test_convert import folder_of, observations


@pytest.fixture
def case(tmp_path):
    folder_of(tmp_path)
    ObservationStore(tmp_path / "run" / "store").write(
        observations([f"2024-04-02T06:{10 + k}" for k in range(3)])
    )
    return Case(tmp_path, tmp_path / "run", RunOptions(name="test", scheduler="serial"))


def table(**more):
    return validate(ConvertTable, {"files": ["*_foot.nc"], "species": "CO2", **more})


def test_receptors_become_the_stores_observations(case):
    result = STAGE.run(table(), case)
    assert result.failed == 0
    jacobian = JacobianStore(case.out / "footprints")
    wanted = ObservationStore(case.out / "store").read("CO2")["obs_id"].to_pylist()
    assert sorted(jacobian.obs_ids().tolist()) == sorted(wanted)
    assert set(result.files) == set((case.out / "footprints").glob("*/[!.]*.parquet"))


def test_other_bins_are_made_anew_and_the_same_are_kept(case):
    STAGE.run(table(), case)
    hours = JacobianStore(case.out / "footprints")
    assert hours.read().n_time > 1
    part = next((case.out / "footprints" / "sensitivity").iterdir())
    before = part.stat().st_mtime_ns
    STAGE.run(table(), case)
    assert part.stat().st_mtime_ns == before
    STAGE.run(table(step="MS", unresolved="release"), case)
    assert JacobianStore(case.out / "footprints").read().n_time == 1


def test_a_folder_of_somebody_elses_is_left_alone(case):
    (case.out / "footprints").mkdir()
    (case.out / "footprints" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds thesis.txt that \[convert\] did not make"):
        STAGE.run(table(), case)


def test_check_says_what_a_run_would(case):
    lines = list(map(str, STAGE.check(table(), case, ())))
    assert sum("stilt, 1 receptors, the first of" in line for line in lines) == 3
    assert lines[-1] == "3 of 3 observations have a receptor in the files opened"
    assert not (case.out / "footprints").exists()
