"""Zonal weights: hand-made coverage, closure, areas, the dateline, the cache; points to regions."""

from __future__ import annotations

import logging

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr
from pyproj import Geod

from obsnet.coverage import polygon_area
from obsnet.errors import GridError, RangeError, RegionError, UnitError
from obsnet.grid import Grid
from obsnet.regions import provinces, read_regions
from obsnet.zonal import OFFSHORE, assign_points, cache_folder, sum_covariance, zonal_weights

UNIT = Grid.regular(0, 4, 0, 6, 1, 1)
CHINA = Grid.regular(3, 54, 73, 136, 0.1, 0.1)


def regions(**polygons):
    return geopandas.GeoDataFrame(index=list(polygons), geometry=list(polygons.values()), crs="EPSG:4326")


def weights(frame, grid, **options):
    return zonal_weights(frame, grid, cache=None, **options)


@pytest.fixture(scope="module")
def china():
    return weights(provinces(), CHINA)


def test_covariance_of_totals_whose_cells_err_by_themselves():
    """By the dense product; regions are tied by the cells that they share, and a cell that nobody has is not asked."""
    halves = weights(
        regions(a=shapely.box(0, 0, 2.5, 3), b=shapely.box(2.5, 0, 5, 3), c=shapely.box(5, 3, 6, 4)), UNIT
    )
    area = halves.matrix[:3]
    spread = np.random.default_rng(0).uniform(0.5, 2.0, (2, 3, UNIT.size))
    found = sum_covariance(area, spread)
    dense = area.toarray()
    np.testing.assert_allclose(found, np.einsum("rc,xyc,sc->xyrs", dense, spread**2, dense), rtol=1e-12)
    assert (found[..., 0, 1] > 0).all()
    assert (found[..., 0, 2] == 0).all()
    spread[..., UNIT.size - 6] = np.nan  # north-west corner, of no region
    np.testing.assert_array_equal(sum_covariance(area, spread), found)


class TestDomain:
    def test_region_outside_the_grid_is_an_empty_row(self):
        found = weights(regions(a=shapely.box(50, 50, 51, 51), b=shapely.box(0, 0, 1, 1)), UNIT)
        assert found.covered.tolist() == pytest.approx([0.0, 1.0], abs=1e-6)
        assert found.totals(np.ones(UNIT.shape))[0] == 0.0

    def test_region_cut_by_the_edge_says_so(self):
        found = weights(regions(a=shapely.box(5, 0, 7, 1)), UNIT)
        assert found.covered[0] == pytest.approx(0.5, abs=1e-6)


class TestDateline:
    grid = Grid.regular(-20, -10, 175, -175, 1, 1)
    east, west = shapely.box(177, -18, 180, -12), shapely.box(-180, -18, -177, -12)

    @pytest.mark.parametrize(
        "shape",
        [
            shapely.MultiPolygon([east, west]),
            shapely.box(177, -18, 183, -12),
            shapely.box(-183, -18, -177, -12),
        ],
    )
    def test_polygon_in_any_convention(self, shape):
        found = weights(regions(fiji=shape), self.grid)
        expected = Grid([-18, -12], [177, 183]).cell_area[0, 0]
        assert found.area[0] == pytest.approx(expected, rel=1e-7)
        block = found.fraction.toarray().reshape(self.grid.shape)
        assert (block[2:8, 2:8] == 1).all()
        assert block.sum() == 36

    def test_global_grids_of_both_conventions_agree(self):
        frame = regions(fiji=shapely.MultiPolygon([self.east, self.west]), africa=shapely.box(-5, 0, 30, 20))
        one = weights(frame, Grid.regular(-90, 90, -180, 180, 2, 2))
        two = weights(frame, Grid.regular(-90, 90, 0, 360, 2, 2))
        assert np.allclose(one.area, two.area, rtol=1e-6)
        assert np.allclose(one.covered, 1.0, atol=1e-6)


