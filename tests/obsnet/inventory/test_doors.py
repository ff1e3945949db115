"""Every reader of tables of inventories: a damaged or wrong file ends in an answer or in one line that names it."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from obsnet.errors import FormatError, ObsnetError
from obsnet.grid import Grid
from obsnet.inventory.account.compile import TRACE_COLUMNS
from obsnet.inventory.account.report import read_trace
from obsnet.inventory.account.tier1 import read_activities
from obsnet.inventory.balance.read import read_balances
from obsnet.inventory.exchange.primap import read_primap
from obsnet.inventory.factors.consumption import consumption_average_of_file
from obsnet.inventory.factors.electricity import read_network
from obsnet.inventory.factors.table import read_factors
from obsnet.inventory.parts.cities import read_cities
from obsnet.inventory.parts.enterprise import read_enterprise
from obsnet.inventory.parts.reports import read_reports
from obsnet.inventory.points import read_points
from obsnet.inventory.prior.files import read_proxy
from obsnet.inventory.prior.plants import read_plants
from obsnet.inventory.prior.profiles import read_profiles
from obsnet.inventory.sources.compare import read_source
from obsnet.inventory.table import read_inventory
from obsnet.inventory.uncertainty.approach1 import read_two_years
from tests.mutations import mutate
from tests.obsnet.inventory.made import FUELS_17, cells, numbers, write_book, write_text

GRID = Grid.regular(36, 40, 114, 118, 1, 1)
CONTRACT = (
    "region,period,gas,category,terminology,value,unit,uncertainty\n130000,2019,CO2,total,IPCC2006,5,Mt,0.1\n"
)
PRIMAP = "source,area (GBT2260),entity,unit,category (IPCC2006),2018,2019\nP,130000,CO2,Gg CO2 / yr,0,1,2\n"
TRACE = (
    ",".join(TRACE_COLUMNS) + "\n" + ",".join("2019" if c == "period" else "1" for c in TRACE_COLUMNS) + "\n"
)


def balance(path):
    return write_text(path.with_suffix(".csv"), cells(numbers(FUELS_17), FUELS_17))


def book(path):
    return write_book(path.with_suffix(".xlsx"), cells(numbers(FUELS_17), FUELS_17))


def proxy(path):
    path = path.with_suffix(".nc")
    data = xr.DataArray(
        np.ones(GRID.shape), {"lat": GRID.lat, "lon": GRID.lon}, ("lat", "lon"), "population"
    ).to_dataset()
    data.to_netcdf(path)
    return path


def text(content):
    def write(path):
        path = path.with_suffix(".csv")
        path.write_text(content, encoding="utf-8")
        return path

    return write


READERS = {
    "points": (text("lat,lon,value,unit,sector\n38,115,2,Mt,fossil\n"), lambda p: read_points(p, "CO2")),
    "contract": (text(CONTRACT), read_inventory),
    "source": (text(CONTRACT), read_source),
    "primap": (text(PRIMAP), read_primap),
    "primap source": (text(PRIMAP), read_source),
    "trace": (text(TRACE), read_trace),
    "activities": (text("item,value,unit,region,period\n奶牛,200,万头,河北,2015\n"), read_activities),
    "balance": (balance, read_balances),
    "workbook": (book, read_balances),
    "two years": (
        text(
            "category,gas,base,current,activity_uncertainty,factor_uncertainty\n1.A,CO2,1,2,5,5\n2.A,CO2,1,2,5,5\n"
        ),
        read_two_years,
    ),
    "plants": (text("name,latitude,longitude,capacity_mw\nA,38,115,600\n"), read_plants),
    "profiles": (
        text("category,kind,item,value\n" + "".join(f"power,month,{m},1\n" for m in range(1, 13))),
        lambda p: read_profiles(p, ["power"]),
    ),
    "cities": (text("region,city,value,unit\n河北,石家庄,1,Mt\n河北,唐山,2,Mt\n"), read_cities),
    "reports": (text("region,category,name,value,unit\n河北,1.A.2,A,5,Mt\n"), read_reports),
    "enterprise": (text("kind,item,value,unit\nfuel,原煤,5,t\n"), read_enterprise),
    "network": (text("region,generation,emission\n河北,5,4\n山西,6,5\n"), read_network),
    "consumption": (text("region,value,month\n河北,5,2022-01\n"), consumption_average_of_file),
    "factors": (text("quantity,item,value,unit,source\nncv,raw coal,20.9,GJ/t,measured\n"), read_factors),
    "proxy": (proxy, lambda p: read_proxy(p, GRID)),
}


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_table_is_read_or_refused_in_one_line(tmp_path, name):
    write, read = READERS[name]
    good = write(tmp_path / "good")
    bad = good.with_name(f"bad{good.suffix}")
    with np.errstate(all="ignore"):
        for number in range(60):
            mutate(good, bad, np.random.default_rng([3, number]))
            said = ""
            try:
                read(bad)
            except ObsnetError as error:
                said = str(error).strip()
            assert "\n" not in said


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe\x00\x01", b"\x89HDF\r\n\x1a\n" + bytes(200), b'"a,b\n1,2']
)
def test_a_file_of_another_kind_is_refused(tmp_path, name, content):
    write, read = READERS[name]
    path = write(tmp_path / "wrong")
    path.write_bytes(content)
    with pytest.raises(ObsnetError):
        read(path)


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_there_is_said(tmp_path, name):
    write, read = READERS[name]
    path = write(tmp_path / "gone")
    path.unlink()
    with pytest.raises(ObsnetError, match="gone"):
        read(path)


@pytest.mark.parametrize("name", READERS)
def test_good_tables_are_read(tmp_path, name):
    write, read = READERS[name]
    read(write(tmp_path / "good"))


def test_a_line_that_no_table_has(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("region,category,name,value,unit\n" + "1," * 60_000, encoding="utf-8")
    with pytest.raises(FormatError, match="line 2 is longer"):
        read_reports(path)


def test_a_column_of_a_trace_may_be_of_any_kind(tmp_path):
    path = tmp_path / "trace.csv"
    pd.DataFrame({c: ["x"] for c in TRACE_COLUMNS}).to_csv(path, index=False)
    assert len(read_trace(path)) == 1
