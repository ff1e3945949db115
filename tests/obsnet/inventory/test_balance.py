"""Energy balances: every layout, every identity, and what a file may do wrong."""

from collections import Counter
from dataclasses import replace

import pytest

from obsnet.errors import FormatError, RangeError, UnitError
from obsnet.inventory.balance.identities import check_balance, coverage, negative_activity, sign_faults
from obsnet.inventory.balance.labels import ROWS, find_row
from obsnet.inventory.balance.magnitude import magnitude_faults
from obsnet.inventory.balance.read import read_balance, read_balances
from obsnet.inventory.factors.fuels import fuels
from tests.obsnet.inventory.made import (
    FUELS_17,
    FUELS_30,
    LABELS_2010,
    cells,
    numbers,
    write_book,
    write_text,
)

SAMPLES = range(1, 26)


@pytest.fixture(scope="module")
def sample_balances(sample_data):
    return {k: read_balance(sample_data / f"inventory/energy_balance_2007/{k}.xls") for k in SAMPLES}


def test_identities_of_the_sample_tables(sample_balances):
    """Counts of the reference: tolerance 0.05, twenty fuel columns without subtotals, coal over 33 rows a table."""
    found = Counter()
    for balance in sample_balances.values():
        found.update(check_balance(balance)["identity"])
    assert found["supply"] == 275
    assert found["difference"] == 3
    assert found["final"] == 3
    assert found["residential"] == 0
    assert found["transformation"] == 1
    assert found["total"] == 8
    assert found["coal"] == 32


def test_sample_tables_are_read_whole(sample_balances):
    assert len({b.region for b in sample_balances.values()}) == 25
    assert {b.year for b in sample_balances.values()} == {2007}
    assert {b.layout for b in sample_balances.values()} == {"17 fuels"}
    assert all(b.table.shape == (33, 22) for b in sample_balances.values())
    beijing = sample_balances[1]
    assert beijing.value("final consumption", "raw coal") == 1385.93
    assert beijing.cells["final consumption", "raw coal"] == "D31"
    assert (
        beijing.value("thermal power", "natural gas") == -5.03
    )  # natural gas stands before other petroleum products
    assert any("'Sheet2'" in n for n in beijing.notes)
    # two provinces print tonnes over their gases in Chinese and cubic metres in English
    assert any("万吨 and 108 cu.m; 108 cu.m fits" in n for n in sample_balances[21].notes)


def test_gaps_are_listed_with_their_cell(sample_balances):
    gaps = check_balance(sample_balances[1])
    first = gaps[gaps["fuel"] == "raw coal"].iloc[0]
    assert (first["identity"], first["cell"]) == ("supply", "D11")
    assert first["gap"] == pytest.approx(2391.45 - 2186.83)


def test_nothing_is_repaired(sample_balances):
    """What is read is what stands in the file, cell by cell."""
    from python_calamine import CalamineWorkbook

    from obsnet.inventory.books import cell_name

    balance = sample_balances[4]
    path = balance.source.partition(", sheet")[0]
    rows = CalamineWorkbook.from_path(path).get_sheet_by_name("Sheet1").to_python()
    places = {cell_name(i, j): c for i, row in enumerate(rows) for j, c in enumerate(row)}
    for (row, fuel), cell in balance.cells.items():
        assert balance.value(row, fuel) == (places[cell] or 0.0)


@pytest.mark.parametrize(("columns", "layout"), [(FUELS_30, "30 fuels"), (FUELS_17, "17 fuels")])
@pytest.mark.parametrize("kind", ["xlsx", "csv", "gbk"])
def test_layouts_and_files(tmp_path, columns, layout, kind):
    table = numbers(columns, seed=3)
    rows = cells(table, columns)
    path = tmp_path / f"b.{'xlsx' if kind == 'xlsx' else 'csv'}"
    if kind == "xlsx":
        write_book(path, rows)
    else:
        write_text(path, rows, "gbk" if kind == "gbk" else "utf-8-sig")
    balance = read_balance(path)
    assert (balance.region, balance.year, balance.layout) == ("130000", 2015, layout)
    for row in LABELS_2010:
        for fuel in columns:
            assert balance.value(row, fuel) == pytest.approx(table[row][fuel], abs=1e-9)
    assert check_balance(balance).empty
    assert sign_faults(balance).empty
    assert negative_activity(balance).empty
    assert any("GB 18030" in n for n in balance.notes) == (kind == "gbk")


