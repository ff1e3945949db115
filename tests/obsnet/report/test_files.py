"""A report from files to files: what was asked for is there, and nothing else."""

import numpy as np
import openpyxl
import pytest
import rasterio
import xarray as xr
from docx import Document

from obsnet.cf import write_netcdf
from obsnet.crosscheck.verdicts.options import CrosscheckOptions
from obsnet.crosscheck.verdicts.run import crosscheck_files
from obsnet.report.options import ReportOptions
from obsnet.report.run import report_files
from tests.obsnet.report.test_exchange import YEAR, posterior

ATTRIBUTES = {
    "solver": "dual", "solver_state": "converged", "n_observations": 100, "observations_counts": "used 100",
    "n_state": 20, "n_state_unobserved": 3, "degrees_of_freedom_for_signal": 7.5, "chi_square": 1.02, "checks": "",
    "shares": "", "no_verdict": "", "sectors_not_told_apart": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a posterior of two provinces and verdicts on an inventory of one."""
    out = tmp_path_factory.mktemp("out")
    times = np.arange("2019-01", "2020-02", dtype="datetime64[M]").astype("datetime64[us]")
    data = posterior(YEAR, times=times, regions=("110000", "120000", "outside"))
    write_netcdf(data.assign_attrs({**data.attrs, **ATTRIBUTES}), out / "posterior.nc")
    rows = "region,period,gas,category,terminology,value,unit,uncertainty,source,edition\n"
    rows += "110000,2019,CO2,total,CEADs,130,Mt,0.05,=cmd,1\n120000,2019,CO2,total,CEADs,150,Mt,0.05,=cmd,1\n"
    (out / "inventory.csv").write_text(rows, encoding="utf-8")
    options = CrosscheckOptions(sector="fossil", groups=["stated"])
    crosscheck_files(out / "posterior.nc", out / "inventory.csv", options, out / "provinces.csv")
    return out


def test_a_report_in_chinese_with_all_files(folder, tmp_path):
    options = ReportOptions(language="zh", title_zh="=题")
    written = report_files(folder / "posterior.nc", folder / "provinces.csv", tmp_path, options)
    names = {str(p.relative_to(tmp_path)) for p in written}
    assert names == {
        "report.html", "flux.tif", "verdicts.png", "differences.png", "totals.png", "flux.png", "annex.docx",
        "tables.xlsx",
        "tables/verdicts.csv", "tables/covariance.csv", "tables/statistics.csv", "paris/obsnet_co2.nc",
        "paris/inventory/obsnet_inventory_co2_2019.nc", "flux_monthly.nc",
    }  # fmt: skip
    assert names == {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    text = "\n".join(p.text for p in Document(str(tmp_path / "annex.docx")).paragraphs)
    assert text.startswith("=题")
    assert "2 个地区中" in text
    book = openpyxl.load_workbook(tmp_path / "tables.xlsx")
    assert book.sheetnames[:3] == ["说明", "结论", "协方差"]
    assert not [c for s in book for r in s for c in r if c.data_type in "fe"]
    with xr.open_dataset(tmp_path / "flux_monthly.nc", engine="netcdf4") as monthly:
        assert monthly.sizes["time"] == 12
        assert "months_in_part" not in monthly.attrs
    with rasterio.open(tmp_path / "flux.tif") as image:
        assert image.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert image.crs.to_epsg() == 4326


def test_the_annex_says_of_which_files_it_is(folder, tmp_path):
    from obsnet.content import sha256

    options = ReportOptions(formats=["docx"])
    written = report_files(folder / "posterior.nc", folder / "provinces.csv", tmp_path, options)
    assert [p.name for p in written if p.suffix in {".docx", ".xlsx", ".nc", ".csv"}] == ["annex.docx"]
    cells = [c.text for t in Document(str(tmp_path / "annex.docx")).tables for r in t.rows for c in r.cells]
    for name in ("posterior.nc", "provinces.csv", "provinces_covariance.csv"):
        assert name in cells
        assert sha256(folder / name) in cells