class TestClosure:
    def test_regions_and_outside_sum_to_the_domain(self, china):
        flux = np.random.default_rng(1).lognormal(sigma=3, size=(3, *CHINA.shape))
        total = (flux * CHINA.cell_area).sum(axis=(1, 2))
        assert np.allclose(china.totals(flux).sum(axis=1), total, rtol=1e-12)

    def test_every_cell_is_a_partition_of_unity(self, china):
        whole = np.asarray(china.fraction.sum(axis=0)).ravel() + china.outside
        assert np.abs(whole - 1.0).max() < 1e-14
        assert china.outside.min() >= 0.0
        inland = CHINA.index(36.05, 112.05)
        assert china.outside[inland] == 0.0

    def test_constant_flux_gives_the_geodesic_area(self, china):
        geod = Geod(ellps="WGS84")
        shapes = shapely.normalize(provinces().geometry.to_numpy())
        geodesic = np.array([abs(geod.geometry_area_perimeter(g)[0]) for g in shapes])
        totals = china.totals(np.ones(CHINA.shape))[:-1]
        assert np.abs(totals / geodesic - 1.0).max() < 1e-4
        assert totals.sum() / 1e6 == pytest.approx(9.6e6, rel=0.015)
        assert totals[0] / 1e6 == pytest.approx(16.4e3, rel=0.01)  # Beijing
        assert np.allclose(china.covered, 1.0, atol=1e-4)

    def test_small_provinces_on_a_coarse_grid(self, china):
        # A cell-centre mask of 2 x 2.5 degrees has no Macao at all.
        coarse = weights(provinces(), Grid.regular(2, 54, 72.5, 137.5, 2, 2.5))
        assert np.allclose(coarse.area, china.area, rtol=1e-4)

    def test_merged_regions_are_the_sum_of_their_rows(self, china):
        frame = provinces().loc[["110000", "120000", "130000"]]
        merged = regions(jjj=frame.union_all())
        flux = np.random.default_rng(2).lognormal(size=CHINA.shape)
        apart = weights(frame, CHINA).totals(flux)
        joined = weights(merged, CHINA).totals(flux)
        assert joined[0] == pytest.approx(apart[:-1].sum(), rel=1e-6)
        assert joined[1] == pytest.approx(apart[-1], rel=1e-6)


class TestOverlap:
    frame = regions(a=shapely.box(0, 0, 2, 2), b=shapely.box(1, 0, 3, 2))

    def test_refused_with_names_and_areas(self):
        with pytest.raises(
            RegionError, match=r"1 pairs of regions overlap: a and b share 2\.4\d+e\+04 km2.*allow_overlap"
        ):
            weights(self.frame, UNIT)

    def test_allowed_totals_stand_alone_and_outside_is_outside_all(self):
        found = weights(self.frame, UNIT, allow_overlap=True)
        totals = found.totals(np.ones(UNIT.shape))
        assert totals[0] == pytest.approx(UNIT.cell_area[:2, :2].sum(), rel=1e-6)
        assert totals[1] == pytest.approx(UNIT.cell_area[:2, 1:3].sum(), rel=1e-6)
        assert totals[2] == pytest.approx(UNIT.cell_area.sum() - UNIT.cell_area[:2, :3].sum(), rel=1e-6)
        assert totals.sum() - found.overlaps[0][2] == pytest.approx(UNIT.cell_area.sum(), rel=1e-6)

    def test_city_within_province(self):
        frame = regions(province=shapely.box(0, 0, 3, 3), city=shapely.box(1, 1, 1.5, 1.5))
        found = weights(frame, UNIT, allow_overlap=True)
        assert found.area == pytest.approx(polygon_area(frame.geometry), rel=1e-6)

    def test_sliver_is_divided_counted_and_reported(self):
        frame = regions(a=shapely.box(0, 0, 2.01, 2), b=shapely.box(2, 0, 4, 2))
        found = weights(frame, UNIT)
        assert [row[:2] for row in found.overlaps] == [("a", "b")]
        assert found.overlaps[0][2] == pytest.approx(Grid([0, 2], [2, 2.01]).cell_area[0, 0], rel=1e-6)
        assert found.shared_cells == 2
        flux = np.random.default_rng(0).lognormal(size=UNIT.shape)
        assert found.totals(flux).sum() == pytest.approx((flux * UNIT.cell_area).sum(), rel=1e-12)

    def test_the_provinces_one_sliver_is_reported(self, china):
        (pair,) = china.overlaps
        assert pair[:2] == ("320000", "370000")
        assert pair[2] < 1e6  # m2

    def test_touching_is_not_overlapping(self):
        assert weights(regions(a=shapely.box(0, 0, 1, 1), b=shapely.box(1, 0, 2, 1)), UNIT).overlaps == ()


