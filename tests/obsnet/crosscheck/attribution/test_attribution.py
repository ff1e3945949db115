"""Sectors of a total: both ways add up, one is the limit of the other, and files are refused that do not add up."""

import json

import numpy as np
import pandas as pd
import pytest

from obsnet.commands.attribute import attribute
from obsnet.crosscheck.attribution.kernel import by_errors, by_share, sector_covariance
from obsnet.crosscheck.attribution.options import AttributeOptions
from obsnet.crosscheck.attribution.run import attribute_table
from obsnet.crosscheck.reconcile.kernel import combine
from obsnet.crosscheck.verdicts.table import read_totals
from obsnet.errors import ConfigError
from obsnet.report.sections.optional import optional_sections
from tests.commands import call
from tests.obsnet.crosscheck.verdicts.test_table import inventory, posterior

Z = np.array([[60.0, 10.0], [30.0, 5.0], [10.0, 85.0]])  # three sectors of two regions
X = np.array([120.0, 80.0])
S = np.array([[16.0, 4.0], [4.0, 25.0]])
H = np.kron(np.ones((1, 3)), np.eye(2))


def ways(sd, sectors=0.3, regions=0.2):
    error = sector_covariance(sd, sectors, regions)
    return by_share(X, S, Z), by_errors(X, S, Z, error)


def test_both_add_up_to_the_total_and_its_error():
    for value, covariance in ways(0.2 * Z):
        np.testing.assert_allclose(value.sum(axis=0), X)
        np.testing.assert_allclose(H @ covariance @ H.T, S, atol=1e-9)
        assert np.linalg.eigvalsh(covariance)[0] > -1e-9


@pytest.mark.parametrize("regions", [0.0, 0.5])
def test_shares_are_the_limit_of_wholly_correlated_proportional_errors(regions):
    share, errors = ways(0.2 * Z, sectors=1.0, regions=regions)
    np.testing.assert_allclose(share[0], errors[0])
    np.testing.assert_allclose(share[1], errors[1], atol=1e-9)


def test_what_is_doubted_most_moves_most():
    """By hand: variances of 9 and 1 share a gap of 10 as 9 to 1; a sector without error does not move."""
    z = np.array([[60.0], [30.0], [10.0]])
    error = sector_covariance(np.array([[3.0], [1.0], [0.0]]), 0.0, 0.0)
    value, covariance = by_errors(np.array([110.0]), np.array([[4.0]]), z, error)
    np.testing.assert_allclose(value[:, 0], [69.0, 31.0, 10.0])
    # 9 - 81 / 10 + 0.81 x 4
    np.testing.assert_allclose(np.diagonal(covariance), [0.9 + 3.24, 0.9 + 0.04, 0.0], atol=1e-12)


def test_with_the_inventorys_own_total_it_is_the_update_of_all_sectors():
    """Combine totals first, then split: the same as observing the sectors' sums through the kernel."""
    rng = np.random.default_rng(3)
    error = sector_covariance(0.3 * Z, 0.2, 0.4)
    g = 0.7 * np.eye(2) + 0.1 * rng.standard_normal((2, 2))
    noise, y = np.diag([9.0, 16.0]), np.array([80.0, 60.0])
    best = combine(Z.sum(axis=0), H @ error @ H.T, g, y, noise)
    value, covariance = by_errors(best.value, best.covariance, Z, error)
    direct = combine(Z.ravel(), error, g @ H, y, noise)
    np.testing.assert_allclose(value.ravel(), direct.value)
    np.testing.assert_allclose(covariance, direct.covariance, atol=1e-9)


def test_stated_errors_are_true():
    """Sectors drawn around the inventory, totals observed: the split's errors are as stated, z of variance 1."""
    rng = np.random.default_rng(4)
    error = sector_covariance(0.3 * Z, 0.3, 0.2)
    draws = 20000
    truth = Z.ravel()[:, None] + np.linalg.cholesky(error) @ rng.standard_normal((6, draws))
    noise = np.diag([9.0, 16.0])
    y = H @ truth + np.sqrt(np.diagonal(noise))[:, None] * rng.standard_normal((2, draws))
    gain = error @ H.T @ np.linalg.inv(H @ error @ H.T + noise)
    best = combine(Z.sum(axis=0), H @ error @ H.T, np.eye(2), y[:, 0], noise)
    value, covariance = by_errors(best.value, best.covariance, Z, error)
    found = Z.ravel()[:, None] + gain @ (y - H @ Z.ravel()[:, None])
    np.testing.assert_allclose(found[:, 0], value.ravel())
    z = (found - truth) / np.sqrt(np.diagonal(covariance))[:, None]
    np.testing.assert_allclose((z**2).mean(axis=1), 1.0, atol=4 * np.sqrt(2 / draws) + 0.005)


def sectors(**changes):
    totals = {"110000": {"1.A": 70, "2.A": 30}, "120000": {"1.A": 50, "2.A": 150}}
    rows = [(r, c, v) for r, parts in totals.items() for c, v in parts.items()]
    frame = pd.DataFrame(rows, columns=["region", "category", "value"])
    return frame.assign(
        period="2019", gas="CO2", unit="Mt", terminology="IPCC2006", uncertainty=0.1, **changes
    )


