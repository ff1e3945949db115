"""Names as people write them, in Chinese and English: columns of tables, provinces, yes and no."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from obsnet.errors import FormatError, RegionError, nearest
from obsnet.inventory.amounts import ELECTRICITY, MASS, scale
from obsnet.inventory.letters import normal, plain
from obsnet.inventory.notes import note
from obsnet.language import Language
from obsnet.regions import PROVINCES, region_code

__all__ = [
    "CHINESE",
    "NATION",
    "RESULTS",
    "canonical_columns",
    "column_of",
    "dotted",
    "find_region",
    "heading_unit",
    "is_group",
    "normal",
    "part_and_whole",
    "plain",
    "province_or_own",
    "said_of_own",
    "translated",
]

NATION = "CHN"  # the whole country as a region of a table

# What a column is called in our tables, its Chinese heading, and other spellings found in people's files.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "region": (
        "地区",
        "省份",
        "省",
        "地区代码",
        "区域",
        "province",
        "provinces",
        "adcode",
        "area",
        "省级行政区",
        "省(区、市)",
        "省市",
        "地区名称",
        "省份名称",
        "省级地区",
    ),
    "period": ("年份", "时期", "年", "年度", "year", "years"),
    "month": (
        "月份",
        "月",
        "months",
        "年月",
        "时间",
        "日期",
        "统计月份",
        "统计时间",
        "date",
        "time",
        "year month",
    ),
    "indicator": ("指标", "指标名称", "indicators"),
    "published": ("发布日期", "发布时间", "公布日期", "publication date", "published on", "release date"),
    "gas": ("气体", "温室气体", "entity"),
    "category": ("类别", "排放源", "部门", "sector", "source category"),
    "terminology": ("分类体系", "术语"),
    "value": (
        "数值",
        "数量",
        "排放量",
        "用电量",
        "全社会用电量",
        "消费量",
        "电力消费量",
        "当月用电量",
        "当期值",
        "当月值",
        "data",
        "emissions",
        "amount",
        "consumption",
        "electricity consumption",
        "power consumption",
    ),
    "unit": ("单位", "计量单位", "units"),
    "uncertainty": ("不确定性", "不确定度", "相对不确定性"),
    "source": ("来源", "数据来源"),
    "edition": ("版本",),
    "base": ("基年", "基年排放量", "基准年", "base year", "base_year"),
    "current": ("当年", "当前年", "当年排放量", "报告年", "current year", "current_year", "year t"),
    "activity_uncertainty": ("活动数据不确定性", "活动水平不确定性", "activity uncertainty"),
    "factor_uncertainty": (
        "排放因子不确定性",
        "因子不确定性",
        "emission factor uncertainty",
        "factor uncertainty",
    ),
    "activity_correlated": ("活动数据相关", "activity correlated"),
    "factor_correlated": ("排放因子相关", "factor correlated"),
    "factor_group": ("共用排放因子", "shared factor", "factor group"),
    "item": ("项目", "活动", "品种", "activity", "fuel", "能源品种", "燃料"),
    "label": ("行名", "栏目", "row label"),
    "quantity": ("参数", "量"),
    "latitude": ("纬度", "北纬", "lat"),
    "longitude": ("经度", "东经", "lon", "long"),
    "name": ("名称", "企业名称", "电厂", "plant", "enterprise"),
    "capacity": ("装机容量", "容量", "capacity (mw)", "capacity_mw"),
    "city": ("城市", "市", "地市"),
    "proxy": ("代用指标", "权重", "weight"),
    "green": ("绿电", "green power"),
    "note": ("备注", "说明", "notes"),
    "low": ("下限", "lower"),
    "high": ("上限", "upper"),
    "page": ("页码", "页", "表号"),
    "meaning": ("不确定性含义",),
    "checked": ("核对",),
    "from": ("送端", "送出地区", "exporter"),
    "to": ("受端", "受入地区", "importer"),
    "generation": ("发电量",),
    "emission": ("发电排放", "发电排放量"),
    "fossil_generation": ("化石能源发电量", "火电发电量"),
    "traded_nonfossil": ("市场化交易非化石电量", "市场化交易的非化石能源电量"),
    "kind": ("类型", "范围"),
    "mass": ("体重", "平均体重", "mean mass", "live mass"),
}
CHINESE = {column: names[0] for column, names in _COLUMNS.items()}
# Headings that only our results have.
RESULTS = {
    "sectoral": "部门法", "reference": "参考法", "difference": "差异", "reference_by_rows": "参考法(按分项)",
    "difference_by_rows": "差异(按分项)", "emission": "排放量", "emission_unit": "排放单位", "activity": "活动数据",
    "file": "文件", "row": "行", "cell": "单元格", "factor": "排放因子", "factor_unit": "因子单位",
    "factor_sd": "因子相对标准差", "factor_key": "因子编号", "factor_source": "因子来源", "other": "另一地区",
    "covariance": "协方差", "correlation": "相关系数", "level": "水平", "level_cumulative": "水平累计",
    "level_rank": "水平排序", "level_key": "水平关键", "trend": "趋势", "trend_cumulative": "趋势累计",
    "trend_rank": "趋势排序", "trend_key": "趋势关键", "key": "关键", "sources": "来源数", "mean": "均值",
    "spread": "极差比", "sd": "相对标准差", "check": "检查", "where": "位置", "expected": "应为", "gap": "差额",
    "text": "说明文字", "consumption": "用电量", "share": "份额", "basis": "依据", "resolvable": "可分辨",
}  # fmt: skip

# Letters that tables use for provinces: ISO 3166-2:CN and those of the daily provincial data set.
_LETTERS = {
    "BJ": "110000", "TJ": "120000", "HE": "130000", "HEB": "130000", "SX": "140000", "NM": "150000", "IM": "150000",
    "LN": "210000", "JL": "220000", "HL": "230000", "HLJ": "230000", "SH": "310000", "JS": "320000", "ZJ": "330000",
    "AH": "340000", "FJ": "350000", "JX": "360000", "SD": "370000", "HA": "410000", "HEN": "410000", "HB": "420000",
    "HUB": "420000", "HN": "430000", "HUN": "430000", "GD": "440000", "GX": "450000", "HI": "460000", "HAN": "460000",
    "CQ": "500000", "SC": "510000", "GZ": "520000", "YN": "530000", "XZ": "540000", "SN": "610000", "SAX": "610000",
    "GS": "620000", "QH": "630000", "NX": "640000", "XJ": "650000", "TW": "710000", "HK": "810000", "MO": "820000",
}  # fmt: skip
_NATION = {
    "全国", "中国", "中国大陆", "全社会", "合计", "总计", "总和", "全国合计", "全国总计", "各省合计", "分省合计",
    "china", "chn", "cn", "mainlandchina", "chinamainland", "national", "nation", "nationwide", "100000", "total",
    "grandtotal", "sum", "all", "allprovinces", "wholecountry", "nationaltotal", "chinatotal",
}  # fmt: skip
# Sums over some provinces, which tables print between them.
_GROUPS = {
    "小计", "subtotal", "华北", "东北", "华东", "华中", "华南", "西南", "西北", "南方", "北方", "东部", "中部", "西部",
    "京津冀", "长三角", "珠三角", "northchina", "northeastchina", "eastchina", "centralchina", "southchina",
    "southwestchina", "northwestchina", "north", "northeast", "east", "central", "south", "southwest", "northwest",
    "eastern", "western",
}  # fmt: skip


_BY_NAME = {plain(n): column for column, names in _COLUMNS.items() for n in (column, *names)}


def column_of(heading: object) -> str:
    """Return our name of a column that a heading means, empty where it is none of ours.

    Examples
    --------
    >>> column_of("年份"), column_of("2022年")
    ('period', '')
    """
    return _BY_NAME.get(plain(heading), "")


def canonical_columns(
    found: Iterable[object], required: Iterable[str], where: str, optional: Iterable[str] = ()
) -> dict[str, str]:
    """Say which of a table's headings are the columns that are asked for.

    Parameters
    ----------
    found : iterable of str
        Headings as they stand, Chinese or English.
    required, optional : iterable of str
        Our names.
    where : str
        The file, for the error text.

    Returns
    -------
    dict of str to str
        Heading to our name; other headings are left out.

    Raises
    ------
    FormatError
        A column is missing, or two headings mean the same.
    """
    headings = [str(h) for h in found]
    wanted = {*required, *optional}
    names: dict[str, str] = {}
    for heading in headings:
        column = _BY_NAME.get(plain(heading))
        if column is None and "unit" in wanted and heading_unit(heading):
            column = column_of(re.split(r"[(（\[]", _behind_mark(normal(heading))[0])[0])
            column = column if column == "value" else None
        if column is None or column not in wanted:
            continue
        if column in names.values():
            first = next(h for h, c in names.items() if c == column)
            if plain(first) == column:
                continue  # the exact name goes before another spelling
            if plain(heading) != column:
                raise FormatError(
                    f"{where}: columns {first!r} and {heading!r} both mean {column!r}; keep one"
                )
            del names[first]
        names[heading] = column
    stated = any(c == "value" and heading_unit(h) for h, c in names.items())
    missing = [c for c in required if c not in names.values() and not (c == "unit" and stated)]
    if missing:
        said = ", ".join(f"{c} ({CHINESE[c]})" if c in CHINESE else c for c in missing)
        raise FormatError(
            f"{where}: lacks column {said}; found {', '.join(h for h in headings if h.strip())}"
        )
    return names


def heading_unit(heading: object) -> str:
    """Return the unit that a heading has in brackets or behind a mark at its end, empty where it has none.

    Behind a mark only a unit that is understood counts: ``emissions_2019`` states none.

    Examples
    --------
    >>> [heading_unit(h) for h in ("用电量（亿千瓦时）", "value_10⁸kWh", "排放量/万吨", "value")]
    ['亿千瓦时', '10^8kWh', '万吨', '']
    """
    text = normal(heading)
    if found := re.search(r"[(\[]([^()\[\]]+)[)\]]$", text):
        return found.group(1).strip()
    unit = _behind_mark(text)[1]
    return unit if any(scale(unit, bases) is not None for bases in (ELECTRICITY, MASS)) else ""


def _behind_mark(text: str) -> tuple[str, str]:
    """Return a heading in two: what is before a mark and means the values, and what is behind it."""
    for mark in re.finditer(r"[_/,:\s]+", text):
        if column_of(text[: mark.start()]) == "value":
            return text[: mark.start()], text[mark.end() :]
    return text, ""


def is_group(name: object) -> bool:
    """Tell whether a name is that of several provinces together, short of the nation: a sum beside its parts.

    Examples
    --------
    >>> is_group("华北地区"), is_group("小计"), is_group("河北")
    (True, True, False)
    """
    return (
        re.sub(r"(地区|区域|电网|合计|小计|grid|region)$", "", plain(name)) in _GROUPS
        or plain(name) in _GROUPS
    )


def find_region(name: object, extra: Mapping[str, str] | None = None) -> str:
    """Return the adcode of a province however it is written, or `NATION`.

    Parameters
    ----------
    name : str
        Adcode, full or short Chinese name, English name with or without blanks or province, letters such as ``HEB``.
    extra : mapping of str to str, optional
        Further names.

    Raises
    ------
    RegionError
        Nothing of that name; Shanxi is not Shaanxi, so near names are given and never taken.

    Examples
    --------
    >>> find_region("内蒙古自治区"), find_region("Inner_Mongolia"), find_region("IM"), find_region("15")
    ('150000', '150000', '150000', '150000')
    """
    text = normal(name).removesuffix(".0")
    if extra and text in extra:
        return extra[text]
    if plain(re.sub(r"\([^()]*\)$", "", text)) in _NATION:  # 全国(不含港澳台)
        return NATION
    short = text.upper().removeprefix("CN-")
    if short in _LETTERS:
        return _LETTERS[short]
    if short.isdigit() and len(short) == 2 and f"{short}0000" in PROVINCES:
        return f"{short}0000"
    bare = re.sub(r"\s*(province|municipality|sar|autonomous region)$", "", text, flags=re.IGNORECASE)
    bare = re.sub(r"\s+(zhuang|uygh?ur|hui)$", "", bare, flags=re.IGNORECASE).replace("_", " ")
    bare = re.sub(r"^nei mongol$", "Inner Mongolia", bare, flags=re.IGNORECASE)
    for spelling in (text, bare, re.sub(r"(省|市|壮族|维吾尔|回族)$", "", text)):
        try:
            return region_code(spelling)
        except RegionError:
            continue
    known = [n for row in PROVINCES.values() for n in row]
    raise RegionError(f"no province-level region is called {text!r}{nearest(bare, known)}")


def dotted(code: object) -> str:
    """Return a code of a category with dots between its parts; other names stay as they are.

    Examples
    --------
    >>> dotted("1A1a"), dotted("1.a.3"), dotted("2A"), dotted("Farming"), dotted("2019")
    ('1.A.1.a', '1.A.3', '2.A', 'Farming', '2019')
    """
    found = re.fullmatch(
        r"(\d)\.?([A-Ha-h])(?:\.?(\d{1,2})(?:\.?([A-Za-z])(?:\.?([ivx]+))?)?)?", str(code).strip().rstrip(".")
    )
    if found is None:
        return str(code)
    first, letter, *rest = (part for part in found.groups() if part)
    return ".".join((first, letter.upper(), *(part.lower() for part in rest)))


def part_and_whole(categories: Iterable[object]) -> tuple[str, str] | None:
    """Return a code of a category and one that holds it, if there are such: added up they would count twice.

    Examples
    --------
    >>> part_and_whole(["1.A", "2.A.1", "1.A.3"]), part_and_whole(["1.A.1", "1.A.10"]), part_and_whole(["1A1", "1A1a"])
    (('1.A.3', '1.A'), None, ('1A1a', '1A1'))
    """
    codes = {str(c): f"{dotted(c)}." for c in categories}
    return next(
        (
            (c, whole)
            for c, mine in codes.items()
            for whole, its in codes.items()
            if mine != its and mine.startswith(its)
        ),
        None,
    )


def province_or_own(name: object) -> str:
    """Return the adcode of a province that a name means, else the name: a key of the user's own regions.

    Letters such as ``HEB`` stay as they are: they may be anybody's keys.

    Examples
    --------
    >>> province_or_own("河北省"), province_or_own("Hebei"), province_or_own("HB"), province_or_own("North Plain")
    ('130000', '130000', 'HB', 'North Plain')
    """
    text = normal(name)
    if text.isascii() and len(text) <= 3 and not text.isdigit():
        return text
    try:
        return find_region(text)
    except RegionError:
        return str(name)


def said_of_own(regions: Iterable[object]) -> str:
    """Name regions that are no province, each with the province whose name is near; empty where there is none.

    Examples
    --------
    >>> said_of_own(["130000", "Hebey", "North Plain", "Guangdnog"])
    "regions that are no province: Guangdnog (nearest: 'Guangdong'), Hebey (nearest: 'Hebei'), North Plain"
    """
    own = sorted({str(r) for r in regions} - {*PROVINCES, NATION})
    if not own:
        return ""
    names = [name for row in PROVINCES.values() for name in row]
    near = [get_close_matches(r, names, n=2, cutoff=0.75) for r in own[:5]]
    said = [f"{r} (nearest: {', '.join(map(repr, n))})" if n else r for r, n in zip(own, near, strict=False)]
    return note("own regions", regions=f"{', '.join(said)}{' …' if len(own) > 5 else ''}")


def translated(columns: Iterable[str], language: Language) -> dict[str, str]:
    """Return headings of a table in a language, by our name."""
    return {c: CHINESE.get(c, RESULTS.get(c, c)) if language == "zh" else c for c in columns}
