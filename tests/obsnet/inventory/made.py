"""Made energy balances that add up, in the layouts of the yearbooks, as cells and as files."""

from __future__ import annotations

import numpy as np

from obsnet.inventory.balance.labels import ROWS
from obsnet.inventory.factors.fuels import fuels

FUELS_17 = [
    "raw coal",
    "cleaned coal",
    "other washed coal",
    "briquettes",
    "coke",
    "coke oven gas",
    "other gas",
    "crude oil",
    "gasoline",
    "kerosene",
    "diesel",
    "fuel oil",
    "LPG",
    "refinery gas",
    "natural gas",
    "other petroleum products",
    "other coking products",
    "heat",
    "electricity",
    "other energy",
]
FUELS_30 = [
    "raw coal",
    "cleaned coal",
    "other washed coal",
    "briquettes",
    "coal gangue",
    "coke",
    "coke oven gas",
    "blast furnace gas",
    "converter gas",
    "other gas",
    "other coking products",
    "crude oil",
    "gasoline",
    "kerosene",
    "diesel",
    "fuel oil",
    "naphtha",
    "lubricants",
    "paraffin",
    "white spirit",
    "bitumen",
    "petroleum coke",
    "LPG",
    "refinery gas",
    "other petroleum products",
    "natural gas",
    "LNG",
    "heat",
    "electricity",
    "other energy",
]
USES = ["farming", "industry", "construction", "transport", "trade", "residential", "other uses"]
LABELS_2010 = {
    "supply": "一.可供本地区消费的能源量",
    "indigenous production": " 1.一次能源生产量",
    "moving in": " 2.外省(区、市)调入量",
    "import": " 3.进口量",
    "refuelling abroad": " 4.境内轮船和飞机在境外的加油量",
    "sending out": " 5.本省(区、市)调出量(－)",
    "export": " 6.出口量(-)",
    "refuelling here": " 7.境外轮船和飞机在境内的加油量(-)",
    "stock change": " 8.库存增(-)、减(+)量",
    "transformation": "二.加工转换投入(-)产出(+)量",
    "thermal power": "　1.火力发电",
    "heating supply": "　2.供　热",
    "coal washing": " 3.煤炭洗选",
    "coking": " 4.炼焦",
    "petroleum refineries": " 5.炼油及煤制油",
    "oil re-input": "   #油品再投入量(-)",
    "gas works": " 6.制气",
    "coke re-input": "   #焦炭再投入量(-)",
    "natural gas liquefaction": " 7.天然气液化",
    "briquettes": " 8.煤制品加工",
    "recovered in transformation": " 9.回收能",
    "loss": "三.损失量",
    "final consumption": "四.终端消费量",
    "farming": " 1.农、林、牧、渔业",
    "industry": " 2.工业",
    "non-energy use": "   #用作原料、材料",
    "construction": " 3.建筑业",
    "transport": " 4.交通运输、仓储和邮政业",
    "trade": " 5.批发和零售业、住宿和餐饮业",
    "other uses": " 6.其他",
    "residential": " 7.居民生活",
    "urban": "    城镇",
    "rural": "    乡村",
    "statistical difference": "五.平衡差额",
    "total consumption": "六.消费量合计",
}


def numbers(columns, seed=0):
    """Return a balance that adds up, row -> fuel -> value, two decimals, in printed units."""
    rng = np.random.default_rng(seed)
    table = {row: dict.fromkeys(columns, 0.0) for row in ROWS}
    for fuel in columns:
        kind = fuels()[fuel].kind
        size = 0.1 if fuels()[fuel].printed == "1e8 m3" or kind == "coal liquid" else 1.0

        def put(row, low, high, fuel=fuel, size=size):
            table[row][fuel] = round(size * float(rng.uniform(low, high)), 2)

        for use in USES:
            put(use, 0.5, 30)
        table["urban"][fuel] = round(table["residential"][fuel] * 0.5, 2)
        table["rural"][fuel] = round(table["residential"][fuel] - table["urban"][fuel], 2)
        put("non-energy use", 0, 0.4)
        if kind not in {"heat", "electricity", "other"}:
            table["thermal power"][fuel] = -round(size * float(rng.uniform(1, 5)), 2)
            table["heating supply"][fuel] = -round(size * float(rng.uniform(1, 5)), 2)
        if fuel == "raw coal":
            table["thermal power"][fuel], table["coal washing"][fuel] = -400.0, -50.0
        if fuel == "electricity":
            table["thermal power"][fuel] = 110.0
        if fuel == "heat":
            table["heating supply"][fuel] = 900.0
        if fuel == "coke":
            table["coking"][fuel], table["coke re-input"][fuel] = 80.0, -7.0
        put("loss", 0, 2)
        inputs = [r for r, e in ROWS.items() if e.parent == "transformation"]
        table["transformation"][fuel] = sum(table[r][fuel] for r in inputs)
        table["final consumption"][fuel] = sum(table[u][fuel] for u in USES)
        put("indigenous production", 0, 50)
        put("moving in", 600, 900)
        table["sending out"][fuel] = -round(float(rng.uniform(1, 20)), 2)
        table["stock change"][fuel] = round(float(rng.uniform(-3, 3)), 2)
        supply = [r for r, e in ROWS.items() if e.parent == "supply"]
        table["supply"][fuel] = sum(table[r][fuel] for r in supply)
        table["statistical difference"][fuel] = (
            table["supply"][fuel]
            + table["transformation"][fuel]
            - table["loss"][fuel]
            - table["final consumption"][fuel]
        )
        taken = sum(min(table[r][fuel], 0.0) for r in inputs)
        table["total consumption"][fuel] = table["final consumption"][fuel] + table["loss"][fuel] - taken
    return {row: {f: round(v, 6) for f, v in line.items()} for row, line in table.items()}


UNITS = {
    "1e4 t": "万吨",
    "1e8 m3": "亿立方米",
    "1e10 kJ": "百亿千焦",
    "1e8 kWh": "亿千瓦时",
    "1e4 tce": "万吨标准煤",
}


def cells(
    table, columns, title="6-9 河北能源平衡表(实物量)-2015", labels=LABELS_2010, units=UNITS, names=None
):
    """Return rows of cells: title, headings, units, then the balance; zeros are empty."""
    head = ["项 目", *(names or [fuels()[f].zh for f in columns])]
    unit = ["", *[f"({units[fuels()[f].printed]})" for f in columns]]
    body = [
        [labels[r], *["" if v == 0 else v for v in (table[r][f] for f in columns)]]
        for r in ROWS
        if r in labels
    ]
    return [[title], [], head, unit, *body]


def write_book(path, *sheets):
    """Write sheets of cells as xlsx."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for k, rows in enumerate(sheets):
        sheet = book.create_sheet(f"s{k + 1}")
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def write_text(path, rows, encoding="utf-8"):
    """Write a sheet of cells as CSV."""
    import csv

    with open(path, "w", newline="", encoding=encoding) as stream:
        csv.writer(stream).writerows(rows)
    return path


def contract(rows, uncertainty=np.nan):
    """Return rows of the inventory contract from (region, period, gas, category, terminology, value, unit)."""
    import pandas as pd

    from obsnet.inventory.table import COLUMNS

    return pd.DataFrame([(*r, uncertainty, "", "") for r in rows], columns=list(COLUMNS))
