"""Regions that are not told apart: found by covariance and kernel alone, merged, tested as a sum."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from obsnet.crosscheck.compared.joint import joint_sets, resolve
from obsnet.crosscheck.compared.quantity import Sums
from obsnet.crosscheck.verdicts.table import Choices, check, compare, read_totals
from tests.obsnet.crosscheck.verdicts.test_table import MT, inventory, posterior

ONE = np.eye(3)


def test_correlated_errors_make_a_pair():
    for r, sets in ((0.51, [(0, 1)]), (-0.51, [(0, 1)]), (0.49, []), (-0.49, [])):
        cov = np.diag([1.0, 4.0, 9.0])
        cov[0, 1] = cov[1, 0] = 2.0 * r
        assert joint_sets(resolve(ONE, np.ones(3), cov).pairs) == sets


def test_pairs_are_joined_through_a_third():
    cov = np.array([[1.0, 0.6, 0.1, 0], [0.6, 1, 0, 0.6], [0.1, 0, 1, 0], [0, 0.6, 0, 1]])
    found = resolve(np.eye(4), np.ones(4), cov)
    assert joint_sets(found.pairs) == [(0, 1, 3)]
    assert found.correlation.tolist() == [0.6, 0.6, 0.1, 0.6]
    assert found.partner.tolist() == [1, 0, 0, 1]


def test_a_shared_response_makes_a_pair_whatever_the_sizes():
    """0.3 Mt of every Mt of region 1 (sd 10) shows in region 0 (sd 2): 1.5 sd, against 0.8 of its own."""
    response = ONE * 0.8
    response[0, 1] = 0.3
    spread = np.array([2.0, 10.0, 5.0])
    pairs = resolve(response, spread, ONE).pairs
    assert joint_sets(pairs) == [(0, 1)]
    assert (pairs == pairs.T).all()
    assert resolve(response, spread, ONE).share[0] == pytest.approx(0.8 / (0.8 + 1.5))
    response[0, 1], response[1, 0] = 0.0, 0.3  # 0.06 sd of the large one
    assert joint_sets(resolve(response, spread, ONE).pairs) == []


def test_a_share_is_held_against_what_is_moved():
    """What answers to itself by 0.3 and to its neighbour by 0.25 follows it; what answers by 0.9 does not."""
    for own, sets in ((0.3, [(0, 1)]), (0.9, [])):
        response = np.diag([own, 0.9, 0.9])
        response[0, 1] = 0.25
        assert joint_sets(resolve(response, np.ones(3), ONE).pairs) == sets


def test_what_nobody_sees_is_no_pair():
    """A region that answers to nothing, by a hundredth to its neighbour: it is not observed, not shared."""
    response = np.diag([0.001, 0.9, 0.9])
    response[0, 1] = 0.01
    found = resolve(response, np.ones(3), ONE)
    assert joint_sets(found.pairs) == []
    assert resolve(np.zeros((3, 3)), np.zeros(3), np.zeros((3, 3))).share.tolist() == [0.0, 0.0, 0.0]


def test_units_and_order_do_not_matter():
    rng = np.random.default_rng(4)
    root = rng.standard_normal((8, 5))
    cov, response, spread = root @ root.T, 0.4 * rng.standard_normal((8, 8)), rng.uniform(1, 5, 8)
    sets = joint_sets(resolve(response, spread, cov).pairs)
    assert sets
    scale = rng.uniform(0.1, 10, 8)
    other = resolve(response * scale[:, None] / scale[None, :], spread * scale, cov * np.outer(scale, scale))
    assert joint_sets(other.pairs) == sets
    turn = rng.permutation(8)
    mixed = joint_sets(resolve(response[np.ix_(turn, turn)], spread[turn], cov[np.ix_(turn, turn)]).pairs)
    assert sorted(tuple(sorted(turn[i] for i in s)) for s in mixed) == sets


@pytest.fixture
def totals(tmp_path):
    """Beijing and Tianjin of 100 and 200 Mt, whose errors of 5 Mt are correlated by -0.6."""
    path = posterior(tmp_path / "p.nc")
    data = xr.load_dataset(path, engine="netcdf4")
    cov = 25.0 / MT**2 * np.array([[1.0, -0.6, 0.0], [-0.6, 1.0, 0.0], [0.0, 0.0, 1.0]])
    for name in ("total_covariance", "total_test_covariance"):
        data[name] = (("total", "total_2"), cov)
    data.to_netcdf(tmp_path / "q.nc")
    return read_totals(tmp_path / "q.nc")


def test_the_merged_verdict(totals):
    """By hand: errors of 5 and 5, correlated by -0.6, leave 25 x (1 + 1 - 1.2) of the sum."""
    found = check(totals, inventory(value=[100.0, 200.0]))
    table = found.table.set_index("region")
    assert list(table.index) == ["110000", "120000", "110000+120000"]
    assert table["kind"].tolist() == ["region", "region", "joint"]
    row = table.loc["110000+120000"]
    assert (row["name_en"], row["name_zh"]) == ("Beijing + Tianjin", "北京市 + 天津市")
    np.testing.assert_allclose([row["inventory"], row["inventory_sd"], row["posterior"]], [300, 15, 330])
    np.testing.assert_allclose(row["posterior_sd"], np.sqrt(20.0))
    np.testing.assert_allclose(row["difference_sd"], np.sqrt(20.0 + (0.9 * 15.0) ** 2))
    # 30 ± 14.2 Mt: the set is a family of its own, and regions are judged as without it
    assert row["verdict"] == "inconsistent"
    assert table["level"].tolist() == [0.025, 0.025, 0.05]
    assert table["joint"].tolist() == ["110000+120000", "110000+120000", ""]
    assert table["correlation"].tolist()[:2] == pytest.approx([-0.6, -0.6])
    assert table["correlation_with"].tolist() == ["120000", "110000", ""]
    assert "not well told apart from others: read with Beijing + Tianjin" in table.loc["110000", "remark"]
    assert "请与“北京市 + 天津市”一并阅读" in table.loc["110000", "remark_zh"]
    # the covariance of all rows, by hand
    np.testing.assert_allclose(found.covariance, [[25, -15, 10], [-15, 25, 10], [10, 10, 20]])


def test_merged_instead_or_not_at_all(totals):
    rows = inventory(value=[100.0, 200.0])
    instead = compare(totals, rows, choices=Choices(sums=Sums(merge="instead"))).set_index("region")
    assert instead["verdict"].tolist() == ["not testable", "not testable", "inconsistent"]
    assert (
        instead.loc["110000", "reason"]
        == "not told apart from others: see Beijing + Tianjin, with which it is reported"
    )
    assert instead.loc["110000+120000", "level"] == 0.05
    assert instead.loc["110000", "joint"] == "110000+120000"
    apart = compare(totals, rows, choices=Choices(sums=Sums(merge="no")))
    besides = compare(totals, rows)
    pd.testing.assert_frame_equal(
        besides.iloc[:2].drop(columns=["joint", "remark", "remark_zh"]),
        apart.drop(columns=["joint", "remark", "remark_zh"]),
    )
    assert apart["region"].tolist() == ["110000", "120000"]
    assert (apart["joint"] == "").all()


def test_merging_looks_at_the_covariance_only(totals):
    """Other data and other inventories: the same sets."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = replace(totals, posterior=totals.prior * rng.lognormal(0, 1, 3))
        table = compare(moved, inventory(value=rng.uniform(1, 500, 2)))
        assert table["region"].tolist() == ["110000", "120000", "110000+120000"]


