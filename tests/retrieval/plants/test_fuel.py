"""What the fuel says, with its error."""

import numpy as np
import pytest

from obsnet.errors import ConfigError
from retrieval.plants.fuel import fuel_account
from retrieval.plants.options import CardTable

HEAD = "kind,item,value,unit,ncv,carbon,oxidation,note\n"


def table(path, lines, **more):
    (path / "fuel.csv").write_text(HEAD + lines)
    about = {
        "rates": ["x"],
        "fuel": path / "fuel.csv",
        "region": "Hebei",
        "year": 2023,
        "activity_sd": 0.02,
        "factor_sd": 0.01,
    }
    return CardTable(**(about | more))


def test_measured_fuel_is_mass_times_heat_times_carbon_times_oxidation(tmp_path):
    found = fuel_account(
        table(tmp_path, "fuel,bituminous coal,1000000,t,21,0.02618,0.99,\n".replace("0.02618", "26.18"))
    )
    assert found.total == pytest.approx(1e6 * 21 * 26.18e-3 * 0.99 * 44 / 12 * 1e-6)
    assert found.error == pytest.approx(found.total * np.hypot(0.02, 0.01))
    assert found.lines[0]["tier"] == "measured"


def test_amounts_are_independent_and_a_common_factor_is_not(tmp_path):
    line = "fuel,bituminous coal,500000,t,21,26.18,0.99,\n"
    one, two = fuel_account(table(tmp_path, line)), fuel_account(table(tmp_path, line * 2))
    assert two.total == pytest.approx(2 * one.total)
    assert two.error == pytest.approx(np.hypot(np.sqrt(2) * 0.02, 2 * 0.01) * one.total)


def test_power_is_left_out_and_captured_co2_does_not_leave_by_the_stack(tmp_path):
    fuel = "fuel,bituminous coal,1000000,t,21,26.18,0.99,\n"
    lines = fuel + "electricity,,1000,MWh,,,,\ncaptured,,100000,t,,,,\nstored,,90000,t,,,,\n"
    with_capture = fuel_account(
        table(tmp_path, lines, editions=["gbt32151", "ipcc2006", "yearbook2008", "mee-nbs"])
    )
    without = fuel_account(table(tmp_path, fuel))
    assert with_capture.total == pytest.approx(without.total - 0.1)
    assert any("captured do not leave by the stack" in n for n in with_capture.notes)


def test_an_uncertainty_that_nobody_states_is_asked_for(tmp_path):
    with pytest.raises(ConfigError, match=r"factor of bituminous coal \(measured\); say it with --factor-sd"):
        fuel_account(table(tmp_path, "fuel,bituminous coal,1000000,t,21,26.18,0.99,\n", factor_sd=None))
    found = fuel_account(table(tmp_path, "fuel,diesel,1000,t,,,,\n", factor_sd=None, editions=["ipcc2006"]))
    assert 0 < found.error < 0.1 * found.total
    with pytest.raises(ValueError, match="accounting by fuel needs region, year, activity_sd"):
        CardTable(rates=["x"], fuel=tmp_path / "fuel.csv")
