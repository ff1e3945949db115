"""What an estimate rests on, from the attributes of its posterior file and its table of verdicts, in both languages."""

from __future__ import annotations

from typing import Any

from obsnet.crosscheck.words import Words

__all__ = ["facts"]


def facts(data: Any, table: Any) -> list[tuple[Words, Words]]:
    """Return pairs of what and which.

    Parameters
    ----------
    data : xarray.Dataset
        Posterior file.
    table : pandas.DataFrame
        Of verdicts.
    """
    attrs, made = data.attrs, table.iloc[0]
    number, chi = int(attrs["n_observations"]), float(made["chi_square"])
    unseen, state = int(attrs["n_state_unobserved"]), int(attrs["n_state"])
    low, high, spread = made["chi_square_low"], made["chi_square_high"], (2 / number) ** 0.5
    found = [
        (
            Words("Inventory", "清单"),
            _same(made["inventory_source"]) or Words("no source given", "未注明来源"),
        ),
        (Words("Prior", "先验"), _same(attrs["prior_name"])),
        (Words("Solver", "求解方法"), _same(f"{attrs['solver']}, {attrs['solver_state']}")),
        (Words("Observations", "观测"), _same(f"{number:,}; {attrs['observations_counts']}")),
        (
            Words("Unknowns", "未知量"),
            Words(
                f"{state:,}, of which {unseen:,} nobody sees", f"{state:,} 个，其中 {unseen:,} 个无观测约束"
            ),
        ),
        (
            Words("Degrees of freedom for signal", "信号自由度"),
            _same(f"{float(attrs['degrees_of_freedom_for_signal']):.1f}"),
        ),
        (
            Words("Chi-square per observation", "单位观测卡方"),
            Words(
                f"{chi:.3f} (1 ± {spread:.3f} if errors are as stated; verdicts are given within {low:.2f} to "
                f"{high:.2f})",
                f"{chi:.3f}（若误差属实应为 1 ± {spread:.3f}；在 {low:.2f}–{high:.2f} 内方作结论）",
            ),
        ),
        (
            Words("Not in these uncertainties", "未计入的不确定度"),
            Words(
                "errors that all observations share: a bias of the satellite, of the scale or of the "
                "transport; definitions of the inventory.",
                "所有观测共有的误差：卫星、标尺或传输模式的系统偏差；清单口径差异。",
            ),
        ),
        (
            Words("Boundaries", "边界"),
            _same(made["region_source"]) or Words("not stated in the posterior file", "后验文件未说明"),
        ),
    ]
    for name, what in (
        ("checks", Words("The run's own checks", "反演自检")),
        ("shares", Words("Where a cell's flux is", "网格通量的归属")),
    ):
        if attrs.get(name):
            found.append((what, _same("; ".join(str(attrs[name]).splitlines()))))
    return found


def _same(text: Any) -> Words | None:
    """Return a text of a file, which is the same in both languages; None for none."""
    return Words(str(text), str(text)) if str(text) else None