def test_any_order_of_columns_and_english_over_three_lines(tmp_path):
    columns = ["natural gas", "other washed coal", "raw coal", "electricity"]
    table = numbers(columns)
    labels = {r: r for r in ROWS if r != "recovered in transformation"}
    labels |= {
        "stock change": "9. Stock Change",
        "transformation": "Input(-) & Output(+) of Transformation",
        "sending out": "6. Sending Out to Other Provinces(-)",
        "trade": "Wholesale,Retail Trade and Hotel,Restaurants",
        "final consumption": "Total Final Consumption",
        "residential": "Residential Consumption",
        "other uses": "Other",
        "supply": "Total Primary Energy Supply",
        "total consumption": "Sum of Consumption ",
        "transport": "Transport, Storage and Post ",
    }
    rows = cells(table, columns, labels=labels)
    rows[2:4] = [
        ["Item", "", "Other", "", ""],
        ["", "Natural", "Washed", "Raw Coal", "Electricity"],
        ["", "Gas", "Coal", "", ""],
        ["", "(108 cu.m)", "(104 tn)", "(104 tn)", "(108 kW•h)"],
    ]
    rows[0] = ["ENERGY BALANCE OF SHAANXI-2012"]
    balance = read_balance(write_book(tmp_path / "e.xlsx", rows))
    assert (balance.region, balance.year, balance.layout) == ("610000", 2012, "simple")
    assert (
        balance.value("final consumption", "other washed coal")
        == table["final consumption"]["other washed coal"]
    )


def test_a_simple_balance_of_a_city_says_what_it_lacks(tmp_path):
    columns = ["raw coal", "diesel", "electricity"]
    labels = {
        k: v
        for k, v in LABELS_2010.items()
        if k
        in {
            "final consumption",
            "industry",
            "transport",
            "residential",
            "thermal power",
            "transformation",
            "loss",
        }
    }
    rows = cells(numbers(columns), columns, labels=labels, title="某市能源平衡简表")
    path = write_text(tmp_path / "city.csv", rows)
    with pytest.raises(FormatError, match="say it with --region"):
        read_balance(path, year=2020)
    with pytest.raises(FormatError, match="say it with --year"):
        read_balance(path)
    balance = read_balance(path, region="tangshan", year=2020)
    assert balance.region == "tangshan"
    score = coverage(balance, ["raw coal", "diesel", "gasoline", "natural gas"])
    assert score["rows_missing"] == ["non-energy use", "heating supply"]
    assert score["fuels_missing"] == ["gasoline", "natural gas"]
    assert score["score"] == pytest.approx(0.25)


def test_units_that_the_heading_states_are_converted_and_said(tmp_path):
    columns = FUELS_17
    table = numbers(columns)
    big = {r: {f: v * (1e4 if f == "diesel" else 1.0) for f, v in line.items()} for r, line in table.items()}
    rows = cells(big, columns)
    rows[3][1 + columns.index("diesel")] = "(吨)"
    balance = read_balance(write_book(tmp_path / "t.xlsx", rows))
    assert balance.value("industry", "diesel") == pytest.approx(table["industry"]["diesel"])
    assert any("diesel (柴油): converted to 1e4 t (x 0.0001)" in n for n in balance.notes)


def bad(tmp_path, change, **how):
    rows = cells(numbers(FUELS_17), FUELS_17)
    sheets = change(rows) or [rows]
    return read_balance(write_book(tmp_path / "bad.xlsx", *sheets), **how)


def scaled(rows, fuels, factor):
    for line in rows[4:]:
        for f in fuels:
            j = 1 + FUELS_17.index(f)
            if line[j] != "":
                line[j] *= factor


def swap(rows, names):
    for line in rows[4:]:
        if line[0] in names:
            line[1:] = [-v if v != "" else "" for v in line[1:]]


def test_a_total_that_is_not_filled_in_turns_no_row(tmp_path):
    """Urban and rural residents use about the same: their gap to an empty total closes with either turned."""

    def change(rows):
        of = {line[0]: line for line in rows[4:]}
        parts = [of[LABELS_2010[r]] for r in ("residential", "urban", "rural")]
        parts[0][1:] = [""] * len(parts[0][1:])
        for line in parts[1:]:
            line[1:] = [5.0] * len(line[1:])

    assert bad(tmp_path, change).value("urban", "raw coal") == 5.0


