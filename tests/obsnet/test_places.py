"""Places south of the equator and west of Greenwich are written as such, on pages in both languages too."""

import pytest

from obsnet.places import extent_text, place_text, place_words


@pytest.mark.parametrize(
    ("place", "text", "en", "zh"),
    [
        ((31.25, 121.5), "31.25 N 121.5 E", "31.2° N, 121.5° E", "北纬 31.2°，东经 121.5°"),
        ((-33.0, 151.0), "33 S 151 E", "33.0° S, 151.0° E", "南纬 33.0°，东经 151.0°"),
        ((51.5, -0.125), "51.5 N 0.125 W", "51.5° N, 0.1° W", "北纬 51.5°，西经 0.1°"),
        ((-0.01, -0.0), "0.01 S 0 E", "0.0° N, 0.0° E", "北纬 0.0°，东经 0.0°"),
    ],
)
def test_hemispheres(place, text, en, zh):
    assert place_text(*place) == text
    assert place_words(*place, ".1f") == (en, zh)


def test_an_area_across_the_equator():
    assert extent_text(-5.0, 20.0, 95.0, 190.0) == ("5 S to 20 N", "95 to 190 E")
    assert extent_text(-30.0, -10.0, -80.0, -60.0) == ("30 S to 10 S", "80 W to 60 W")
    assert extent_text(-5.0, 0.0, 0.0, 1.0) == ("5 S to 0 N", "0 to 1 E")
