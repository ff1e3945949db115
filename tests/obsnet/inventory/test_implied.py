"""The shipped implied factors, derived anew from both of their sources."""

import numpy as np
import pytest

from obsnet.inventory.balance.read import read_balance
from obsnet.inventory.factors.choose import FactorBook
from obsnet.inventory.sources.ceads import read_ceads


@pytest.mark.parametrize(
    "fuel", ["raw coal", "coke", "gasoline", "diesel", "fuel oil", "natural gas", "coke oven gas"]
)
def test_implied_factors_are_those_of_the_two_sources(sample_data, fuel):
    """Medians over 25 of the 30 provinces: within 1 %."""
    data = read_ceads(next((sample_data / "inventory/ceads/provinces").glob("*2007.xlsx")))
    total = data.series(column=fuel).loc[2007]
    book = FactorBook(editions=["ceads2007-implied"])
    factor = book.effective(fuel, 2007)
    ratios = []
    for number in range(1, 26):
        balance = read_balance(sample_data / f"inventory/energy_balance_2007/{number}.xls")
        used = balance.value("final consumption", fuel) - balance.value("non-energy use", fuel)
        used -= min(balance.value("thermal power", fuel), 0.0) + min(
            balance.value("heating supply", fuel), 0.0
        )
        if used > 1.0:
            ratios.append(total[balance.region] / (used * (0.01 if factor.unit == "t CO2/t" else 0.1)))
    assert np.median(ratios) == pytest.approx(factor.value, rel=0.01)
