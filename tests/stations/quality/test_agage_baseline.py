"""The AGAGE baseline: planted pollution, a real record with its keepers' flags, invariants."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError
from stations.quality.agage_baseline import agage_polluted
from tests.stations.references import mace_head


def _record(n_days=300, seed=0):
    rng = np.random.default_rng(seed)
    days = np.arange(n_days * 12) / 12.0
    truth = 80 + 4 * np.sin(2 * np.pi * days / 365) + 0.01 * days
    noise = 0.3 * rng.standard_normal(days.size)
    polluted = np.zeros(days.size, bool)
    for start in rng.choice(days.size - 20, 60, replace=False):
        polluted[start : start + rng.integers(2, 15)] = True
    return days, truth + noise + polluted * (2.0 + rng.exponential(5.0, days.size)), polluted


def test_planted_pollution_is_found():
    days, value, polluted = _record()
    found = agage_polluted(days, value)
    assert found[polluted].mean() > 0.97
    assert found[~polluted].mean() < 0.03


def test_clean_normal_noise_loses_what_three_sigma_says():
    """0.13 % lie above 3 sigma; those between 2 and 3 next to them add little."""
    days = np.arange(6000) / 12.0
    value = 80 + np.random.default_rng(5).standard_normal(days.size)
    assert 0.0005 < agage_polluted(days, value).mean() < 0.006


def test_low_values_are_never_polluted():
    days, value, _ = _record()
    value[500] = 0.0
    assert not agage_polluted(days, value)[500]


def test_neighbours_of_pollution_between_the_limits_go_with_it():
    rng = np.random.default_rng(1)
    days = np.arange(3000) / 12.0
    value = rng.standard_normal(days.size) * 0.5 + 80
    value[1500], value[1501], value[1600] = 90.0, 81.3, 81.3  # about 2.6 s above the median
    found = agage_polluted(days, value)
    assert found[1500]
    assert found[1501]
    assert not found[1600]


def test_shift_scale_and_missing_values():
    days, value, _ = _record(150)
    np.testing.assert_array_equal(agage_polluted(days, value), agage_polluted(days, 5 * value - 100))
    holes = value.copy()
    holes[::50] = np.nan
    found = agage_polluted(days, holes)
    assert not found[::50].any()
    assert (found == agage_polluted(days, value))[np.isfinite(holes)].mean() > 0.99


def test_thin_records_are_left_alone():
    assert not agage_polluted(np.arange(10.0), np.arange(10.0)).any()
    assert not agage_polluted(np.arange(30.0) * 100, np.arange(30.0) ** 2).any()


def test_agrees_with_agages_own_flags(sample_data):
    """Cape Grim CH3CCl3 1995: AGAGE's file carries the flags of the method's authors, value by value."""
    import xarray as xr

    with xr.open_dataset(
        sample_data / "stations/agage/AGAGE-GCMD_CGO_ch3ccl3.nc", decode_timedelta=False, engine="netcdf4"
    ) as data:
        value, time = data["mf"].values.astype(float), data["time"].values
        theirs = data["git_pollution_flag"].values == ord("P")
        use = np.isfinite(value) & (data["data_flag"].values != ord("F"))
    days = time.astype("datetime64[s]").astype(float) / 86400.0
    ours = agage_polluted(days[use], value[use])
    theirs = theirs[use]
    assert theirs.sum() == 560
    assert (ours == theirs).mean() > 0.99
    assert ours[theirs].mean() > 0.95
    assert theirs[ours].mean() > 0.88


@pytest.mark.parametrize(
    ("column", "found", "precision"),
    [(0, 0.87, 0.92), (2, 0.81, 0.94), (3, 0.78, 0.96), (5, 0.58, 0.7), (7, 0.51, 0.94)],
    ids=["CFC-11", "CFC-12", "CH3CCl3", "N2O", "CH4"],
)
def test_mace_head(sample_data, column, found, precision):
    """Days of pollution lift a parabola through all daily minima: it finds 72 % of CFC-11, refitted 88 %."""
    days, value, letter = mace_head(sample_data / "stations/gage_mhd")
    use = np.isfinite(value[:, column]) & np.isin(letter[:, column], [" ", "P"])
    theirs = letter[use, column] == "P"
    ours = agage_polluted(days[use], value[use, column])
    assert ours[theirs].mean() > found
    assert theirs[ours].mean() > precision


def test_refusal():
    with pytest.raises(ConfigError, match="window above 3 days"):
        agage_polluted(np.arange(30.0), np.arange(30.0), window_days=2)


@pytest.mark.parametrize(("near", "high"), [(0, 1), (-1, -2)])
def test_the_first_and_the_last_value_go_with_their_neighbour_too(near, high):
    days = np.arange(3000) / 12.0
    value = 80 + 0.5 * np.random.default_rng(1).standard_normal(days.size)
    value[high], value[near] = 90.0, 81.3
    found = agage_polluted(days, value)
    assert found[high]
    assert found[near]
    value[high] = 80.0
    assert not agage_polluted(days, value)[near]