def test_a_file_without_the_covariance_of_totals(tmp_path):
    data = xr.load_dataset(posterior(tmp_path / "p.nc"), engine="netcdf4").drop_vars("total_covariance")
    data.to_netcdf(tmp_path / "q.nc")
    found = check(
        read_totals(tmp_path / "q.nc"),
        inventory(value=[100.0, 200.0]),
        choices=Choices(sums=Sums({"both": ["110000", "120000"]})),
    )
    assert found.table["correlation"].isna().all()
    assert (found.table["correlation_with"] == "").all()
    np.testing.assert_allclose(found.table["posterior_sd"], [5.0, 5.0, np.nan])
    assert found.covariance.isna().to_numpy().sum() == 7


def test_a_member_without_an_inventory(totals):
    table = compare(totals, pd.DataFrame(inventory().iloc[:1])).set_index("region")
    assert table.loc["110000+120000", "reason"] == "no inventory of Tianjin"
    assert table.loc["110000", "verdict"] == "consistent"


def test_chi_square_takes_sets_in_the_place_of_their_members(totals):
    """Besides: two numbers; instead: their sum, whose chi-square is the square of the verdict's test."""
    rows = inventory(value=[100.0, 200.0])
    besides = check(totals, rows).statistics.set_index("statistic")["value"]
    assert besides["chi_square_common_1_freedom"] == 2
    found = check(totals, rows, choices=Choices(sums=Sums(merge="instead")))
    instead = found.statistics.set_index("statistic")["value"]
    row = found.table.set_index("region").loc["110000+120000"]
    assert instead["chi_square_common_1_freedom"] == 1
    assert instead["chi_square_common_1"] == pytest.approx((row["difference"] / row["difference_sd"]) ** 2)