class TestTotals:
    one = regions(a=shapely.box(0, 0, 1, 1), b=shapely.box(1, 0, 2.5, 1))

    def test_signs_and_leading_dimensions(self):
        found = weights(self.one, UNIT)
        flux = np.stack([np.ones(UNIT.shape), -2 * np.ones(UNIT.shape)])[:, None]
        out = found.totals(flux)
        assert out.shape == (2, 1, 3)
        assert np.allclose(out[1], -2 * out[0], rtol=1e-15)

    def test_data_array(self):
        found = weights(self.one, UNIT)
        flux = xr.DataArray(
            np.ones((2, *UNIT.shape)),
            coords={"time": [1, 2], "lat": UNIT.lat, "lon": UNIT.lon},
            dims=("time", "lat", "lon"),
            name="flux",
            attrs={"units": "mol m-2 s-1", "substance": "CO2", "comment": "not of totals"},
        )
        out = found.totals(flux)
        assert out.dims == ("time", "region")
        assert out.attrs == {"units": "mol s-1", "substance": "CO2"}
        assert out.sel(region="b", time=2) == pytest.approx(found.area[1])
        assert out["region"].values.tolist() == ["a", "b", "outside"]

    def test_other_unit_is_refused(self):
        flux = xr.DataArray(
            np.ones(UNIT.shape), dims=("lat", "lon"), name="co2", attrs={"units": "kg m-2 s-1"}
        )
        with pytest.raises(UnitError, match=r"zonal totals are of mol m-2 s-1, 'co2' is in 'kg m-2 s-1'"):
            weights(self.one, UNIT).totals(flux)

    def test_other_grid_is_refused(self):
        with pytest.raises(GridError, match="is not on Grid"):
            weights(self.one, UNIT).totals(np.ones((3, 3)))

    def test_missing_values(self):
        found = weights(self.one, UNIT)
        flux = np.ones(UNIT.shape)
        flux[0, 2] = np.nan
        with pytest.raises(RangeError, match="zonal totals: 1 of 24 values are missing"):
            found.totals(flux)
        assert found.totals(flux, nan="zero")[1] == pytest.approx(UNIT.cell_area[0, 1], rel=1e-6)
        assert np.isnan(found.totals(flux, nan="propagate")).tolist() == [False, True, True]

    def test_covariance_by_the_matrix(self):
        # cov(E) = M C M^T with C = I: variances are sums of squared areas, the rest comes of shared cells.
        matrix = weights(self.one, UNIT).matrix
        covariance = (matrix @ matrix.T).toarray()
        assert np.allclose(covariance, covariance.T)
        assert np.linalg.eigvalsh(covariance).min() > -1e-6 * covariance.max()
        assert covariance[0, 1] == 0.0
        assert covariance[1, 2] == pytest.approx((UNIT.cell_area[0, 2] / 2) ** 2, rel=1e-6)


class TestInput:
    def test_keys_must_be_unique_and_not_outside(self):
        frame = regions(a=shapely.box(0, 0, 1, 1), b=shapely.box(1, 0, 2, 1))
        for keys in (["a", "a"], ["a", "outside"]):
            with pytest.raises(RegionError, match="unique keys other than 'outside'"):
                weights(frame.set_axis(keys), UNIT)

    def test_reference_system(self):
        frame = regions(a=shapely.box(0, 0, 1, 1))
        with pytest.raises(RegionError, match="no coordinate reference system"):
            weights(frame.set_crs(None, allow_override=True), UNIT)
        metres = frame.to_crs("EPSG:3857")
        assert weights(metres, UNIT).area[0] == pytest.approx(weights(frame, UNIT).area[0], rel=1e-6)

    @pytest.mark.parametrize(
        "shape", [shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), shapely.Polygon(), shapely.Point(1, 1)]
    )
    def test_polygons_must_be_valid_and_have_an_area(self, shape):
        with pytest.raises(RegionError, match="no valid polygon for b; obsnet.regions.read_regions repairs"):
            weights(regions(a=shapely.box(0, 0, 1, 1), b=shape), UNIT)

    def test_numeric_keys_become_text(self):
        frame = regions(a=shapely.box(0, 0, 1, 1)).set_axis([110000])
        assert weights(frame, UNIT).labels == ("110000", "outside")


