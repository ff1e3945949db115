"""What a report says, before anybody decides how it looks: the page, the annex and the workbook are made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from obsnet.language import Language, Words
from obsnet.report.sections.section import Section
from obsnet.report.words import term

__all__ = ["Content", "facts"]


@dataclass(frozen=True)
class Content:
    """A report.

    Parameters
    ----------
    language : {"en", "zh"}
        Of all of it; `Words` hold both.
    title : str
    notes : sequence of Words
        What the user says a reader must know first.
    remarks : sequence of Words
        What the run and its test say that a reader of verdicts must know.
    summary : sequence of str
        The two-minute summary, a sentence each.
    table : pandas.DataFrame
        Of verdicts, see `obsnet.crosscheck.verdicts.table`.
    pictures : mapping of str to bytes
        PNG by name, see `obsnet.report.pictures.draw`.
    fit : str
        What chi-square says of the run.
    period : str
        Of the flux that is drawn.
    sections : mapping of str to sequence of Section
        By what they are of, in the order of the page: ``bridge, beside, told_apart``, those that other commands left
        (``compare, reconciled, attribution, trends``), ``nowcast, fit, inputs``.
    facts : sequence of (Words, Words)
        What the estimate rests on; a value that is there in English only is a text of the files.
    """

    language: Language
    title: str
    notes: Sequence[Words]
    remarks: Sequence[Words]
    summary: Sequence[str]
    table: Any
    pictures: Mapping[str, bytes]
    fit: str
    period: str
    sections: Mapping[str, Sequence[Section]] = field(default_factory=dict)
    facts: Sequence[tuple[Words, Words]] = field(default=())


_STATE = {
    "converged": Words("converged", "收敛"),
    "iterations": Words("iterations", "迭代次数"),
    "members": Words("members", "成员数"),
    "draws": Words("draws", "抽样数"),
    "chains": Words("chains", "链数"),
    "seed": Words("seed", "随机种子"),
    "used": Words("used", "采用"),
    "flagged": Words("flagged", "质量标记剔除"),
    "without_uncertainty": Words("without uncertainty", "无不确定度"),
    "without_footprint": Words("without footprint", "无足迹"),
    "footprints_without_observation": Words("footprints without observation", "无观测的足迹"),
    "rejected": Words("rejected", "筛除"),
}


def facts(data: Any, table: Any) -> list[tuple[Words, Words]]:
    """Return what the estimate rests on, from the posterior's attributes, and what it was held against.

    Parameters
    ----------
    data : xarray.Dataset
        Posterior file.
    table : pandas.DataFrame
        Of verdicts.
    """
    attrs, made = data.attrs, table.iloc[0]
    number, state = int(attrs["n_observations"]), int(attrs["n_state"])
    unseen, counts = int(attrs["n_state_unobserved"]), _numbers(attrs["observations_counts"])
    spread = (2 / number) ** 0.5
    chi = f"{made['chi_square']:.3f}"
    bounds = [f"{made[f'chi_square_{k}']:.2f}" for k in ("low", "high")]
    steps = _numbers(attrs["solver_state"])
    found = [
        (Words("Inventory", "清单"), _stated(made["inventory_source"])),
        (Words("Prior", "先验"), _stated(attrs["prior_name"])),
        (
            Words("Solver", "求解器"),
            Words(f"{attrs['solver']} ({steps.en})", f"{attrs['solver']}（{steps.zh}）"),
        ),
        (
            Words("Observations", "观测"),
            Words(f"{number:,} ({counts.en})", f"{number:,}（{counts.zh}）"),
        ),
        (
            Words("Unknowns", "未知数"),
            Words(f"{state:,}, of which {unseen:,} nobody sees", f"{state:,}，其中 {unseen:,} 个无观测约束"),
        ),
        (
            Words("Degrees of freedom for signal", "信号自由度"),
            _same(f"{float(attrs['degrees_of_freedom_for_signal']):.1f}"),
        ),
        (
            Words("Chi-square per observation", "单位观测卡方"),
            Words(
                f"{chi} (1 ± {spread:.3f} if errors are as stated; verdicts within {bounds[0]} to {bounds[1]})",
                f"{chi}（误差假设正确时为 1 ± {spread:.3f}；在 {bounds[0]}–{bounds[1]} 内给出结论）",
            ),
        ),
        (Words("Boundaries", "边界"), _stated(made["region_source"])),
    ]
    if "shares" in attrs:
        found.append((Words("Where a cell's flux is", "格点通量的归属"), _lines(attrs["shares"])))
    return found


def _same(text: str) -> Words:
    return Words(text, text)


def _stated(text: Any) -> Words:
    return Words(str(text), "") if str(text) else Words("not stated", "未给出")


def _lines(text: Any) -> Words:
    from obsnet.run_words import in_both

    lines = [in_both(line) for line in str(text).splitlines()]
    return Words("; ".join(t.en for t in lines), "；".join(t.zh or t.en for t in lines))


def _numbers(text: Any) -> Words:
    """Return a JSON object of numbers in words; any other text as it stands."""
    try:
        found = json.loads(str(text))
    except ValueError:
        return _same(str(text))
    if not isinstance(found, dict):
        return _same(str(text))
    shown = {k: _said(v) for k, v in found.items()}
    names = {k: _STATE.get(k, _same(k.replace("_", " "))) for k in found}
    return Words(
        ", ".join(f"{names[k].en} {v.en}" for k, v in shown.items()),
        "，".join(f"{names[k].zh} {v.zh}" for k, v in shown.items()),
    )


def _said(value: Any) -> Words:
    if isinstance(value, bool):
        return term("yes" if value else "no")
    return _same(f"{value:.3g}" if isinstance(value, float) else str(value))
