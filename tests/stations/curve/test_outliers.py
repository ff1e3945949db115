"""Iterative rejection against NOAA's quick filter, and its invariants."""

from __future__ import annotations

import numpy as np
import pytest

from obsnet.errors import ConfigError, RangeError
from stations.curve.outliers import reject_outliers
from stations.quality.rules import apply_rules, load_rules
from tests.stations.made import make_record
from tests.stations.references import flasks

# Counts of NOAA's quickFilter: record, sigma, pair means, flagged by the keeper ('S'), flagged, of which 'S'.
NOAA = [
    ("ch4_wlg", 3.0, 1688, 39, 40, 22),
    ("co2_wlg", 2.5, 1445, 77, 162, 77),
]


@pytest.mark.parametrize(("record", "sigma", "n", "keeper", "flagged", "both"), NOAA)
def test_equals_quickfilter(sample_data, record, sigma, n, keeper, flagged, both):
    x, y, selected = flasks(
        sample_data / f"stations/noaa_flask/{record}_surface-flask_1_ccgg_event.txt", rejected=1
    )
    found = reject_outliers(x, y, above=sigma, below=sigma)
    assert (x.size, selected.sum()) == (n, keeper)
    assert (found.flag.sum(), (found.flag & selected).sum()) == (flagged, both)
    assert found.settled


def _record(seed=0):
    rng = np.random.default_rng(seed)
    x = 2000.0 + np.arange(0, 365 * 8, 7) / 365.0
    y = 400 + 2 * (x - 2000) + 3 * np.sin(2 * np.pi * x) + 0.3 * rng.standard_normal(x.size)
    wild = rng.choice(x.size, 12, replace=False)
    y[wild] += np.where(np.arange(12) % 2, 5.0, -5.0)
    return x, y, wild


def test_planted_outliers_are_found_and_little_else():
    x, y, wild = _record()
    found = reject_outliers(x, y)
    assert found.flag[wild].all()
    assert found.flag.sum() <= wild.size + 4
    assert found.fit.rsd_smooth < 0.4


def test_a_settled_verdict_is_stable():
    """What was kept lies within the envelope of the fit to what was kept, what was flagged outside."""
    x, y, _ = _record()
    found = reject_outliers(x, y)
    off = np.abs(y - found.fit.smooth(x))
    width = 3 * found.fit.rsd_smooth
    assert found.settled
    assert (off[~found.flag & np.isfinite(off)] <= width).all()
    assert (off[found.flag & np.isfinite(off)] >= width).all()


def test_one_sided():
    x, y, wild = _record()
    found = reject_outliers(x, y, below=1e9)
    assert found.flag[wild[1::2]].all()
    assert not found.flag[wild[::2]].any()


def test_clean_data_lose_almost_nothing():
    x, y, wild = _record()
    keep = np.ones(x.size, bool)
    keep[wild] = False
    assert reject_outliers(x[keep], y[keep], above=4, below=4).flag.sum() <= 1


def test_passes_are_bounded():
    x, y, _ = _record()
    found = reject_outliers(x, y, above=1.2, below=1.2, passes=2)
    assert found.passes == 2
    assert not found.settled


@pytest.mark.filterwarnings("ignore::stations.curve.fit.CurveWarning")
def test_an_envelope_that_takes_nearly_all_values_says_so():
    x, y, _ = _record()
    with pytest.raises(
        RangeError, match=r"envelope of 1.2 above and 1.2 below left \d+ of 418 values; widen it"
    ):
        reject_outliers(x, y, above=1.2, below=1.2)
    with pytest.raises(RangeError, match="needs more than that many samples"):
        reject_outliers(x[:5], y[:5])


def test_the_rule_says_when_it_did_not_settle(tmp_path):
    x, y, _ = _record()
    record = make_record(y, hours=(x - 2000.0) * 365 * 24)
    path = tmp_path / "r.toml"
    path.write_text('[[rule]]\nkind="outlier"\nabove=1.8\nbelow=1.8\npasses=3')
    _, reports = apply_rules(record, load_rules(path), {})
    assert reports[0].reason == "far from the smooth curve (not settled after 3 passes)"


def test_widths_are_checked():
    with pytest.raises(ConfigError, match="above 0, found 0 and 3"):
        reject_outliers(np.arange(5.0), np.arange(5.0), above=0)