@pytest.mark.parametrize(
    "said", ["填报单位：统计局", "制表单位：能源司 单位：万吨/亿立方米", "单位：万吨和亿立方米"]
)
def test_an_organisation_is_no_unit(tmp_path, said):
    def change(rows):
        rows[1] = ["", "", "", said]

    assert bad(tmp_path, change).table.equals(bad(tmp_path, lambda rows: None).table)


TRANSFORMATION = [v for k, v in LABELS_2010.items() if ROWS[k].section == "transformation"]


def test_tonnes_against_ten_thousand_tonnes(tmp_path):
    with pytest.raises(
        RangeError, match=r"thermal power burns .* MJ of fuel a kWh, stations need 8 to 16: a unit is off"
    ):
        bad(tmp_path, lambda rows: scaled(rows, FUELS_17[:5], 1e4))
    with pytest.raises(RangeError, match="a unit is off"):
        bad(tmp_path, lambda rows: scaled(rows, ["electricity"], 1e4))


@pytest.mark.parametrize("fuel", ["gasoline", "kerosene", "coke", "LPG"])
def test_one_column_off_by_ten_thousand(tmp_path, fuel):
    right = bad(tmp_path, lambda rows: None)
    assert magnitude_faults(right) == []
    found = magnitude_faults(column(right, fuel, 1e4))
    assert any(fuel in text and "is the unit of the column off" in text for _, text, _, _ in found)


def test_a_column_far_from_its_total(tmp_path):
    balance = bad(tmp_path, lambda rows: None)
    oil = [
        f for f in balance.table.columns if fuels()[f].kind in {"liquid", "refinery gas", "petroleum coke"}
    ]
    total = balance.table[oil].sum(axis=1)
    right = replace(balance, table=balance.table.assign(**{"petroleum total": total}))
    assert magnitude_faults(right) == []
    wrong = replace(right, table=right.table.assign(gasoline=3.0 * right.table["gasoline"]))
    found = magnitude_faults(wrong)
    assert len(found) == 1
    assert "petroleum total" in found[0][1]


def column(balance, fuel, factor):
    return replace(balance, table=balance.table.assign(**{fuel: factor * balance.table[fuel]}))


@pytest.mark.parametrize("factor", [1e-4, 1e-3, 0.1, 10.0, 1e3, 1e4])
def test_coke_is_held_against_the_coal_it_was_made_of(tmp_path, factor):
    def coking(rows):
        line = next(r for r in rows if r and r[0] == LABELS_2010["coking"])
        line[1 + FUELS_17.index("cleaned coal")] = -110.0

    right = bad(tmp_path, coking)
    assert magnitude_faults(right) == []
    text = " ".join(t for _, t, _, _ in magnitude_faults(column(right, "coke", factor)))
    assert "coking" in text
    assert "is the unit of coke (焦炭) or" in text


@pytest.mark.parametrize("fuel", ["natural gas", "coke oven gas", "other gas"])
@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_gas_off_by_ten_thousand(tmp_path, fuel, factor):
    found = magnitude_faults(column(bad(tmp_path, lambda rows: None), fuel, factor))
    assert any(text.startswith(fuel) for _, text, _, _ in found)


def test_real_tables_are_not_accused_and_their_columns_are(sample_data):
    from obsnet.inventory.balance.read import _plausible

    files = sorted((sample_data / "inventory/energy_balance_2007").glob("[0-9]*.xls"))
    balances = [b for path in files for b in read_balances(path)]
    assert len(balances) == 25
    assert [b.source for b in balances if magnitude_faults(b)] == []
    for fuel in ("coke", "coke oven gas", "other gas", "natural gas", "heat"):
        used = [b for b in balances if b.value("final consumption", fuel) >= 1.0]
        for factor in (1e3, 1e4):
            for balance in used:
                wrong = column(balance, fuel, factor)
                if not magnitude_faults(wrong):
                    with pytest.raises(RangeError):  # heat for power is seen by the reader already
                        _plausible(wrong.table, "x")
    coking = [b for b in balances if b.value("coking", "coke") > 0]
    assert len(coking) == 24
    assert all(magnitude_faults(column(b, "coke", f)) for b in coking for f in (1e-4, 1e-3, 0.1, 10.0))


