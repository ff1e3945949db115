"""Pictures: every kind, both languages, what cannot be drawn."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

import stations
from obsnet.config import validate
from obsnet.errors import ConfigError, ObsnetError
from obsnet.schema import Quality
from stations.pictures.options import PictureOptions
from stations.pictures.parts import FLAG_ZH, TEXT, diurnal_cycle, formula
from stations.pictures.plots import plot_record
from tests.stations.made import make_record


@pytest.fixture(scope="module")
def flasks(sample_data):
    return stations.read(sample_data / "stations/noaa_flask/co2_lln_surface-flask_1_ccgg_event.txt")


def _hourly(days=500, longitude=120.0):
    hours = np.arange(days * 24)
    local = (hours + 0.5 + longitude / 15) % 24
    value = 400 + 8 * np.cos(2 * np.pi * local / 24) + 3 * np.sin(2 * np.pi * hours / 8766)
    return make_record(value, longitude=longitude)


@pytest.mark.parametrize("picture", ["overview", "record", "growth", "season", "diurnal", "flags"])
def test_every_picture(flasks, tmp_path, picture):
    path = tmp_path / f"{picture}.png"
    assert (
        plot_record(
            flasks, path, PictureOptions(picture=picture, baseline=True, language="en", replicates=10, dpi=60)
        )
        == []
    )
    assert path.read_bytes()[:4] == b"\x89PNG"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_svg_holds_its_words_and_repeats(tmp_path):
    record = _hourly()
    for name in ("a.svg", "b.svg"):
        plot_record(record, tmp_path / name, PictureOptions(picture="diurnal", language="en"))
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    ET.parse(tmp_path / "a.svg")


def test_overview_of_an_hourly_record_shows_the_diurnal_cycle(tmp_path):
    notes = plot_record(_hourly(), tmp_path / "a.png", PictureOptions(language="en", replicates=5, dpi=60))
    assert any("averaged to 1 day" in n for n in notes)


def test_diurnal_cycle_is_in_solar_time():
    for longitude in (75.0, 120.0, -60.0):
        mean, error, days = diurnal_cycle(_hourly(60, longitude))
        assert mean.argmax() in {0, 23}
        assert mean.argmin() in {11, 12}
        assert mean.max() == pytest.approx(8.0, abs=0.2)
        assert (days >= 55).all()
        assert np.isfinite(error).all()


def test_diurnal_cycle_by_season_and_of_thin_data():
    mean, _, days = diurnal_cycle(_hourly(60), (7,))
    assert days.sum() == 0
    assert np.isnan(mean).all()
    assert np.isnan(diurnal_cycle(make_record([400.0]))[0]).all()


def test_a_record_too_short_to_fit_is_drawn_without_curves(tmp_path):
    notes = plot_record(
        make_record(np.full(5, 400.0)), tmp_path / "a.png", PictureOptions(language="en", dpi=60)
    )
    assert any(n.startswith("no fit:") for n in notes)
    with pytest.raises(ObsnetError, match="samples"):
        plot_record(
            make_record(np.full(5, 400.0)),
            tmp_path / "b.png",
            PictureOptions(picture="growth", language="en"),
        )
    assert not (tmp_path / "b.png").exists()


def test_chinese_without_a_font_says_so_and_draws_english(tmp_path, monkeypatch, flasks):
    from obsnet.drawing import fonts

    monkeypatch.setattr(fonts, "use_fonts", lambda: False)
    notes = plot_record(flasks, tmp_path / "a.png", PictureOptions(picture="season", language="zh", dpi=60))
    assert notes == [f"labels are English: {fonts.NO_FONT.en}"]
    assert (
        plot_record(flasks, tmp_path / "a.png", PictureOptions(picture="season", language="auto", dpi=60))
        == []
    )


def test_chinese_labels_are_drawn_where_a_font_is(tmp_path, monkeypatch, flasks):
    """Labels come from the Chinese table; which font draws them is the machine's business."""
    import warnings

    from obsnet.drawing import fonts

    monkeypatch.setattr(fonts, "use_fonts", lambda: True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        plot_record(flasks, tmp_path / "a.svg", PictureOptions(picture="growth", language="zh", replicates=5))
    assert "增" in (tmp_path / "a.svg").read_text() or (tmp_path / "a.svg").stat().st_size > 10_000


def test_both_languages_have_the_same_words():
    assert set(TEXT["zh"]) == set(TEXT["en"])
    assert all(TEXT["zh"].values())
    assert set(FLAG_ZH) == {str(f.name).lower() for f in Quality}


def test_formula():
    assert formula("CO2") == "CO₂"
    assert formula("SF6") == "SF₆"


def test_refusals(flasks, tmp_path):
    with pytest.raises(
        ConfigError, match="picture = 'growht': Input should be 'overview', 'record', 'growth'"
    ):
        validate(PictureOptions, {"picture": "growht"})
    with pytest.raises(ConfigError, match="a.gif: pictures are .png, .svg, .pdf"):
        plot_record(flasks, tmp_path / "a.gif")


def test_minutes_count_once_an_hour():
    hours = np.arange(60 * 24 * 8) / 60.0
    value = 400.0 + 5.0 * np.cos(2 * np.pi * hours / 24.0)
    thin = np.concatenate([np.flatnonzero((hours % 24 < 1) | (np.arange(hours.size) % 60 == 0))])
    whole = make_record(value, hours=hours, length_hours=1 / 60, longitude=0.0)
    uneven = make_record(value[thin], hours=hours[thin], length_hours=1 / 60, longitude=0.0)
    mean, _, days = diurnal_cycle(whole)
    assert days.tolist() == [8] * 24
    np.testing.assert_allclose(mean, 5.0 * np.cos(2 * np.pi * (np.arange(24) + 0.5) / 24.0), atol=0.05)
    np.testing.assert_allclose(
        diurnal_cycle(uneven)[0], mean, atol=0.8
    )  # the full hour does not outweigh the rest


@pytest.mark.parametrize(("hours", "label"), [(72, "2020-01-01"), (24 * 365 * 3, "2020")])
def test_short_records_have_dates_on_their_axis(hours, label):
    from matplotlib.figure import Figure

    from stations.pictures.parts import draw_record

    axes = Figure().add_subplot()
    draw_record(axes, make_record(np.full(hours, 400.0) + np.arange(hours) * 1e-4), None, None, TEXT["en"])
    axes.figure.canvas.draw()
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert label in {text[: len(label)] for text in labels}
    assert all(("-" in text) == (hours == 72) for text in labels if text)


def test_a_record_too_thin_for_a_baseline_says_so(tmp_path):
    record = make_record(400 + np.arange(30) % 3, hours=np.arange(30) * 24 * 40)
    notes = plot_record(
        record, tmp_path / "a.png", PictureOptions(baseline=True, language="en", replicates=5, dpi=60)
    )
    assert "no baseline: 30 valid values" in notes
