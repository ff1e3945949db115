"""Electricity factors: conservation on made networks, averages of announced factors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obsnet.errors import ConfigError, FormatError, RangeError, SchemaError
from obsnet.inventory.factors.consumption import consumption_average, consumption_average_of_file
from obsnet.inventory.factors.electricity import network_factors, read_network
from obsnet.inventory.factors.table import builtin_factors
from obsnet.regions import PROVINCES


def made(seed, n=8):
    rng = np.random.default_rng(seed)
    generation = rng.uniform(50, 500, n)
    fossil = generation * rng.uniform(0.1, 1.0, n)
    flow = rng.uniform(0, 1, (n, n)) * (rng.uniform(size=(n, n)) < 0.4)
    np.fill_diagonal(flow, 0.0)
    flow *= 0.5 * generation[:, None] / np.maximum(flow.sum(axis=1), 1e-9)[:, None]
    return generation, fossil, 0.85 * fossil, flow


@given(st.integers(0, 10_000))
def test_emissions_are_conserved(seed):
    generation, fossil, emission, flow = made(seed)
    found = network_factors(generation, emission, flow, fossil_generation=fossil)
    assert (found.consumption * found.average).sum() == pytest.approx(emission.sum(), rel=1e-12)
    assert abs(found.residual) < 1e-12
    np.testing.assert_allclose(found.fossil, 0.85)
    own = emission / generation
    assert own.min() - 1e-12 <= found.average.min() <= found.average.max() <= own.max() + 1e-12


def test_imports_carry_their_own_factor():
    generation, _, emission, flow = made(3)
    found = network_factors(generation, emission, flow, imports=np.full(8, 10.0), import_factor=0.5)
    assert (found.consumption * found.average).sum() == pytest.approx(emission.sum() + 8 * 5.0)


def test_what_is_traded_is_taken_off_the_denominator_alone():
    generation, _, emission, flow = made(4)
    plain = network_factors(generation, emission, flow)
    traded = network_factors(generation, emission, flow, traded_nonfossil=0.1 * generation)
    np.testing.assert_array_equal(plain.average, traded.average)
    assert traded.market_excluded == pytest.approx(plain.market_excluded / 0.9)


def test_a_loop_of_exchange():
    found = network_factors(np.array([100.0, 100.0]), np.array([80.0, 0.0]), np.array([[0, 50.0], [50.0, 0]]))
    # e1 150 = 80 + 50 e2 and e2 150 = 50 e1
    np.testing.assert_allclose(found.average, [0.6, 0.2])


def test_impossible_networks():
    with pytest.raises(RangeError, match="sends 200 MWh and has 100"):
        network_factors(np.array([100.0, 100.0]), np.zeros(2), np.array([[0, 200.0], [0, 0]]))
    with pytest.raises(RangeError, match="emission must not be negative"):
        network_factors(np.array([1.0]), np.array([-1.0]), np.zeros((1, 1)))
    with pytest.raises(SchemaError, match="do not fit together"):
        network_factors(np.ones(2), np.ones(3), np.zeros((2, 2)))
    with pytest.raises(RangeError, match="fossil generation"):
        network_factors(np.ones(1), np.ones(1), np.zeros((1, 1)), fossil_generation=np.array([2.0]))


def test_a_network_from_files(tmp_path):
    (tmp_path / "p.csv").write_text("地区,发电量,发电排放\n四川,100,10\n上海,50,40\n", encoding="gbk")
    (tmp_path / "f.csv").write_text("from,to,value\nSichuan,Shanghai,30\n")
    regions, amounts = read_network(tmp_path / "p.csv", tmp_path / "f.csv")
    assert regions == ["510000", "310000"]
    np.testing.assert_allclose(network_factors(**amounts).average, [0.1, 43 / 80])
    (tmp_path / "f.csv").write_text("from,to,value\nSichuan,Hubei,30\n")
    with pytest.raises(FormatError, match="420000 has no row"):
        read_network(tmp_path / "p.csv", tmp_path / "f.csv")


def announced():
    frame = builtin_factors()
    frame = frame[
        (frame["quantity"] == "electricity average")
        & (frame["year"] == "2022")
        & frame["region"].isin(PROVINCES)
    ]
    return frame.set_index("region")["value"]


def consumption(tmp_path, rows, header="region,month,value"):
    path = tmp_path / "use.csv"
    path.write_text(header + "\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_average_by_consumption_in_both_languages(tmp_path):
    values = announced()
    rng = np.random.default_rng(5)
    use = {r: rng.uniform(10, 700, 12) for r in values.index}
    expected = sum(use[r].sum() * values[r] for r in use) / sum(u.sum() for u in use.values())
    english = [f"{PROVINCES[r][0]},{m + 1},{u[m]!r}" for r, u in use.items() for m in range(12)]
    chinese = [f"{PROVINCES[r][2]},2022年{m + 1}月,{u[m]!r}" for r, u in use.items() for m in range(12)]
    english = [e.replace("np.float64(", "").replace(")", "") for e in english]
    chinese = [c.replace("np.float64(", "").replace(")", "") for c in chinese]
    found = consumption_average_of_file(consumption(tmp_path, english))
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.nation == 0.5366
    assert any("factors of 2022" in n for n in found.notes)
    chinese += ["西藏,2022年1月,9", "全国,2022年1月,9999", "北京,合计,9999"]
    found = consumption_average_of_file(consumption(tmp_path, chinese[:-1], "地区,月份,用电量"))
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert any("Xizang" in n for n in found.notes)
    assert any("whole nation" in n for n in found.notes)


def test_sums_beside_months_are_left_out(tmp_path):
    rows = ["Hebei,1,10", "Hebei,合计,10", "Beijing,1,10"]
    found = consumption_average_of_file(consumption(tmp_path, rows))
    assert found.value == pytest.approx((0.7252 + 0.5580) / 2)
    assert any("sums beside other rows" in n for n in found.notes)


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        (["Hebei,1,-3"], RangeError, "below 0"),
        (["Hebei,1,3", "河北,1,4"], SchemaError, "month 1 twice; its months: 1"),
        (["Hebei,2021-01,3", "Hebei,2022-01,4"], FormatError, "several years"),
        (["Hebei,2015-01,3"], FormatError, "announced: 2021, 2022"),
        (["Tibet,1,3"], FormatError, "no region of the consumption table has an announced factor"),
        (["Nowhere,1,3"], Exception, "no province-level region"),
        (["Hebei,1,3", "Hebei,1月,4"], SchemaError, "month 1 twice; its months: 1, 1月"),
        (["Hebei,1-3月,3", "Hebei,3-4月,4"], SchemaError, "month 3 both in"),
        (["Hebei,13,3"], FormatError, "'13' is no month"),
        (["Hebei,01/02/2022,3"], FormatError, "day and month or month and day"),
        (["Hebei,1,430000", "Beijing,1,9"], RangeError, "Hebei consumes .* is a unit off"),
        ([f"Hebei,{m},{100 * m}" for m in range(1, 13)], ConfigError, "sums since January .*--running yes"),
        (["Hebei,1,0", "Beijing,1,0"], FormatError, "no region of the consumption table"),
    ],
)
def test_faulty_consumption(tmp_path, rows, error, said):
    with pytest.raises(error, match=said):
        consumption_average_of_file(consumption(tmp_path, rows))


WRITTEN = """{m}|{m:02d}|{m}.0|M{m}|2022-{m:02d}|2022/{m}|2022{m:02d}|2022-{m:02d}-01|2022-{m:02d}-01 00:00:00
2022年{m}月|{m}月|{m}月份|{zh}月|{en}|{en}-22|{en} 2022|{m:02d}/2022|2022M{m:02d}""".replace("\n", "|").split(
    "|"
)
ENGLISH = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()  # noqa: SIM905
FIGURES = ["一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二"]


USE = np.array([60.0, 40.0, 50.0, 48.0, 47.0, 55.0, 66.0, 70.0, 52.0, 49.0, 51.0, 62.0])


def of_months(pattern, sums=()):
    """Return consumption of two provinces, a row a month, and the average that is right."""
    use = {"河北": USE, "青海": np.full(12, 20.0)}
    rows = [f"{r},{pattern.format(m=m, en=ENGLISH[m - 1], zh=FIGURES[m - 1])},{u[m - 1]}"
            for r, u in use.items() for m in range(1, 13)]  # fmt: skip
    rows += [f"{r},{text},{u[first - 1 : last].sum()}" for r, u in use.items() for text, first, last in sums]
    weights = np.array([u.sum() for u in use.values()])
    return rows, float(weights @ np.array([0.7252, 0.1567]) / weights.sum())


@pytest.mark.parametrize("pattern", WRITTEN)
def test_months_however_they_are_written(tmp_path, pattern):
    rows, right = of_months(pattern)
    assert consumption_average_of_file(consumption(tmp_path, rows)).value == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize(
    "sums",
    [
        [("合计", 1, 12)],
        [("1-12月", 1, 12), ("1-2月", 1, 2)],
        [("2022年", 1, 12)],
        [("Q1", 1, 3), ("二季度", 4, 6), ("下半年", 7, 12)],
        [(f"{m}月累计", 1, m) for m in range(2, 13)],
    ],
)
def test_sums_of_any_kind_beside_their_months(tmp_path, sums):
    rows, right = of_months("{m}月", sums)
    found = consumption_average_of_file(consumption(tmp_path, rows))
    assert found.value == pytest.approx(right, rel=1e-12)
    assert any(f"{2 * len(sums)} rows are sums" in n for n in found.notes)


def test_running_sums_alone_and_two_months_in_one(tmp_path):
    _, right = of_months("{m}")
    use = {"河北": USE, "青海": np.full(12, 20.0)}
    running = [f"{r},1-{m}月,{u[:m].sum()}" for r, u in use.items() for m in range(1, 13)]
    assert consumption_average_of_file(consumption(tmp_path, running)).value == pytest.approx(right)
    winter = [f"{r},1-2月,{u[:2].sum()}" for r, u in use.items()]
    rest = [f"{r},{m}月,{u[m - 1]}" for r, u in use.items() for m in range(3, 13)]
    assert consumption_average_of_file(consumption(tmp_path, winter + rest)).value == pytest.approx(right)


@pytest.mark.parametrize(
    ("heading", "factor"),
    [
        ("用电量（亿千瓦时）", 1.0),
        ("value (10⁸ kWh)", 1.0),
        ("用电量(万千瓦时)", 1e4),
        ("consumption (GWh)", 1e2),
    ],
)
def test_the_unit_in_the_heading(tmp_path, heading, factor):
    rows, right = of_months("{m}")
    other = [f"{r.rpartition(',')[0]},{float(r.rpartition(',')[2]) * factor}" for r in rows]
    found = consumption_average_of_file(consumption(tmp_path, other, f"region,month,{heading}"))
    assert found.value == pytest.approx(right, rel=1e-12)
    assert found.table["consumption"].sum() == pytest.approx(890.0)


def test_sums_since_january_without_a_label(tmp_path):
    _, right = of_months("{m}")
    use = {"河北": USE, "青海": np.full(12, 20.0)}
    path = consumption(tmp_path, [f"{r},{m},{u[:m].sum()}" for r, u in use.items() for m in range(2, 13)])
    with pytest.raises(ConfigError, match="Hebei, Qinghai rises every month"):
        consumption_average_of_file(path)
    found = consumption_average_of_file(path, running="yes")
    assert found.value == pytest.approx(right)
    assert any("sums since January" in n for n in found.notes)
    assert consumption_average_of_file(path, running="no").value != pytest.approx(right, rel=1e-3)


@pytest.mark.parametrize("whole", ["全国", "合计", "总计", "全国总计", "全社会", "Total", "China", "中国"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_the_nation_groups_and_regions_without_a_factor(tmp_path, whole, encoding):
    rows, right = of_months("{m}月")
    rows += [f"{whole},{m}月,9999" for m in range(1, 13)]
    rows += [
        "华北,1月,900",
        "小计,1月,900",
        "西藏,1月,9",
        "香港,1月,40",
        "台湾,1月,200",
        "数据来源：国家能源局,,",
    ]
    path = tmp_path / "use.csv"
    path.write_text("地区,月份,用电量\n" + "\n".join(rows) + "\n", encoding=encoding)
    found = consumption_average_of_file(path)
    assert found.value == pytest.approx(right, rel=1e-12)
    said = " ".join(found.notes)
    for part in ("华北, 小计", "whole nation", "Xizang, Taiwan, Hong Kong", "without a value", "28 of 30"):
        assert part in said


@pytest.mark.parametrize("heading", ["时间", "日期", "date", "年月", "period", "月份"])
def test_the_year_that_the_months_state_counts(tmp_path, heading):
    rows, _ = of_months("2021-{m:02d}")
    found = consumption_average_of_file(consumption(tmp_path, rows, f"地区,{heading},用电量"))
    assert found.year == "2021"
    assert not any("states no year" in n for n in found.notes)


def test_a_title_and_its_unit_and_year_above_the_headings(tmp_path):
    rows, right = of_months("{m}月")
    rows = [f'{r.rpartition(",")[0]},"{float(r.rpartition(",")[2]) * 1e4:,.1f}"' for r in rows]
    head = "2022年分省用电量,,\n单位：万千瓦时,,\n地区,月份,用电量"
    found = consumption_average_of_file(consumption(tmp_path, rows, head))
    assert found.value == pytest.approx(right, rel=1e-12)
    assert found.table["consumption"].sum() == pytest.approx(890.0)
    assert not any("states no year" in n for n in found.notes)
    with pytest.raises(FormatError, match="unit '万吨'"):
        consumption_average_of_file(consumption(tmp_path, rows, head.replace("万千瓦时", "万吨")))


FULL = {"河北省": USE, "青海省": np.full(12, 20.0), "西藏自治区": np.full(12, 9.0), "全国": USE + 29.0}


def spread_out(names, sums=True):
    """Return rows of a table with a column a month."""
    rows = [["地区", *names, *["合计"] * sums]]
    return rows + [[r, *u, *[u.sum()] * sums] for r, u in FULL.items()]


LAYOUTS = {
    "months": spread_out([f"{m}月" for m in range(1, 13)]),
    "figures": spread_out(range(1, 13), sums=False),
    "english": spread_out([f"{e}-22" for e in ENGLISH]),
    "two rows of headings": [["地区", "2022年", *[""] * 12], ["", *spread_out([f"{m}月" for m in range(1, 13)])[0][1:]],
                             *spread_out(ENGLISH)[1:]],
    "a year": [["地区", "2022年"], *[[r, u.sum()] for r, u in FULL.items()]],
    "quarters and a number": [["序号", "省份", "Q1", "Q2", "Q3", "Q4"],
                              *[[k, r, *u.reshape(4, 3).sum(axis=1)] for k, (r, u) in enumerate(FULL.items())]],
    "provinces": list(zip(*spread_out([f"2022-{m:02d}" for m in range(1, 13)]), strict=True)),
    "running": [["地区", *[f"1-{m}月" for m in range(1, 13)]], *[[r, *np.cumsum(u)] for r, u in FULL.items()]],
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", ["gbk", "utf-8-sig"])
def test_a_column_a_month_or_a_province(tmp_path, layout, encoding):
    right = float(np.array([USE.sum(), 240.0]) @ np.array([0.7252, 0.1567]) / (USE.sum() + 240.0))
    rows = [
        "2022年分省用电量（亿千瓦时）",
        *[",".join(map(str, row)) for row in LAYOUTS[layout]],
        "注：国家能源局",
    ]
    path = tmp_path / "use.csv"
    path.write_text("\n".join(rows) + "\n", encoding=encoding)
    found = consumption_average_of_file(path)
    assert found.value == pytest.approx(right, rel=1e-12)
    assert found.table["consumption"].sum() == pytest.approx(USE.sum() + 240.0)
    said = " ".join(found.notes)
    assert "whole nation" in said
    assert "Xizang" in said


def test_what_a_spread_table_does_not_say(tmp_path):
    path = tmp_path / "use.csv"
    for text, said in [
        ("地区,2021年,2022年\n河北,1,2\n青海,1,2\n", "several years .2021, 2022.; say which"),
        ("2021-2022年\n地区,1月,2月\n河北,1,2\n青海,1,2\n", "title names 2021 and 2022; say the year"),
        ("地区,年份,用电\n河北,2022,1\n青海,2022,1\n", "lacks column value"),  # a year is no consumption
        ("地区,1,2\n河北,1,2\n青海,1,2\n", "lacks column value"),
        ("河北,2022年1月,7\n青海,2022年2月,8\n", "lacks column"),
        ("地区,1月,2月\n河北,1,2\n北方电网,1,2\n青海,1,-2\n", "青海 is -2, below 0"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises((FormatError, RangeError), match=said):
            consumption_average_of_file(path)


@pytest.mark.parametrize("head", ["合计", "Total", "累计"])
def test_a_bare_total_spans_the_months_beside_it(tmp_path, head):
    path = tmp_path / "use.csv"

    def found(*rows, running="ask"):
        path.write_text("\n".join([f"地区,1月,2月,{head}", *rows]) + "\n", encoding="utf-8")
        return consumption_average_of_file(path, running=running)

    whole = found("河北,60,40,100", "青海,10,,30")  # a month that is missing is in the total
    assert whole.table["consumption"].tolist() == [100.0, 30.0]
    said = " ".join(whole.notes)
    assert "2 totals that do not say of which months" in said
    assert "consumption is of 2 months" in said
    assert "has 12 months" not in said
    assert found("河北,60,100,100", "青海,10,30,30", running="yes").table["consumption"].tolist() == [
        100.0,
        30.0,
    ]
    with pytest.raises(
        RangeError, match=f"Hebei: {head} is 650, its months 1, 2 add up to 100: of which months"
    ):
        found("河北,60,40,650", "青海,10,20,30")


def test_a_total_of_fewer_months_than_others_have(tmp_path):
    rows, _ = of_months("{m}", [("合计", 1, 12)])
    found = consumption_average_of_file(
        consumption(tmp_path, [*rows, "北京,1,10", "北京,2,20", "北京,合计,30"])
    )
    assert any("Beijing has 2 months, most have 12" in n for n in found.notes)


@pytest.mark.parametrize(
    "heading", ["用电量/亿千瓦时", "value_1e8kWh", "consumption_10⁸_kWh", "当期值(亿千瓦时)"]
)
def test_a_unit_behind_a_mark(tmp_path, heading):
    rows, right = of_months("{m}")
    found = consumption_average_of_file(consumption(tmp_path, rows, f"region,month,{heading}"))
    assert found.value == pytest.approx(right, rel=1e-12)
    assert found.table["consumption"].sum() == pytest.approx(890.0)


def test_what_stands_out_is_said(tmp_path):
    use = {"河北": 350, "青海": 75, "北京": 100, "江苏": 600, "山西": 220, "广东": 650}
    months = [(r, m, v) for r, v in use.items() for m in range(1, 13)]

    def said(change):
        rows = [f"{r},{m},{change(r, m, v)}" for r, m, v in months]
        return " ".join(consumption_average_of_file(consumption(tmp_path, rows)).notes)

    assert "off?" not in said(lambda _r, _m, v: v)
    assert "Hebei, month 5: 3500" in said(lambda r, m, v: 10 * v if (r, m) == ("河北", 5) else v)
    assert "Qinghai consumes" in said(lambda r, _m, v: 10 * v if r == "青海" else v)
    assert "Qinghai consumes" in said(lambda r, _m, v: 0.03 * v if r == "青海" else v)
    assert "Hebei has 11 months, most have 12 (-3)" in said(
        lambda r, m, v: "" if (r, m) == ("河北", 3) else v
    )


def test_other_quantities_have_other_names():
    import pandas as pd

    with pytest.raises(FormatError, match="only the average is announced by province"):
        consumption_average(pd.DataFrame({"region": ["Hebei"], "value": [1.0]}), kind="fossil")


def test_market_excluded_rises_while_the_average_falls():
    frame = builtin_factors()
    nation = frame[frame["region"] == "China"]
    (average, excluded) = (
        [nation[(nation["quantity"] == q) & (nation["year"] == y)]["value"].item() for y in ("2022", "2023")]
        for q in ("electricity average", "electricity market-excluded")
    )
    assert average[1] < average[0]
    assert excluded[1] > excluded[0]