def test_swapped_signs(tmp_path):
    with pytest.raises(FormatError, match="--signs reversed"):
        bad(tmp_path, lambda rows: swap(rows, TRANSFORMATION))
    turned = bad(tmp_path, lambda rows: swap(rows, TRANSFORMATION), signs="reversed")
    assert check_balance(turned).empty
    with pytest.raises(FormatError, match="negative already"):
        bad(tmp_path, lambda rows: None, signs="reversed")
    for row, found in (
        ("sending out", "positive"),
        ("final consumption", "negative"),
        ("industry", "negative"),
        ("non-energy use", "negative"),
    ):
        with pytest.raises(FormatError, match=rf"{row} \(.*\) is {found} where the yearbooks print it"):
            bad(tmp_path, lambda rows, row=row: swap(rows, [LABELS_2010[row]]))


def test_what_the_title_says_and_what_is_asked(tmp_path):
    columns = FUELS_17

    def book(title):
        return write_book(tmp_path / "t.xlsx", cells(numbers(columns), columns, title=title))

    with pytest.raises(
        FormatError, match=r"several years \(2014, 2015\) in title, sheet or file name; say it with --year"
    ):
        read_balance(book("河北能源平衡表 2014年 2015年"))
    assert read_balance(book("河北能源平衡表 2014年 2015年"), year=2015).year == 2015
    other = read_balance(book("河北能源平衡表 2015"), year=2016, region="山西")
    assert (other.region, other.year) == ("140000", 2016)
    assert "the title says 2015, taken as 2016 as asked" in other.notes
    assert "the title says Hebei, taken as Shanxi as asked" in other.notes


def test_merged_heading_cells(tmp_path):
    def merge(rows):
        rows[2][1:5] = ["煤合计", "", "", ""]

    with pytest.raises(FormatError, match="a merged cell names only its first column"):
        bad(tmp_path, merge)


def spread(names, at):
    """Return a row of merged cells: its text in the first column alone."""
    row = [""] * len(names)
    for fuel, text in at.items():
        row[names.index(fuels()[fuel].zh)] = text
    return row


def renamed(names, new):
    old = {fuels()[f].zh: text for f, text in new.items()}
    return [old.get(n, n) for n in names]


@pytest.mark.parametrize(
    ("above", "names"),
    [
        ({"raw coal": "煤炭", "crude oil": "石油", "natural gas": "天然气"}, {}),
        ({"raw coal": "煤合计", "coke": "焦炭"}, {}),
        ({"raw coal": "Coal", "crude oil": "Petroleum Products Total"}, {f: f for f in FUELS_17}),
        ({"other petroleum products": "其他"},
         {"other petroleum products": "石油制品", "other coking products": "焦化产品"}),
    ],
)  # fmt: skip
def test_two_rows_of_merged_headings(tmp_path, above, names):
    right = bad(tmp_path, lambda rows: None)

    def change(rows):
        row = spread(rows[2], above)
        rows[2] = renamed(rows[2], names)
        rows.insert(2, row)

    found = bad(tmp_path, change)
    assert found.table.equals(right.table)
    said = "its heading together with the merged one to its left means other coking products"
    assert any(said in n for n in found.notes) == (len(above) == 1)


def test_a_unit_over_merged_cells_and_above_the_headings(tmp_path):
    right = bad(tmp_path, lambda rows: None).table

    def merged(rows):
        scaled(rows, FUELS_17[:3], 1e4)
        rows[3][1:4] = ["(吨)", "", ""]

    with pytest.raises(
        UnitError, match=r"column C \(cleaned coal\) states no unit, and column B states another"
    ):
        bad(tmp_path, merged)

    def above(text, factor):
        def change(rows):
            mass = [f for f in FUELS_17 if fuels()[f].printed == "1e4 t"]
            scaled(rows, mass, factor)
            rows[3] = [""] * len(rows[3])
            rows[1] = ["", "", "", text]

        return change

    for text, factor in (("单位：千吨、亿立方米", 10.0), ("(Unit: kt)", 10.0), ("单位：吨，亿立方米", 1e4)):
        found = bad(tmp_path, above(text, factor))
        assert (found.table - right).abs().to_numpy().max() < 1e-9
        assert any("the unit above the headings, converted to 1e4 t" in n for n in found.notes)
    for text, said in (
        ("单位：万吨标准煤", "in coal equivalent"),
        ("单位：万桶", "'万桶' above the headings is not understood"),
    ):
        with pytest.raises(UnitError, match=said):
            bad(tmp_path, above(text, 1.0))


