"""Known sources from a CSV."""

import pytest

from obsnet.errors import FormatError, MissingVariableError, RangeError
from retrieval.plume.sources import read_sources


def test_sources_are_read_with_and_without_radius(tmp_path):
    path = tmp_path / "sources.csv"
    path.write_text(
        "# comment\nsource,latitude,longitude,radius_km,fuel\n电厂,35,110,0,coal\ncity,36,111,15,\n",
        encoding="utf-8",
    )
    first, second = read_sources(path)
    assert (first.name, first.place, second.radius_km) == ("电厂", (35.0, 110.0), 15.0)
    path.write_text("source,latitude,longitude\na,35,110\n")
    assert read_sources(path)[0].radius_km == 0.0


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("source,lat,longitude\na,35,110\n", MissingVariableError, "'latitude' is missing"),
        ("source,latitude,longitude\na,35,110\na,36,110\n", FormatError, "twice"),
        ("source,latitude,longitude\na,35,\n", FormatError, "numbers in every row"),
        ("source,latitude,longitude\na,95,110\n", RangeError, "no place"),
        ("source,latitude,longitude\na,0,0\n", RangeError, "missing position"),
        ("source,latitude,longitude,radius_km\na,35,110,30000\n", RangeError, "radius_km"),
    ],
)
def test_mistakes_are_one_line(tmp_path, text, error, said):
    path = tmp_path / "sources.csv"
    path.write_text(text)
    with pytest.raises(error, match=said):
        read_sources(path)
