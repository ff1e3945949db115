"""Figures that must not drift; `python scripts/make_golden.py` makes them again."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

FOLDER = Path(__file__).parent
SPEC = importlib.util.spec_from_file_location("make_golden", FOLDER.parents[1] / "scripts" / "make_golden.py")
GOLDEN = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(GOLDEN)


@pytest.mark.parametrize("make", [GOLDEN.province_areas, GOLDEN.inventory_rates], ids=lambda f: f.__name__)
def test_golden(make):
    kept = pd.read_csv(FOLDER / f"{make.__name__}.csv", dtype={"region": str}).set_index("region")
    now = make()
    assert list(now.index) == list(kept.index)
    for column in kept.select_dtypes("number"):
        np.testing.assert_allclose(now[column], kept[column], rtol=1e-6)


def test_golden_areas_are_those_of_the_provinces():
    kept = pd.read_csv(FOLDER / "province_areas.csv", dtype={"region": str}).set_index("region")
    assert len(kept) == 34
    np.testing.assert_allclose(kept["zonal_km2"], kept["area_km2"], rtol=1e-6)
    # Xinjiang is the largest, Macao the smallest; the official figure for Xinjiang is 1.66 million km2
    assert kept["area_km2"].idxmax() == "650000"
    assert kept["area_km2"].idxmin() == "820000"
    assert kept.loc["650000", "area_km2"] == pytest.approx(1.64e6, rel=0.02)
