"""Which hours of the stacks belong to an overpass."""

import numpy as np
import pytest

from obsnet.errors import ConfigError, FormatError, MissingVariableError
from retrieval.plants.compare.match import emission_window, match_stack, pairs, read_overpasses
from retrieval.plants.stack.record import StackRecord
from retrieval.plume.rates.reasons import RejectReason
from tests.retrieval.plants.world import rate_row, write

AT = np.datetime64("2023-06-01T12:00")


def read(path, rows, source=None, method=None):
    return read_overpasses([write(path / "rates.csv", rows)], source, method)


def steps(rates, start="2023-06-01T00"):
    mass = np.array(rates, float) * 3600
    zero = np.zeros(mass.size)
    return StackRecord("p", np.datetime64(start, "h"), mass, 0.05 * mass, zero, ("1",), 0.0)


def test_the_window_is_the_travel_time(tmp_path):
    start, stop = emission_window(AT.astype("datetime64[us]"), 0.0, 36.0, 5.0)
    assert (str(start)[11:16], str(stop)[11:16]) == ("10:00", "12:00")
    start, stop = emission_window(
        AT.astype("datetime64[us]"), 18.0, 18.0, 5.0
    )  # a track: an hour about the middle
    assert (str(start)[11:16], str(stop)[11:16]) == ("10:30", "11:30")


def test_the_plant_that_went_off_before_the_overpass_is_still_seen(tmp_path):
    """Emission of the window, not of the overpass's hour: a sign that is wrong would take the hours after it."""
    overpasses, _, _ = read(
        tmp_path, [rate_row("a", AT, 300.0, start_km=18.0, end_km=54.0, wind_error_m_s=0.0)]
    )
    rates = [300.0] * 11 + [0.0] * 13  # off from 11:00
    found = match_stack(overpasses[0], steps(rates))
    assert [str(t)[11:16] for t in found.window] == ["09:00", "11:00"]
    assert found.stack == pytest.approx(300.0)
    assert found.stack_error == pytest.approx(15.0)
    assert found.e_n == pytest.approx(0.0, abs=1e-12)


def test_wind_that_is_not_known_well_makes_the_stacks_less_certain(tmp_path):
    overpasses, _, _ = read(tmp_path, [rate_row("a", AT, 300.0, wind_error_m_s=1.5)])
    even, steep = steps([200.0] * 24), steps(np.linspace(0, 460, 24))
    assert match_stack(overpasses[0], even).stack_error == pytest.approx(10.0)
    found = match_stack(overpasses[0], steep)
    # the middle of the plume left 4000 s before; 5714 or 3077 s at 3.5 or 6.5 m s-1: 14.6 kg s-1 apart at 20 an hour
    assert np.sqrt(found.stack_error**2 - (0.05 * found.stack) ** 2) == pytest.approx(7.3, abs=1.0)


def test_errors_that_grow_are_taken_at_the_stacks_rate(tmp_path):
    overpasses, _, _ = read(tmp_path, [rate_row("a", AT, 150.0, additive=30.0, share=0.2)])
    o = overpasses[0]
    assert o.error_at(o.rate) == pytest.approx(np.hypot(30, 30))
    assert o.error_at(300.0) == pytest.approx(np.hypot(30, 60))
    matched = match_stack(o, steps([300.0] * 24))
    assert matched.e_n == pytest.approx(-150 / (2 * np.sqrt(30**2 + 60**2 + 15**2)))
    x, y, sx, sy = pairs([matched])
    assert (x[0], y[0], sx[0], sy[0]) == pytest.approx((300.0, 150.0, 15.0, np.hypot(30, 60)))


@pytest.mark.parametrize(
    ("reasons", "status"),
    [
        (0, "rate"),
        (RejectReason.BELOW_LIMIT, "below"),
        (
            RejectReason.NOT_FOUND | RejectReason.BELOW_LIMIT | RejectReason.UNCERTAIN | RejectReason.SHORT,
            "below",
        ),
        (RejectReason.NOT_FOUND | RejectReason.GAPS, "rejected"),  # clouds hide: nothing is known
        (RejectReason.BELOW_LIMIT | RejectReason.SLOW_WIND, "rejected"),
        (RejectReason.MERGED, "rejected"),
        (RejectReason.UNCERTAIN, "rejected"),
    ],
)
def test_no_rate_is_kept_where_there_is_a_reason_against_it(tmp_path, reasons, status):
    overpasses, beside, _ = read(tmp_path, [rate_row("a", AT, 250.0, quality=int(reasons))])
    assert overpasses[0].status == status
    assert np.isfinite(overpasses[0].rate) == (status == "rate")
    assert np.isfinite(beside[0]["rate"]) == (status == "rate")
    assert np.isnan(match_stack(overpasses[0], steps([300.0] * 24)).e_n) == (status != "rate")


def test_several_sources_and_methods_are_asked_for(tmp_path):
    rows = [
        rate_row("a", AT, 300.0),
        rate_row("a", AT, 280.0, method="ime"),
        rate_row("a", AT, 90.0, source="b"),
    ]
    with pytest.raises(ConfigError, match="sources plant, b; say which counts with --source"):
        read(tmp_path, rows)
    with pytest.raises(ConfigError, match="share pixels and wind; say which counts with --method"):
        read(tmp_path, rows, "plant")
    with pytest.raises(ConfigError, match="no method 'ism'; nearest: 'ime'"):
        read(tmp_path, rows, "plant", "ism")
    overpasses, beside, place = read(tmp_path, rows, "plant", "ime")
    assert [o.rate for o in overpasses] == [280.0]
    assert len(beside) == 2
    assert place == {"source": "plant", "latitude": 32.0, "longitude": -97.0}


def test_bad_tables(tmp_path):
    with pytest.raises(FormatError, match="'a' of plant by csf stands there twice"):
        read(tmp_path, [rate_row("a", AT, 300.0)] * 2)
    with pytest.raises(FormatError, match="rates of CH4"):
        read(tmp_path, [rate_row("a", AT, 3.0, species="CH4")])
    row = rate_row("a", AT, 300.0)
    del row["limit_kg_s"]
    with pytest.raises(MissingVariableError, match="'limit_kg_s' is missing"):
        read(tmp_path, [row])


def test_a_mean_of_many_overpasses_has_no_window(tmp_path):
    overpasses, _, _ = read(tmp_path, [rate_row("9 overpasses", AT, 300.0, method="divergence")])
    assert match_stack(overpasses[0], steps([300.0] * 24)).window is None