@pytest.mark.parametrize(
    "row", ["supply", "transformation", "stock change", "coking", "statistical difference"]
)
def test_a_turned_row_that_its_sums_give_away(tmp_path, row):
    with pytest.raises(
        FormatError, match=rf"{row} \(.*\) does not add up as it stands and does with its signs"
    ):
        bad(tmp_path, lambda rows: swap(rows, [LABELS_2010[row]]))
    with pytest.raises(
        FormatError, match="heating supply .* is positive where the yearbooks print it negative"
    ):
        bad(tmp_path, lambda rows: swap(rows, [LABELS_2010["heating supply"]]))


def test_a_stray_second_sheet_and_two_of_the_same(tmp_path):
    notes = [["合计", 1.0], ["x", 2.0]]
    found = bad(tmp_path, lambda rows: [rows, notes])
    assert any("sheets that are no balance, not read: 's2'" in n for n in found.notes)
    with pytest.raises(FormatError, match="two balances of 130000 2015"):
        bad(tmp_path, lambda rows: [rows, rows])
    assert bad(tmp_path, lambda rows: [rows, rows], sheet="s2").region == "130000"


def test_a_book_of_several_provinces(tmp_path):
    columns = FUELS_17
    sheets = [
        cells(numbers(columns), columns, title=f"{name}能源平衡表(实物量)2015") for name in ("河北", "山西")
    ]
    path = write_book(tmp_path / "two.xlsx", *sheets)
    assert [b.region for b in read_balances(path)] == ["130000", "140000"]
    with pytest.raises(FormatError, match="holds 2 balances"):
        read_balance(path)


def test_coal_equivalent_and_other_units(tmp_path):
    with pytest.raises(FormatError, match="标准量"):
        bad(tmp_path, lambda rows: rows[0].__setitem__(0, "河北能源平衡表(标准量)-2015"))

    def tce(rows):
        rows[3][1] = "(万吨标准煤)"

    with pytest.raises(UnitError, match="this is the table in coal equivalent"):
        bad(tmp_path, tce)

    def cubic(rows):
        rows[3][1] = "(亿立方米)"

    with pytest.raises(UnitError, match="raw coal .* in 亿立方米; expected a unit such as 1e4 t"):
        bad(tmp_path, cubic)


def test_two_columns_or_rows_of_one_name_and_unknown_rows(tmp_path):
    with pytest.raises(FormatError, match="a second column of raw coal"):
        bad(tmp_path, lambda rows: rows[2].__setitem__(2, "原煤"))
    with pytest.raises(FormatError, match="are both industry"):
        bad(tmp_path, lambda rows: rows.append(["2.工业", 1.0]))
    with pytest.raises(FormatError, match="rows with numbers that no balance has: 8.外星消费"):
        bad(tmp_path, lambda rows: rows.append(["8.外星消费", 1.0]))


def test_headings_that_contradict_each_other(tmp_path):
    def wrong(rows):
        rows.insert(4, ["", "Coke", *[""] * 19])

    with pytest.raises(FormatError, match="names raw coal in Chinese and coke in English"):
        bad(tmp_path, wrong)


def test_a_cell_that_is_no_number(tmp_path):
    with pytest.raises(RangeError, match=r"cell B\d+ \(supply, raw coal\): 'abc' is not a number"):
        bad(tmp_path, lambda rows: rows[4].__setitem__(1, "abc"))


def test_negative_activity_is_listed(tmp_path):
    def feed(rows):
        line = next(r for r in rows if r and r[0] == LABELS_2010["non-energy use"])
        line[1 + FUELS_17.index("gasoline")] = 500.0

    found = negative_activity(bad(tmp_path, feed))
    assert found["fuel"].tolist() == ["gasoline"]
    assert found["activity"].iloc[0] < 0
    assert found["non_energy"].iloc[0] == 500.0


@pytest.mark.parametrize("row", LABELS_2010)
def test_labels_of_both_generations(row):
    assert find_row(LABELS_2010[row], ROWS[row].section).name == row
    assert find_row(f"（一）{ROWS[row].zh}", ROWS[row].section).name == row or ROWS[row].parent