OPTIONS = AttributeOptions(posterior="p.nc", inventory="i.csv")


def test_the_table(tmp_path):
    totals = read_totals(posterior(tmp_path / "p.nc"))
    table = attribute_table(totals, sectors(), OPTIONS)
    assert table["category"].tolist() == ["1.A", "2.A", "total"] * 2
    first = table[table["region"] == "110000"].set_index("category")
    # kernel 0.9, noise 5; doubt of 7 and 3
    doubt, seen = 49.0 + 9.0, 10.0 + 0.9 * 100.0
    best = 100.0 + 0.9 * doubt / (0.81 * doubt + 25.0) * (seen - 90.0)
    assert first.loc["total", "by_errors"] == pytest.approx(best)
    np.testing.assert_allclose(first["by_share"], [0.7 * best, 0.3 * best, best])
    np.testing.assert_allclose(
        first["by_errors"], [70 + 49 / 58 * (best - 100), 30 + 9 / 58 * (best - 100), best]
    )
    assert (first["told"] > 0).all()
    assert first.loc["1.A", "told"] > first.loc["2.A", "told"]
    blind = attribute_table(read_totals(posterior(tmp_path / "q.nc", response=0.0)), sectors(), OPTIONS)
    np.testing.assert_allclose(blind["by_errors"], blind["inventory"])
    np.testing.assert_allclose(blind["told"], 0.0, atol=1e-9)


def test_spellings_gaps_sums_and_a_net_flux(tmp_path):
    """One category in two spellings counts once, a gap is said, a sum of the others and a net flux are refused."""
    totals = read_totals(posterior(tmp_path / "p.nc"))
    plain = attribute_table(totals, sectors(), OPTIONS)
    spelt = sectors(source=["a", "a", "b", "b"]).assign(category=["Coal", "Cement", "coal", "cement"])
    for asked in ([], ["Coal", "coal", "Cement"]):
        found = attribute_table(totals, spelt, OPTIONS.model_copy(update={"category": asked}))
        np.testing.assert_allclose(found["by_errors"], plain["by_errors"])
    gap = attribute_table(totals, sectors().iloc[:3], OPTIONS)
    assert gap["remark"].unique().tolist() == ["no row of 2.A for Tianjin: taken as 0"]
    assert gap["remark_zh"].iloc[0] == "天津市 无 2.A 的行：取为 0"
    summed = pd.concat(
        [sectors(), inventory(value=[100.0, 200.0], terminology="IPCC2006", category="All sectors")]
    )
    with pytest.raises(ConfigError, match="category All sectors is the sum of the others in every region"):
        attribute_table(totals, summed, OPTIONS)
    with pytest.raises(ConfigError, match="'net' of the inversion is a net flux"):
        attribute_table(read_totals(posterior(tmp_path / "n.nc", ("net",))), sectors(), OPTIONS)
    carbon = attribute_table(totals, sectors().assign(value=[17.0, 7.0, 50.0, 150.0]), OPTIONS)
    assert "is it carbon (gas C)?" in carbon["remark"].iloc[0]


def test_command_and_page(tmp_path, capsys):
    path = posterior(tmp_path / "posterior.nc")
    sectors().to_csv(tmp_path / "inv.csv", index=False)
    call(attribute, path, tmp_path / "inv.csv", "--between-sectors", 0.5, "--json")
    assert len(json.loads(capsys.readouterr().out)["attribution"]) == 6
    call(attribute, path, tmp_path / "inv.csv")
    assert "by errors" in capsys.readouterr().out
    (section,) = optional_sections(tmp_path)["attribution"]
    assert section.title.zh == "部门归因"
    assert section.rows[2][1] == "total"
    assert optional_sections(tmp_path, "zh")["attribution"][0].rows[2][1] == "合计"
    assert section.picture.startswith(b"\x89PNG")


def test_what_is_refused(tmp_path):
    totals = read_totals(posterior(tmp_path / "p.nc"))
    with pytest.raises(ConfigError, match="two categories or more, found none"):
        attribute_table(totals, inventory(), OPTIONS)
    nested = sectors().replace({"category": {"2.A": "1.A.1"}})
    with pytest.raises(
        ConfigError, match=r"category 1.A.1 is part of 1.A: choose those that add up with --category"
    ):
        attribute_table(totals, nested, OPTIONS)
    short = pd.concat([sectors(), inventory(value=[110.0, 200.0], terminology="IPCC2006")])
    with pytest.raises(ConfigError, match="categories of 110000 add up to 100 Mt of its total of 110"):
        attribute_table(totals, short, OPTIONS)
    with pytest.raises(ConfigError, match="categories of 120000 add up to nothing"):
        attribute_table(totals, sectors().assign(value=[70.0, 30, 0, 0]), OPTIONS)
    with pytest.raises(ConfigError, match="no error at all of 110000"):
        attribute_table(totals, sectors().assign(uncertainty=[0.0, 0.0, 0.1, 0.1]), OPTIONS)
