"""What inventories, checks and factors say, in English and Chinese, by key; see `obsnet.inventory.notes`."""

from __future__ import annotations

from obsnet.language import WRITTEN

__all__ = ["NAMES", "QUOTING", "SENTENCES"]

# What stands in these is the user's own and stays as it is.
QUOTING = {
    "unused": ("columns not used: {columns}", "未使用的列：{columns}"),
    "title": ("above the headings: {text}", "表头上方：{text}"),
    "written": WRITTEN,
}
SENTENCES = {
    # tables and workbooks
    "utf-16": ("read as UTF-16 text", "按 UTF-16 文本读取"),
    "gbk": ("read as GB 18030 (GBK) text", "按 GB 18030（GBK）文本读取"),
    # consumption of electricity
    "spread months": (
        "a column a month or year (columns: {n}), a row a region",
        "每列一个月份或年份（共 {n} 列），每行一个地区",
    ),
    "spread provinces": (
        "a column a region (columns: {n}), a row a month",
        "每列一个地区（共 {n} 列），每行一个月份",
    ),
    # energy balances
    "no balance": (
        "sheets that are no balance, not read: {sheets}",
        "非平衡表的工作表，未读取：{sheets}",
    ),
    "no unit": (
        "no unit in the heading, taken as {unit}",
        "表头无单位，按 {unit} 计",
    ),
    "no units": (
        "no units in the headings: taken as the yearbook prints them",
        "表头均无单位：按年鉴所用单位计",
    ),
    "merged heading": (
        "column {column}: its heading together with the merged one to its left means {fuel} ({zh})",
        "{column} 列：其表头与左侧合并单元格合起来为{zh}",
    ),
    "unit of title": (
        "the unit above the headings, converted to {unit} (x {times})",
        "采用表头上方的单位，折算为 {unit}（× {times}）",
    ),
    "two units": (
        "{fuel} ({zh}): the heading says {wrong} and {right}; {unit} fits the fuel and is taken",
        "{zh}：表头同时写有 {wrong} 与 {right}；{unit} 适合该品种，予以采用",
    ),
    "turned": (
        "signs of transformation reversed: inputs are negative now",
        "加工转换的正负号已反转：投入现为负",
    ),
    "as asked": (
        "the title says {stated}, taken as {asked} as asked",
        "标题为 {stated}，按要求视为 {asked}",
    ),
    # amounts that cannot have their unit
    "conversion": (
        (
            "{rows}: puts out {times} times the heat that it takes in, tables have {least} to {most}: is the unit "
            "of {first} ({first_zh}) or {second} ({second_zh}) off?"
        ),
        "{rows}：产出热量为投入的 {times} 倍，常见为 {least} 至 {most}：{first_zh}或{second_zh}的单位是否有误？",
    ),
    "beside power": (
        (
            "{fuel} ({zh}): the heat of {kinds} that is burnt is {times} times that of the electricity used, "
            "provinces have at most {most}: is the unit of the column off?"
        ),
        "{zh}：该类燃料燃烧热量为用电热量的 {times} 倍，各省至多 {most} 倍：该列单位是否有误？",
    ),
    "too much": (
        (
            "{fuel} ({zh}): {burnt} {unit} burnt, no province burns {most}: is the unit of the column off (1e4 t "
            "against t)?"
        ),
        "{zh}：燃烧 {burnt} {unit}，无一省达到 {most}：该列单位是否有误（万吨与吨）？",
    ),
    "sum of fuels": (
        (
            "final consumption of {column} ({zh}) is {total} and the sum of its fuels {summed} {unit}: the unit "
            "of a column is off, or a column is missing"
        ),
        "{zh}的终端消费为 {total}，各品种之和为 {summed} {unit}：某列单位有误，或缺少某列",
    ),
    "too fine": (
        (
            "{fuel} ({zh}): the largest figure of the column is {largest} {unit}, less than the yearbooks print: "
            "is its unit off ({one} against {other})?"
        ),
        "{zh}：该列最大数值为 {largest} {unit}，低于年鉴所列：单位是否有误（{one} 与 {other}）？",
    ),
    # compiling
    "order": ("factors in order: {order}", "因子优先次序：{order}"),
    "stand in": ("{fuel} stands as {other}", "{fuel}按{other}计"),
    "mixed": (
        "{quantity} of {fuel} is of {edition}, the rest of {rest}",
        "{fuel}的{quantity}取自 {edition}，其余取自 {rest}",
    ),
    "as it stands": ("taken as it stands", "按原值采用"),
    "no row": ("no row of {row} ({zh}): nothing is counted of it", "无“{zh}”一行：该项不计入"),
    "signs": (
        (
            "{n} cells with a sign their row cannot have, first {row}, {fuel} ({cell}): {value}; obsnet "
            "inventory check lists them"
        ),
        (
            "{n} 个单元格的正负号与所在行不符，首个为{row}、{fuel}（{cell}）：{value}；可用 obsnet inventory check "
            "列出"
        ),
    ),
    "left out": ("fuels left out: {fuels}", "剔除的燃料：{fuels}"),
    "no sd": ("factors without an uncertainty: {items}", "无不确定度的因子：{items}"),
    "no sd known": ("no uncertainty of theirs is known", "其不确定度未知"),
    "sd of user": ("relative sd {sd} of the user", "采用用户给定的相对标准差 {sd}"),
    "borrowed": (
        "uncertainty borrowed from IPCC 2006, own rows state none: {fuels}",
        "自身未给不确定度、借用 IPCC 2006 者：{fuels}",
    ),
    "say sd": (
        "no uncertainty stated: say the relative sd of activities with --activity-sd",
        "未给不确定度：请用 --activity-sd 给出活动水平的相对标准差",
    ),
    "errors": (
        (
            "errors of activity rows are independent, of one factor the same wherever used, of two fuels' "
            "factors correlated {r} (--factor-correlation)"
        ),
        "各行活动水平误差相互独立，同一因子处处误差相同，不同燃料因子误差相关系数 {r}（--factor-correlation）",
    ),
    # gridded priors
    "no inventory": ("sheet {sheet} is no inventory, not read", "工作表 {sheet} 不是清单，未读取"),
    "totals alone": ("the inventory has totals alone: one sector", "清单只有总量：作一个部门处理"),
    "boundaries": ("boundaries: {source}", "边界：{source}"),
    "in part": (
        "covered by the grid in part: {regions}; their whole total lies in that part",
        "仅部分位于网格内：{regions}；其全部总量均置于该部分",
    ),
    "off grid": ("{n} plants lie outside the grid, left out", "{n} 座电厂位于网格之外，已剔除"),
    "no plant": ("no plant in {regions}: their sector goes by area", "{regions}无电厂：该部门按面积分配"),
    "no share": (
        "{n} offshore plants have no province whose total they could share, left out",
        "{n} 座海上电厂不属任何省份、无总量可分，已剔除",
    ),
    "too many": (
        "plants of {region} are {times} times its total of the sector",
        "{region}电厂排放为该部门总量的 {times} 倍",
    ),
    "none there": (
        "plants of {region} emit {mass} Mt, and the table has nothing of the sector there",
        "{region}电厂排放 {mass} Mt，而清单中该部门为零",
    ),
    "scaled": (
        "scaled down to it, nothing remains for the proxy",
        "已缩减至该总量，无余量按代理分配",
    ),
    "raised": ("its total is raised to them", "总量已提高至电厂之和"),
    "beside": (
        "offshore plants emit {mass} Mt a year beside all provinces",
        "海上电厂每年排放 {mass} Mt，不计入各省",
    ),
    "of fuel": ("{n} of {all} plants, fuel {fuels}", "{all} 座电厂中的 {n} 座，燃料 {fuels}"),
    "no capacity": (
        "{n} plants without a capacity are left out: {names}",
        "{n} 座电厂无装机容量，已剔除：{names}",
    ),
    "twice": (
        "{n} plants stand twice, same name, place and amount, and are added up; the first is row {row}",
        "{n} 座电厂重复出现（名称、位置、数量相同），已相加；首个在第 {row} 行",
    ),
    "snapped": (
        "{n} plants lie off every province and were given to the nearest, up to {far} degrees",
        "{n} 座电厂不在任何省界内，归入最近省份，最远 {far} 度",
    ),
    "offshore": (
        "{n} plants are farther than {far} degrees from every province, offshore: {names}",
        "{n} 座电厂距各省均超过 {far} 度，视为海上：{names}",
    ),
    "elsewhere": (
        (
            "{n} plants stand in another province than their table says; where they stand is taken (first: "
            "{first} in {there})"
        ),
        "{n} 座电厂实际所在省份与表中不同；以实际位置为准（首个：{first}，位于{there}）",
    ),
    "alike": ("no profiles given: all periods are alike", "未给时间廓线：各时段相同"),
    "no totals sd": (
        "totals without an uncertainty: the file has none",
        "总量无不确定度：文件中亦无",
    ),
    "no covariance": (
        ("no correlation between provinces stated: the file has standard deviations and no covariance"),
        "未给省间相关系数：文件只有标准差，无协方差",
    ),
    # checks of files
    "needs rows": (
        "{share} of what an inventory of combustion needs; no row {rows}",
        "具备燃烧清单所需的 {share}；缺行：{rows}",
    ),
    "needs columns": (
        "{share} of what an inventory of combustion needs; no column {fuels}",
        "具备燃烧清单所需的 {share}；缺列：{fuels}",
    ),
    "needs both": (
        "{share} of what an inventory of combustion needs; no row {rows}; no column {fuels}",
        "具备燃烧清单所需的 {share}；缺行：{rows}；缺列：{fuels}",
    ),
    "own regions": ("regions that are no province: {regions}", "非省级地区：{regions}"),
    "below 0": ("{item} is {value}, below 0", "{item} 为 {value}，低于 0"),
    "both gases": (
        "{category} stands as CO2 and as carbon (gas C): added up they would count twice",
        "{category} 既以 CO2 又以碳（气体 C）列出：相加将重复计算",
    ),
    "as carbon": (
        "CO2 total is {value}, near 12/44 of what CEADs of 2019 ({usual} Mt) lets expect: is it carbon (gas C)?",
        "CO2 总量为 {value}，约为 CEADs 2019 年（{usual} Mt）可比值的 12/44：是否以碳（气体 C）计？",
    ),
    "totals as carbon": (
        "CO2 totals near 12/44 of what CEADs lets expect: {n}, first {place} ({value} Mt): is it carbon (gas C)?",
        "约为 CEADs 可比值 12/44 的 CO2 总量：{n} 个，首个为 {place}（{value} Mt）：是否以碳（气体 C）计？",
    ),
    "unknown gases": (
        "gases that are not known, compared with nothing: {gases}",
        "无法识别的气体，不参与比较：{gases}",
    ),
    "unknown categories": (
        "categories that are no code of IPCC 2006 known here: {categories}",
        "非已知的 IPCC 2006 类别编码：{categories}",
    ),
    "part beside": (
        "{part} stands beside {whole}, which holds it ({where}): added up they would count twice",
        "{where}：{part} 与包含它的 {whole} 并列，相加将重复计算",
    ),
    "times usual": (
        (
            "CO2 total is {value}, {times} times CEADs of 2019 ({usual} Mt): is the unit off (1e4 t against t, or "
            "a year against a day)?"
        ),
        "CO2 总量为 {value}，是 CEADs 2019 年的 {times} 倍（{usual} Mt）：单位是否有误（万吨与吨，或年与日）？",
    ),
    "first": ("{value} Mt, with nothing before it", "{value} Mt，此前无数值"),
    "after": ("{value} Mt after {before}", "{value} Mt，此前 {before}"),
    "after spreads": (
        "{value} Mt after {before} ({spreads} spreads)",
        "{value} Mt，此前 {before}（{spreads} 倍离散度）",
    ),
    "by parts": ("{stated} Mt stated, {parts} by its parts", "所列 {stated} Mt，分项之和 {parts}"),
    "no days": (
        "sheet {sheet} has no days by provinces, not read",
        "工作表 {sheet} 不是逐日分省数据，未读取",
    ),
    "other dates": (
        "sheet {sheet} carries dates of {years}: noticed, not joined",
        "工作表 {sheet} 的日期属 {years} 年：已记录，未并入",
    ),
    "lacks days": (
        "sheet {sheet} lacks {n} days between its ends",
        "工作表 {sheet} 首尾之间缺 {n} 天",
    ),
    "empty cells": (
        "sheet {sheet} has {n} empty cells, first {first}: no total of these years",
        "工作表 {sheet} 有 {n} 个空单元格，首个为 {first}：相应年份不给合计",
    ),
    "zero days": (
        "{n} values are 0 where their series usually is not, first {first}",
        "{n} 个数值为 0，而该序列通常不为 0，首个为 {first}",
    ),
    "sector of sums": (
        "sheets of {sector} are the sums of the others, not added to them",
        "{sector} 各工作表为其余部门之和，未重复计入",
    ),
    "sums differ": (
        "sums over sectors differ from the sheet of totals on {n} province-days",
        "{n} 个省日的部门之和与总量表不符",
    ),
    "sums lack": (
        "{n} province-days lack a sector and cannot be compared with the sheet of totals",
        "{n} 个省日缺少部门，无法与总量表比较",
    ),
    # comparisons
    "carbon": ("carbon turned into CO2 (x 44/12)", "碳已换算为 CO2（x 44/12）"),
    "added up": ("{category} added up over {parts}", "{category} 由 {parts} 相加"),
    "no row of": ("no row of {gas} {category}, left out", "无 {gas} {category} 行，已剔除"),
    "no row in": (
        "no row of {gas} {category} in {period}, left out",
        "{period} 年无 {gas} {category} 行，已剔除",
    ),
    "below": (
        "{n} totals below 0, first {place} ({value} Mt)",
        "{n} 个总量低于 0，首个为 {place}（{value} Mt）",
    ),
    "numbers": ("{n} numbers, terminology {terms}", "{n} 个数值，分类体系 {terms}"),
    "apart": (
        (
            "{n} numbers differ by more than {times} times between sources, first {place} ({least} and {most} "
            "Mt): is a unit off (1e4 t against t)?"
        ),
        "{n} 个数值在各来源间相差逾 {times} 倍，首个为 {place}（{least} 与 {most} Mt）：单位是否有误（万吨与吨）？",
    ),
    "definitions": (
        (
            "sources differ in what they hold (process, bunkers, waste); a spread between definitions is no "
            "error of either"
        ),
        "各来源涵盖范围不同（工业过程、国际燃料舱、废弃物）；口径之差并非任何一方的误差",
    ),
    "as year": ("taken as the year {year}", "视为 {year} 年"),
    "middle": ("its grid covers {share} of the middle province", "其网格覆盖率的省份中位数为 {share}"),
    # whose the flux of a cell is: how a prior's file and `obsnet.splitting` say it
    "own file": ("as its own file says ({how}), on {cells} cells", "按其自身文件（{how}），网格 {cells}"),
    "cells": ("{size} degree", "{size} 度"),
    "plants at": ("{n} plants, {kind}; the remainder {rest}", "{n} 座电厂{kind}；其余{rest}"),
    "else by area": ("{how}; by area where it has none", "{how}；无通量处按面积"),
    # electricity factors
    "groups": ("sums of several provinces are left out: {names}", "多省合计行已剔除：{names}"),
    "nation": (
        "rows of the whole nation are left out: provinces are added up",
        "全国行已剔除：按各省相加",
    ),
    "not announced": (
        "no announced factor, left out: {regions} ({share} of consumption)",
        "无公布因子、已剔除：{regions}（占用电量 {share}）",
    ),
    "absent": (
        "no consumption given for {n} of {all} provinces: {regions}",
        "{all} 省中有 {n} 省未给用电量：{regions}",
    ),
    "zero": ("consumption of 0: {regions}", "用电量为 0：{regions}"),
    "some years": (
        "{n} rows state no year: taken as {year} like the others",
        "{n} 行未注明年份：与其余行同样视为 {year} 年",
    ),
    "no year": ("the table states no year: factors of {year}", "表中未注明年份：采用 {year} 年因子"),
    "other year": (
        "consumption is of {year}, factors of {other}",
        "用电量为 {year} 年，因子为 {other} 年",
    ),
    "empty": (
        "{n} rows without a value are left out (first: {region})",
        "{n} 行无数值，已剔除（首行：{region}）",
    ),
    "running": ("values of a month are taken as sums since January", "各月数值视为 1 月以来累计"),
    "odd month": (
        "{region}, month {month}: {value}, the median month has {middle}; a unit or a figure is off?",
        "{region} {month} 月：{value}，各月中位数为 {middle}；单位或数字是否有误？",
    ),
    "odd region": (
        (
            "{region} consumes {times} times as much as its CO2 lets expect (provinces differ threefold): is its "
            "unit off?"
        ),
        "{region}用电量为由其 CO2 所推的 {times} 倍（各省相差约三倍）：单位是否有误？",
    ),
    "sums": (
        "{n} rows are sums beside other rows of the same months, or parts of such a sum, left out",
        "{n} 行是同月其他行的合计或其分项，已剔除",
    ),
    "bare totals": (
        "{n} totals that do not say of which months (合计, Total) are taken as of the months beside them: {months}",
        "{n} 个未注明月份的合计视为所列月份之和：{months} 月",
    ),
    "other months": (
        "{region} has {n} months, most have {usual} ({apart}): its weight is not that of the others",
        "{region}有 {n} 个月，多数地区有 {usual} 个月（{apart}）：其权重与其他地区不可比",
    ),
    "part of year": (
        "the consumption is of {n} months, the factors of a year",
        "用电量为 {n} 个月，因子为全年",
    ),
    # two years, key categories, recalculations
    "above 100": (
        (
            "combined uncertainty above 100 %: {names}; error propagation is rough there, the Monte Carlo "
            "approach (--draws) is not"
        ),
        "合成不确定性超过 100 %：{names}；误差传播法在此不精确，蒙特卡罗法（--draws）不受此限",
    ),
    "as shares": (
        "no uncertainty is above 1 %: are these shares? percent is wanted (5, not 0.05)",
        "不确定性均不超过 1 %：是否写成了小数？应为百分数（5 而非 0.05）",
    ),
    "category twice": (
        "{category} of {gas} stands more than once: taken as sources of their own",
        "{category} 的 {gas} 多次出现：按各自独立的排放源处理",
    ),
    "shared factor": (
        "{n} rows share the factor {name}: Table 3.2 takes them as independent, --draws does not",
        "{n} 行共用因子 {name}：表 3.2 视为相互独立，--draws 不然",
    ),
    # cities, reports of plants, enterprises
    "no city sd": (
        "totals without an uncertainty: which cities are below it cannot be said",
        "总量未给不确定度：无法判断哪些城市低于该值",
    ),
    "cities of total": (
        "values of cities of {region} without a category are of the total; not divided: {categories}",
        "{region}各城市数值未注明类别，按总量计；未分解：{categories}",
    ),
    "in 2019": ("{name} ({value} Mt CO2 in 2019, CEADs)", "{name}（CEADs 2019 年 {value} Mt CO2）"),
    "large part": (
        (
            "{what} emits {value} Mt CO2, {share} of {province}; is a unit off (万吨 against t, m3 against "
            "1e4 m3, kWh against MWh)?"
        ),
        (
            "{what} 排放 {value} Mt CO2，为{province}的 {share}：单位是否有误（万吨与吨、立方米与万立方米、"
            "千瓦时与兆瓦时）？"
        ),
    ),
    "more than province": (
        (
            "{what} emits {value} Mt CO2, more than {province}; is a unit off (万吨 against t, m3 against "
            "1e4 m3, kWh against MWh)?"
        ),
        "{what} 排放 {value} Mt CO2，超过{province}：单位是否有误（万吨与吨、立方米与万立方米、千瓦时与兆瓦时）？",
    ),
    "report beyond": (
        "{value} Mt is more than {province}; is the unit off?",
        "{value} Mt 超过{province}：单位是否有误？",
    ),
    "large report": (
        "{value} Mt is {share} of {province}; is the unit off?",
        "{value} Mt 为{province}的 {share}：单位是否有误？",
    ),
    "name twice": ("name stands twice", "名称重复"),
    "times median": (
        "{what} is {times} times the median of {category}",
        "{what}为 {category} 中位数的 {times} 倍",
    ),
    "times median, unit": (
        "{what} is {times} times the median of {category}; off by 10⁴ (万吨 against t)?",
        "{what}为 {category} 中位数的 {times} 倍：是否差 10⁴（万吨与吨）？",
    ),
    "times median, carbon": (
        "{what} is {times} times the median of {category}; carbon for CO2?",
        "{what}为 {category} 中位数的 {times} 倍：是否以碳计而非 CO2？",
    ),
    "transferred": (
        "{mass} t CO2 transferred to others are not deducted: whoever stores them deducts them",
        "转移给他方的 {mass} t CO2 不予扣除：由封存方扣除",
    ),
    "share of province": (
        "scope 1 before storage is {share} of {province}",
        "封存前范围一排放为{province}的 {share}",
    ),
    "by market": (
        "by market: {green} MWh green at 0, the rest at {factor} ({row})",
        "按市场：绿电 {green} MWh 按 0 计，其余按 {factor}（{row}）",
    ),
    "no green": ("no green power: by market as by location", "无绿电：按市场与按所在地相同"),
    "factor of year": (
        "{kind} factor of {year} for power of {used}",
        "{used} 年电力采用 {year} 年的{kind}因子",
    ),
}
NAMES = {
    "ncv": "低位发热量", "carbon": "单位热值含碳量", "oxidation": "氧化率", "co2 per energy": "单位热值 CO2 含量",
    "CHN": "全国", "total": "总量", "process": "工业过程", "not stated": "未注明",
    "sectors": "各部门", "scope 1 total": "范围一合计", "fuels and process": "各燃料与工业过程",
    "their emissions": "按其排放", "in proportion to capacity": "按装机容量",
    "even over the area of a province": "在省内均匀分布", "by the proxy": "按代理分布",
    "emission": "排放因子", "effective": "综合因子", "electricity average": "电力平均因子",
    "electricity market-excluded": "电力因子（剔除市场化交易）", "electricity fossil": "化石能源电力因子",
    "electricity footprint": "电力碳足迹因子", "heat": "热力", "animal mass": "体重", "volatile solids": "挥发性固体",
    "nitrogen excreted": "氮排泄量", "manure share": "粪便管理方式占比", "manure methane": "粪便甲烷因子",
    "manure N2O": "粪便 N2O 因子", "manure volatilised": "粪便氮挥发比例", "manure leached": "粪便氮淋溶比例",
    "methane capacity": "甲烷产生潜力", "methane correction": "甲烷修正因子", "indirect N2O": "间接 N2O 因子",
    "decay rate": "分解速率", "degradable carbon": "可降解有机碳", "dissimilated share": "可分解碳比例",
    "China": "全国", "world": "全球", "nation": "全国",
    "only in the new edition": "仅见于新版", "only in the old edition": "仅见于旧版", "activity": "活动数据",
    "factor": "排放因子", "activity and factor": "活动数据与排放因子", "own": "自有数值", "proxy": "代用指标",
    "scope 1": "范围一", "the largest province": "最大省份",
    "emission a unit of production": "单位产量排放", "average": "平均", "market-excluded": "剔除市场化交易",
    "fuel": "燃料", "green electricity": "绿电", "captured": "捕集",
    "stored": "封存", "transferred": "转移", "measured": "实测", "default": "缺省",
    "zero": "零值", "break": "突变", "spike": "尖峰", "negative": "负值",
}  # fmt: skip
