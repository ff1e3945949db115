"""What an annex says in its own words, in English and Chinese: neutral, and only what the tables show."""

from __future__ import annotations

from typing import Any

from obsnet.language import Words, filled

__all__ = ["text"]

# key -> (English, Chinese); what stands in braces is filled in by `text`
_TEXTS = {
    "subtitle": (
        "Annex: verification of the inventory of {gas}, {inventory_period}, by observations of the atmosphere",
        "附件：以大气观测核验 {inventory_period} 的 {gas} 清单",
    ),
    # headings
    "purpose": ("Purpose and scope", "目的与范围"),
    "results in short": ("Results in short", "结果摘要"),
    "what verdicts say": ("What the verdicts say", "结论的含义"),
    "methods": ("Methods and inputs", "方法与输入"),
    "rests on": ("What the estimate rests on", "估算依据"),
    "files": ("Files behind this annex", "本附件所依据的文件"),
    "definitions": ("Definitions and the bridge between them", "定义与口径衔接"),
    "by province": ("Results by province", "分省结果"),
    "detectability": ("What could be found", "可检出程度"),
    "verdicts": ("Verdicts", "检验结论"),
    "where": ("Where the emissions are", "排放分布"),
    "national": ("National and regional sums", "全国与区域合计"),
    "sectors and trends": ("Sectors and trends", "部门与趋势"),
    "uncertainty": ("Uncertainties, fit and calibration", "不确定性、拟合与校准"),
    "fit": ("Fit by source of observations", "按观测来源的拟合情况"),
    "limits": ("Limits", "局限"),
    "references": ("Files and references", "文件与参考文献"),
    "literature": ("Literature", "文献"),
    # headings of tables
    "what": ("What", "项目"),
    "which": ("Which", "内容"),
    "file": ("File", "文件"),
    "content": ("Content", "内容"),
    "verdict": ("Verdict", "结论"),
    "says": ("Says", "含义"),
    "region": ("Region", "地区"),
    "inventory": ("Inventory", "清单"),
    "sd": ("± sd", "标准差"),
    "inversion": ("Inversion", "反演"),
    "difference": ("Difference", "差值"),
    "p": ("p adj.", "校正 p"),
    "why": ("Reason and remark", "原因与备注"),
    "seen": ("Seen", "响应"),
    "least": ("Smallest detectable", "最小可检差异"),
    "least share": ("of the inventory", "占清单"),
    "testable": ("Testable", "可检验"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "members": ("Made up of", "组成"),
    "sum": ("Sum", "合计"),
    "source": ("Source", "来源"),
    # paragraphs
    "scope": (
        (
            "This annex sets the inventory of {gas}, category {category} of {inventory_period} ({source}), beside "
            "what the atmosphere shows: the sector {sector} of an inversion of {period}. It is a check by "
            "independent data. It does not replace the inventory, and where it cannot tell it says so."
        ),
        (
            "本附件以大气观测检验清单：清单为 {inventory_period} 的 {gas}，类别 {category}（{source}），"
            "对照反演部门 {sector}（{period}）。"
            "本附件为独立数据的核验，不替代清单；观测无法判断之处，均予说明。"
        ),
    ),
    "counts": (
        (
            "Of {all} regions {tested} could be tested. {consistent} inventories are consistent with the "
            "observations, {inconsistent} inconsistent, {not_decided} not decided; {not_testable} are not "
            "testable."
        ),
        (
            "{all} 个地区中 {tested} 个可检验：一致 {consistent} 个，不一致 {inconsistent} 个，"
            "未能判定 {not_decided} 个；无法检验 {not_testable} 个。"
        ),
    ),
    "differs": (
        (
            "{name}: the inversion ({posterior} {unit} a year) is {higher} than the inventory ({inventory}) by "
            "more than both errors explain (adjusted p {p}); a discrepancy of {least} of the inventory would have "
            "been found."
        ),
        (
            "{name}：反演值（每年 {posterior} {unit}）{higher}清单值（{inventory}），超出两者误差所能解释的范围"
            "（校正 p = {p}）；占清单 {least} 的差异即可检出。"
        ),
    ),
    "higher": ("higher", "高于"),
    "lower": ("lower", "低于"),
    "means inconsistent": (
        "shown to differ from the inventory by more than the inventory's own error",
        "可证与清单不符，且超出其自身误差",
    ),
    "means consistent": (
        "shown to agree with the inventory within {margin}",
        "可证与清单之差在 {margin} 以内",
    ),
    "means not decided": (
        "neither is shown, though a large enough discrepancy would have been found",
        "二者均未得证，尽管足够大的差异本可检出",
    ),
    "means not testable": (
        "these observations, or this run, cannot tell; the reason is given",
        "现有观测或本次反演无法判断，原因另列",
    ),
    "method": (
        (
            "An inversion returns a smoothed view of the true totals: t_a = t_b + A (t − t_b) + noise, with the "
            "prior t_b and the averaging kernel A over all regions and periods. Each region's inventory is looked "
            "at through the same kernel, with everything else as the prior has it. The difference of the two is "
            "therefore zero where nothing was observed, an inventory that served as the prior does not confirm "
            "itself, and a neighbour's wrong inventory accuses nobody else. Its variance holds the errors of "
            "observations and transport as stated, of the prior elsewhere, of everything else that was solved, "
            "and of the inventory."
        ),
        (
            "反演给出真实总量的平滑结果：t_a = t_b + A (t − t_b) + 噪声，其中 t_b 为先验，A 为所有地区与时段的平"
            "均核。各地区清单经同一平均核变换，其余均取先验。因此无观测处差值为零，以清单作先验不会自证，邻省清单"
            "有误也不会牵连本省。差值的方差包括所述观测与传输误差、其他地区与时段的先验误差、同时求解的其他未知量"
            "误差以及清单自身误差。"
        ),
    ),
    "rule": (
        (
            "Rule: the rate of false discoveries over all tested regions is kept at {alpha} ({adjustment}); a "
            "region is testable if a discrepancy of {detectable} of its inventory would be found with a power of "
            "{power}; consistent is what is shown to agree within {margin}. The rule was set before the results."
        ),
        (
            "规则：全部可检验地区的误报率控制在 {alpha}（{adjustment} 校正）；若占清单 {detectable} 的差异能以 "
            "{power} 的功效检出，则该地区可检验；可证在 {margin} 以内者为一致。规则先于结果设定。"
        ),
    ),
    "no bridge": (
        (
            "Whether inventory and sector are of the same things was not stated in this run; no bridge between "
            "definitions was made (obsnet crosscheck --bridge-inventory, --bridge-sector). A verdict holds for "
            "totals as they are."
        ),
        (
            "本次运行未说明清单与反演部门的口径是否一致，未作定义衔接"
            "（obsnet crosscheck --bridge-inventory、--bridge-sector）。结论针对现有口径的总量。"
        ),
    ),
    "detectability text": (
        (
            "Before any result: the smallest discrepancy that would have been found in each region, at the level "
            "that the adjustment leaves to the first discovery. Seen: the share of a true discrepancy that shows "
            "in the inversion."
        ),
        (
            "先于结果给出：按多重检验校正后首个检出的显著性水平，各地区可检出的最小差异。"
            "响应：真实差异在反演中可显现的比例。"
        ),
    ),
    "verdicts text": (
        (
            "Totals in {unit} of {gas} a year, ± one standard deviation. Difference: the inversion less what it "
            "would have found had the inventory been right and all else as the prior has it. p is adjusted for "
            "the number of regions tested."
        ),
        (
            "总量单位为每年 {unit} {gas}，± 为一倍标准差。差值 = 反演值减去“若清单正确、其余与先验相同，反演应得"
            "的值”。p 值已按检验地区数校正。"
        ),
    ),
    "verdict map": (
        (
            "Verdicts by province. Blue: not decided. Grey: not testable. Hatched: not testable by itself, the "
            "verdict is that of its sum with regions it is not told apart from."
        ),
        "各省检验结论。蓝色为未能判定，灰色为无法检验；斜线为单独无法检验，颜色为与其不可区分地区合计的结论。",
    ),
    "totals chart": (
        "Inventory and inversion, {unit} a year, with 95 % intervals; testable provinces first.",
        "清单值与反演值及其 95% 区间（每年 {unit}），可检验省份在前。",
    ),
    "flux map": (
        "Posterior flux of {sector} and its change from the prior, mean of {period}.",
        "{sector} 后验通量及其相对先验的变化，{period} 平均。",
    ),
    "sums text": (
        (
            "Sums have the covariance of their regions; their members' inventories are taken to be wrong together "
            "unless said otherwise. Sets are regions that the observations do not tell apart and that are "
            "therefore reported jointly."
        ),
        (
            "合计值计入各地区之间的协方差；除非另有说明，各成员清单误差视为完全相关。"
            "合并地区指观测无法相互区分、因而合并报告的地区。"
        ),
    ),
    "no sums": (
        (
            "No sum of regions was asked for in this run (obsnet crosscheck --groups nation, --groups grids), and "
            "all regions are told apart."
        ),
        "本次运行未要求地区合计（obsnet crosscheck --groups nation、--groups grids），各地区均可相互区分。",
    ),
    "no reconciliation": (
        "No joint best estimate of regions and nation was made (obsnet reconcile).",
        "未作地区与全国总量的协调估计（obsnet reconcile）。",
    ),
    "no sectors": (
        "No attribution to sectors was made (obsnet attribute).",
        "未作部门归因（obsnet attribute）。",
    ),
    "no trends": ("No trends were estimated (obsnet trend).", "未作趋势估计（obsnet trend）。"),
    "uncertainty text": (
        (
            "Errors are one standard deviation. Whether a run fits its own errors is asked before any verdict: "
            "innovations over their stated errors, by source too; a run that does not fit has no verdict. That "
            "the verdict keeps its rates was counted over drawn truths (scripts/calibrate_verdicts.py, "
            "docs/crosscheck.md of the software)."
        ),
        (
            "误差均为一倍标准差。给出结论之前先检验反演与其误差假设是否相符（含分来源），不相符者不作结论。"
            "结论的误报率与检出率经随机真值模拟统计（软件 scripts/calibrate_verdicts.py，docs/crosscheck.md）。"
        ),
    ),
    # what no number here holds
    "limit 1": (
        (
            "Errors that all observations share, such as a bias of a satellite, of a calibration scale or of the "
            "transport, are not in these uncertainties unless they were solved for."
        ),
        "所有观测共有的误差（卫星、标尺或传输模式的系统偏差）除非同时求解，否则不在上述不确定度之内。",
    ),
    "limit 2": (
        (
            "“Consistent” means agreement within the margin, not that an inventory is right; “not testable” is no "
            "fault of an inventory."
        ),
        "“一致”指在容差之内相符，并非证明清单正确；“无法检验”并不表示清单有误。",
    ),
    "limit 3": (
        "Observing one total tells no sectors apart; a split into sectors rests on the assumption stated with it.",
        "仅观测总量无法区分部门；部门拆分取决于所述假设。",
    ),
    "limit 4": (
        (
            "Where inside a cell the flux stands is known from points or a finer prior only; on borders and "
            "coasts totals are as sure as that."
        ),
        "网格内通量的位置仅由点源或更细的先验可知；边界与海岸地区的总量受此限制。",
    ),
    "limit 5": (
        "Totals are those of the boundaries named above; other boundaries give other totals.",
        "总量对应上述所列边界；边界不同，总量亦不同。",
    ),
    "limit 6": (
        "One inversion is one opinion: others' inversions beside it show how far systems differ (obsnet compare).",
        "单一反演仅为一家之言：与其他系统并列方可见系统间差异（obsnet compare）。",
    ),
    "hashes": (
        (
            "The numbers above are those of these files; the inputs of the inversion itself, with their sha256, "
            "versions and seeds, are in the run's run.json."
        ),
        "以上数值取自下列文件；反演自身输入文件的 sha256、软件版本与随机数种子见该次运行的 run.json。",
    ),
    "literature list": (
        (
            "Rodgers & Connor 2003, doi:10.1029/2002JD002299 (kernels). Schuirmann 1987, doi:10.1007/BF01068419 "
            "(equivalence). Benjamini & Hochberg 1995 (false discoveries). Han et al. 2020, "
            "doi:10.5194/acp-20-11371-2020 (provincial inventories of China). Byrne et al. 2023, "
            "doi:10.5194/essd-15-963-2023 (national budgets)."
        ),
        (
            "Rodgers 与 Connor 2003，doi:10.1029/2002JD002299（平均核）；Schuirmann 1987，doi:10.1007/BF01068419"
            "（等效性检验）；Benjamini 与 Hochberg 1995（错误发现率）；Han 等 2020，doi:10.5194/acp-20-11371-2020"
            "（中国分省清单）；Byrne 等 2023，doi:10.5194/essd-15-963-2023（国家收支）。"
        ),
    ),
}


def text(key: str, **values: Any) -> Words:
    """Return a text of the table above, filled in."""
    return filled(_TEXTS[key], **values)
