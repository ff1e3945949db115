"""Every command of docs/tutorial.md, as a reader pastes it, on the real sample files."""

import pandas as pd
import pytest
import xarray as xr

from tests.docs.pages import DOCS, blocks, paste

PAGE = DOCS / "tutorial.md"


@pytest.mark.slow
def test_two_towers(sample_data, tmp_path):
    first = blocks(PAGE)[:4]
    assert [b.split()[0] for b in first] == ["mkdir", "cat", "obsnet", "obsnet"]
    said = paste("\n".join(first), tmp_path, sample_data)
    run = tmp_path / "uk-ch4" / "run"
    assert "scale TU-87" in said
    assert "scale WMO CH4 X2004A" in said
    assert (
        "157 of 27163 observations have a receptor" not in said
    )  # config check came before there was a store
    assert said.count("off all that the inversion can explain") == 2  # only without the solved boundary
    table = pd.read_csv(run / "provinces.csv", index_col="region")
    assert table.loc["British Isles", "verdict"] == "not testable"
    assert 0.5 < table.loc["British Isles", "chi_square"] < 1.5
    assert "British Isles" in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_three_orbits(sample_data, tmp_path):
    (tmp_path / "uk-ch4").mkdir()
    said = paste("cd uk-ch4\n" + blocks(PAGE)[4], tmp_path, sample_data)
    assert "soundings 35129, good 35129" in said
    made = {p.suffix for p in (tmp_path / "china-xch4" / "run" / "maps").rglob("*") if p.is_file()}
    assert {".nc", ".tif", ".png"} <= made


@pytest.mark.slow
def test_columns_with_footprints(sample_data, tmp_path):
    (tmp_path / "china-xch4").mkdir()
    tables = blocks(PAGE)[1].split("cat > case.toml")[0]  # regions and inventory of the first case
    said = paste(
        f"mkdir uk-ch4 && cd uk-ch4\n{tables}cd ../china-xch4\n{blocks(PAGE)[5]}", tmp_path, sample_data
    )
    assert "64 observations with footprints" in said
    run = tmp_path / "harwell" / "run"
    verdict = pd.read_csv(run / "provinces.csv", index_col="region").loc["British Isles"]
    assert verdict["verdict"] == "not testable"
    assert 0.1 < verdict["chi_square"] < 0.3
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "This run does not fit its own errors" in page
    assert "a guessed background" in page


@pytest.mark.slow
def test_a_jacobian_of_another_system(sample_data, tmp_path):
    said = paste(blocks(PAGE)[8], tmp_path, sample_data)
    before, after = said.split("refused\n")  # what goes to standard output comes first
    assert "4 of 1884 rows cannot be in 1e-9 like the others" in after
    assert after.count("set aside test.2010010") == 4
    with xr.open_dataset(tmp_path / "foreign" / "run" / "posterior.nc", engine="netcdf4") as data:
        assert data.attrs["obsnet_contract"] == "scale factors 1"
        assert float(data["flux_scale"].min()) > -1.0
    assert not (tmp_path / "foreign" / "run" / "report.html").exists()


def test_a_table_of_ones_own(tmp_path):
    said = paste(blocks(DOCS / "stations.md")[-1], tmp_path, tmp_path)
    assert "CO2 in ppm, scale WMO CO2 X2019" in said
    assert "use 2" in said
    assert "2023-12-31T16:30:00Z" in said  # middle of the hour; the clock is eight hours ahead
