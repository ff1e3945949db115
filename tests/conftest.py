"""What all tests share: the sample data, the two profiles of hypothesis."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci", max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "nightly", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

REPOSITORY = Path(__file__).resolve().parents[1]


def find_sample_data() -> Path | None:
    """Return the folder of sample data, or None where it is absent."""
    path = Path(os.environ.get("OBSNET_SAMPLE_DATA", REPOSITORY.parent / "shared" / "data"))
    return path if path.is_dir() else None


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Folder of the real sample data; the test is skipped where it is absent."""
    path = find_sample_data()
    if path is None:
        pytest.skip("sample data absent: put it at ../shared/data or set OBSNET_SAMPLE_DATA")
    return path
