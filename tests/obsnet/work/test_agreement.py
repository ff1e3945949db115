"""What shards must have in common: the first decides, whoever asks at the same time."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from obsnet.errors import FormatError
from obsnet.work.agreement import agreed


@pytest.fixture
def plan(tmp_path):
    made = tmp_path / "_shards" / "stations-0123456789ab"
    made.mkdir(parents=True)
    return made


def test_the_first_decides(plan):
    assert agreed(plan, "scale-CO2", "X2007", "a.nc") == ("X2007", "a.nc")
    assert agreed(plan, "scale-CO2", "X2007", "b.nc") == ("X2007", "b.nc")
    assert agreed(plan, "scale-CO2", "X2019", "c.nc") == ("X2007", "a.nc")
    assert agreed(plan, "scale-CH4", "X2004A", "c.nc") == ("X2004A", "c.nc")


def test_other_plans_of_the_stage_count_and_other_stages_do_not(plan):
    agreed(plan, "scale-CO2", "X2007", "a.nc")
    for name, found in (("stations-ba9876543210", "X2007"), ("other-ba9876543210", "X2019")):
        other = plan.with_name(name)
        other.mkdir()
        assert agreed(other, "scale-CO2", "X2019", "c.nc")[0] == found


def test_of_many_at_the_same_time_one_wins(plan):
    count = 16
    start = Barrier(count)

    def say(k):
        start.wait()
        return agreed(plan, "scale-CO2", f"X{k}", f"{k}.nc")

    with ThreadPoolExecutor(count) as pool:
        found = list(pool.map(say, range(count)))
    assert len(set(found)) == 1
    assert [p.name for p in plan.iterdir()] == ["agreed-scale-CO2.json"]  # no leftovers


def test_a_changed_record_is_refused(plan):
    agreed(plan, "scale-CO2", "X2007", "a.nc")
    path = Path(plan / "agreed-scale-CO2.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"value": "X2019"}))
    with pytest.raises(FormatError, match="changed since it was written|checksum"):
        agreed(plan, "scale-CO2", "X2007", "a.nc")
