"""Points: what is refused, where they belong, registers of them in files."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import shapely

from obsnet.errors import FormatError, RangeError, SchemaError, UnitError
from obsnet.inventory.points import read_points
from obsnet.inventory.table import mole_rate
from obsnet.points import Points, place_points

HEAD = "name,lat,lon,value,unit,sector\n"


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ((0.0, 0.0, 1.0), "1 of 2 points have position 0 N 0 E.*row 2"),
        ((np.nan, 100.0, 1.0), "no position"),
        ((95.0, 100.0, 1.0), "no position"),
        ((30.0, 1000.0, 1.0), "no position"),
        ((30.0, 100.0, -1.0), "negative or no number"),
        ((30.0, 100.0, np.nan), "negative or no number"),
    ],
)
def test_faults_are_refused_with_their_row(row, text):
    columns = zip((31.0, 110.0, 2.0), row, strict=True)
    with pytest.raises(RangeError, match=text):
        Points(*(np.array(c) for c in columns), np.full(2, "x"))


def test_the_equator_and_greenwich_are_places():
    assert Points([0.0, 10.0], [100.0, 0.0], [1.0, 1.0], ["x", "x"]).rate.sum() == 2.0
    with pytest.raises(SchemaError, match="differ in length"):
        Points([0.0], [1.0, 2.0], [1.0], ["x"])


class TestPlaces:
    frame = geopandas.GeoDataFrame(
        index=["a", "b"], geometry=[shapely.box(0, 60, 1, 61), shapely.box(1, 60, 2, 61)], crs=4326
    )
    other = shapely.box(-1, 61, 3, 62)

    def rows(self, *places, snap_deg=0.3):
        lat, lon = np.array(places, dtype=float).T
        return place_points(lat, lon, self.frame, self.other, snap_deg=snap_deg).tolist()

    def test_inside_near_far_abroad(self):
        places = ((60.5, 0.5), (60.5, 1.5), (59.8, 1.9), (58.0, 1.0), (61.5, 1.0), (61.01, 0.5))
        assert self.rows(*places) == [0, 1, 1, 2, 3, 3]

    def test_a_degree_of_longitude_is_short_in_the_north(self):
        assert self.rows((60.5, 2.55), (60.5, 2.65)) == [1, 2]

    def test_other_longitudes(self):
        assert self.rows((60.5, 360.5), (61.5, 361.0), (59.8, -358.1)) == [0, 3, 1]

    def test_nearer_to_another_country(self):
        # 0.1 degree south of other land that reaches further east, 0.4 of longitude (0.2 of arc) from b
        assert self.rows((60.9, 2.4)) == [3]
        assert self.rows((60.7, 2.4)) == [1]

    def test_no_other_land(self):
        lat, lon = np.array([60.5, 59.8]), np.array([0.5, 0.5])
        assert place_points(lat, lon, self.frame, shapely.Polygon(), snap_deg=0.3).tolist() == [0, 0]


class TestRegister:
    def read(self, tmp_path, text, **options):
        (tmp_path / "plants.csv").write_text(text, encoding="utf-8")
        return read_points(tmp_path / "plants.csv", **{"gas": "CO2"} | options)

    def test_masses_become_rates(self, tmp_path):
        text = HEAD + "x,30,110,2,Mt,power\ny,31,111,300,万吨,cement\n"
        points = self.read(tmp_path, text)
        np.testing.assert_allclose(points.rate, [mole_rate(2.0, "Mt", "CO2"), mole_rate(3.0, "Mt", "CO2")])
        assert points.sector.tolist() == ["power", "cement"]
        assert not points.whole

    def test_carbon_is_not_carbon_dioxide(self, tmp_path):
        text = "lat,lon,value,unit,gas\n30,110,1,Mt,C\n31,110,1,Mt,CO2\n"
        points = self.read(tmp_path, text, sector="power")
        assert points.rate[0] / points.rate[1] == pytest.approx(44.0095 / 12.011, rel=1e-4)
        assert points.sector.tolist() == ["power", "power"]

    def test_unit_one_only_weighs(self, tmp_path):
        points = self.read(tmp_path, HEAD + "x,30,110,600,1,power\ny,30,110,300,1,power\n")
        assert points.whole
        assert points.rate.tolist() == [600, 300]

    @pytest.mark.parametrize(
        ("text", "error", "match"),
        [
            ("lat,lon,value\n30,110,1\n", FormatError, "lack column 'unit'"),
            ("latitude,lon,value,unit\n30,110,1,Mt\n", FormatError, "lack column 'lat'"),
            ("lat,lon,value,unit\n30,110,1,Mt\n", FormatError, "say in a column 'sector'"),
            (HEAD + "x,30,110,600,MW,power\n", UnitError, "unit 'MW' is no mass a year.*say unit 1"),
            (HEAD + "x,30,110,600,,power\n", UnitError, "no mass a year"),
            (
                HEAD + "x,30,110,600,1,power\ny,30,110,1,Mt,power\n",
                SchemaError,
                "1 in some rows and a mass in others",
            ),
            (HEAD + "x,0,0,600,1,power\n", RangeError, "0 N 0 E"),
            (HEAD + "x,30,110,,Mt,power\n", RangeError, "no number"),
            (
                "lat,lon,value,unit,sector,gas\n30,110,1,Mt,power,CH4\n",
                SchemaError,
                "row 2 is of CH4, the flux of CO2",
            ),
        ],
    )
    def test_faults(self, tmp_path, text, error, match):
        with pytest.raises(error, match=match):
            self.read(tmp_path, text)

    def test_no_such_file(self, tmp_path):
        with pytest.raises(FormatError, match="no such table of points"):
            read_points(tmp_path / "none.csv", "CO2")