class TestCache:
    frame = regions(北京=shapely.box(0, 0, 2.01, 2), b=shapely.box(2, 0, 4, 2))

    def test_second_call_reads_what_the_first_wrote(self, tmp_path, monkeypatch):
        first = zonal_weights(self.frame, UNIT, cache=tmp_path)
        assert len(list(tmp_path.iterdir())) == 1
        monkeypatch.setattr("obsnet.coverage.coverage", None)  # must not be needed again
        second = zonal_weights(self.frame, UNIT, cache=tmp_path)
        assert (first.matrix != second.matrix).nnz == 0
        assert second.labels == first.labels
        assert second.overlaps == first.overlaps
        assert second.shared_cells == first.shared_cells
        assert np.array_equal(second.region_area, first.region_area)

    def test_polygons_grid_and_options_each_have_their_own(self, tmp_path):
        moved = regions(北京=shapely.box(0, 0, 2.01, 2), b=shapely.box(2, 0, 4, 2.5))
        renamed = self.frame.set_axis(["x", "b"])
        for frame, grid, options in (
            (self.frame, UNIT, {}),
            (moved, UNIT, {}),
            (renamed, UNIT, {}),
            (self.frame, Grid.regular(0, 4, 0, 6, 2, 2), {}),
            (self.frame, UNIT, {"allow_overlap": True}),
        ):
            zonal_weights(frame, grid, cache=tmp_path, **options)
        assert len(list(tmp_path.iterdir())) == 5

    def test_damaged_file_is_replaced(self, tmp_path, caplog):
        first = zonal_weights(self.frame, UNIT, cache=tmp_path)
        (file,) = tmp_path.iterdir()
        whole = file.read_bytes()
        for damage in (b"", b"not a zip", whole[: len(whole) // 2]):
            file.write_bytes(damage)
            with caplog.at_level(logging.WARNING, "obsnet.zonal"):
                again = zonal_weights(self.frame, UNIT, cache=tmp_path)
            assert "damaged, computed anew" in caplog.text
            assert (again.matrix != first.matrix).nnz == 0
        assert zonal_weights(self.frame, UNIT, cache=tmp_path).labels == first.labels

    def test_unwritable_folder_does_not_stop_the_run(self, tmp_path, caplog):
        (tmp_path / "file").write_text("")
        with caplog.at_level(logging.WARNING, "obsnet.zonal"):
            found = zonal_weights(self.frame, UNIT, cache=tmp_path / "file" / "below")
        assert found.regions == ("北京", "b")
        assert "zonal weights are not kept" in caplog.text

    def test_no_pickle_inside(self, tmp_path):
        zonal_weights(self.frame, UNIT, cache=tmp_path)
        (file,) = tmp_path.iterdir()
        with np.load(file, allow_pickle=False) as kept:
            assert all(kept[name].dtype != object for name in kept)

    def test_folder_follows_the_environment(self, tmp_path, monkeypatch):
        monkeypatch.setenv("OBSNET_CACHE", str(tmp_path))
        assert cache_folder() == tmp_path / "zonal"
        zonal_weights(self.frame, UNIT)
        assert len(list((tmp_path / "zonal").iterdir())) == 1
        monkeypatch.delenv("OBSNET_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
        assert cache_folder() == tmp_path / "x" / "obsnet" / "zonal"


class TestPoints:
    frame = regions(
        west=shapely.box(100, 30, 101, 31),
        east=shapely.box(101, 30, 102, 31),
        north=shapely.box(100, 60, 101, 61),
    )

    def test_inside_on_the_border_near_and_far(self):
        lat = [30.5, 30.5, 30.5, 29.8, 29.8, 25.0]
        lon = [100.5, 101.5, 101.0, 100.5, 101.2, 100.5]
        region, distance = assign_points(lat, lon, self.frame)
        assert region.tolist() == ["west", "east", "west", "west", "east", OFFSHORE]
        assert distance[:3].tolist() == [0.0, 0.0, 0.0]
        assert distance[3:5].tolist() == pytest.approx([0.2, 0.2])
        assert np.isnan(distance[5])

    def test_distance_is_on_the_ground(self):
        # At 60.5 N half a degree of longitude is a quarter of a degree of arc.
        region, distance = assign_points([60.5, 60.5], [99.5, 99.3], self.frame, snap_deg=0.3)
        assert region.tolist() == ["north", OFFSHORE]
        assert distance[0] == pytest.approx(0.5 * np.cos(np.deg2rad(60.5)))

    def test_nearest_wins_on_the_ground_not_on_the_map(self):
        frame = regions(a=shapely.box(0, 60, 1, 61), b=shapely.box(1.5, 61.2, 3, 62))
        region, _ = assign_points([61.0], [1.4], frame)  # 0.19 deg of arc east of a; 0.206 south-west of b
        assert region[0] == "a"

    def test_snap_distance_is_a_limit(self):
        assert assign_points([29.75], [100.5], self.frame, snap_deg=0.2)[0][0] == OFFSHORE
        assert assign_points([29.75], [100.5], self.frame, snap_deg=0.0)[0][0] == OFFSHORE
        assert assign_points([29.75], [100.5], self.frame, snap_deg=0.25)[0][0] == "west"

    def test_any_longitude_convention(self):
        pacific = regions(fiji=shapely.box(177, -18, 183, -12))
        for lon in (179.5, -179.5, 180.5, 182.9, -177.1):
            assert assign_points([-15.0], [lon], pacific)[0][0] == "fiji"
        assert assign_points([-15.0], [-176.9], pacific)[0][0] == "fiji"  # snapped
        assert assign_points([30.5], [460.5], self.frame)[0][0] == "west"

    def test_snapping_across_the_dateline_far_north(self):
        arctic = regions(island=shapely.box(-179.5, 75, -178, 76))
        region, distance = assign_points([75.5], [179.6], arctic)
        assert region[0] == "island"
        assert distance[0] == pytest.approx(0.9 * np.cos(np.deg2rad(75.5)), rel=1e-9)

    def test_no_points_and_scalars(self):
        region, distance = assign_points([], [], self.frame)
        assert region.size == distance.size == 0
        assert assign_points(30.5, 100.5, self.frame)[0].tolist() == ["west"]

    @pytest.mark.parametrize(("lat", "lon"), [(np.nan, 100.0), (91.0, 100.0), (30.0, np.inf)])
    def test_no_position(self, lat, lon):
        with pytest.raises(RangeError, match="1 of 2 points have no position; the first is row 1"):
            assign_points([30.0, lat], [100.0, lon], self.frame)

    def test_coal_plants_of_china(self, sample_data):
        plants = pd.read_csv(
            sample_data / "inventory/powerplants/wri_gppd_china_coal.csv", dtype={"adcode_ne50": str}
        )
        coarse = read_regions(sample_data / "inventory/boundaries/ne_50m_china_provinces.geojson", "adcode")
        region, distance = assign_points(plants["lat"], plants["lon"], coarse)
        inside = plants["adcode_ne50"].notna().to_numpy()
        assert (region[inside] == plants["adcode_ne50"][inside]).all()
        # Reference: 95 of 1,040 plants (144 GW) lie off that coast, median 0.02, at most 0.17 degrees
        assert (~inside).sum() == (distance > 0).sum() == 95
        assert plants["capacity_mw"][~inside].sum() == pytest.approx(144e3, rel=0.01)
        assert 0.015 < np.median(distance[~inside]) < 0.025
        assert distance.max() == pytest.approx(0.17, abs=0.005)
        fine, _ = assign_points(plants["lat"], plants["lon"], provinces("amap"))
        assert OFFSHORE not in fine
        assert (region == fine)[~inside].mean() > 0.97
        assert (region == fine).mean() > 0.99
