"""Mole fractions to mass, kg s-1 to kt a-1."""

import numpy as np
import pytest

from obsnet.errors import RangeError
from retrieval.plume.images.amounts import kt_per_year, mass_per_unit


def test_mass_of_a_part_per_million_follows_from_hydrostatics():
    # p / g of air, of which M_CO2 / M_air per million
    by_hand = 101325.0 / 9.80665 * 1e-6 * 44.0095 / 28.9647
    assert float(mass_per_unit(101325.0, "CO2")) == pytest.approx(by_hand, rel=1e-12)
    assert float(mass_per_unit(101325.0, "CH4")) == pytest.approx(
        by_hand * 1e-3 * 16.04246 / 44.0095, rel=1e-12
    )


def test_water_takes_its_mass_from_the_air():
    dry, wet = (float(mass_per_unit(1e5, "CO2", column_water=w)) for w in (0.0, 50.0))
    assert 1 - wet / dry == pytest.approx(50.0 * 9.80665 / 1e5, rel=1e-12)


@pytest.mark.parametrize(("pressure", "water"), [(1013.25, None), (-1.0, None), (1e5, 5000.0), (1e5, -1.0)])
def test_impossible_air_is_refused(pressure, water):
    with pytest.raises(RangeError, match="must lie within"):
        mass_per_unit(pressure, "CO2", column_water=water)


def test_missing_pressure_stays_missing():
    assert np.isnan(mass_per_unit(np.array([np.nan, 1e5]), "CO2")).tolist() == [True, False]


def test_a_year_of_kilograms_a_second():
    assert float(kt_per_year(1000.0)) == pytest.approx(365.2425 * 86.4)
