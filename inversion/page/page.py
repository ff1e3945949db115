"""The diagnostics page: whether the inversion fits, whether its errors are right, where its information is from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from inversion.errors.likelihood import LikelihoodSurface
from inversion.page.pictures import all_pictures
from inversion.page.tables import all_tables, solved_sectors
from obsnet.atomic import write_text
from obsnet.crosscheck.compared.fit import chi_square_bounds

__all__ = ["write_page"]

Words = tuple[str, str]
_TEMPLATES = Path(__file__).parent / "templates"


def write_page(
    path: Path,
    data: Any,
    fit: pa.Table,
    evaluation: pa.Table | None = None,
    surface: LikelihoodSurface | None = None,
    ensemble: Any = None,
    left: pa.Table | None = None,
) -> Path:
    """Write a self-contained page of an inversion's diagnostics.

    Parameters
    ----------
    path : Path
        HTML file.
    data : xarray.Dataset
        Posterior contract.
    fit : pyarrow.Table
        See `inversion.case.outputs.posterior_file.fit_table`.
    evaluation : pyarrow.Table, optional
        See `inversion.case.inputs.evaluation.evaluate`.
    surface : LikelihoodSurface, optional
        See `inversion.errors.likelihood`.
    ensemble : xarray.Dataset, optional
        See `inversion.case.ensemble.ensemble_dataset`.
    left : pyarrow.Table, optional
        See `inversion.case.inputs.evaluation.left_out`.

    Returns
    -------
    Path
        Of the page: no script, no reference to anything outside, every text escaped.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    text = environment.get_template("inversion.html.j2").render(
        title=str(data.attrs["title"]),
        failed=_failed(data),
        notes=_notes(data),
        facts=_facts(data),
        tables=all_tables(data, evaluation, ensemble, left),
        pictures=all_pictures(data, fit, surface),
    )
    write_text(path, text)
    return path


def _facts(data: Any) -> list[tuple[Words, str]]:
    attrs = data.attrs
    counts = json.loads(attrs["observations_counts"])
    state = json.loads(attrs["solver_state"])
    left = ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in counts.items() if k != "used" and v)
    n = int(attrs["n_observations"])
    facts = [
        (("Prior", "先验"), str(attrs["prior_name"])),
        (("Observations", "观测"), f"{n} used" + (f"; left out: {left}" if left else "")),
        (
            ("Unknowns", "未知数"),
            f"{attrs['n_state']}, of which {attrs['n_state_unobserved']} nobody observed",
        ),
        (
            ("Solver", "求解器"),
            f"{attrs['solver']} ({', '.join(f'{k} {_short(v)}' for k, v in state.items())})",
        ),
        (
            ("Chi-square per observation", "单位观测卡方"),
            f"{attrs['chi_square']:.3f}, expected 1 ± {np.sqrt(2 / n):.3f}",
        ),
        (("Degrees of freedom for signal", "信号自由度"), f"{attrs['degrees_of_freedom_for_signal']:.1f}"),
    ]
    if "basis" in attrs:
        text = (
            f"{attrs['basis']}, {attrs['basis_unknowns']} unknowns; {float(attrs['basis_unresolved']):.1%} of the "
            "prior's variance in the observations is finer and counted as aggregation error"
        )
        facts.insert(3, (("Basis", "基区域"), text))
    return facts


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _failed(data: Any) -> bool:
    """Tell whether chi-square is beyond what an inventory may be tested with."""
    low, high = chi_square_bounds(int(data.attrs["n_observations"]))
    return not low <= float(data.attrs["chi_square"]) <= high


def _notes(data: Any) -> list[Words]:
    """Return what a reader must know before believing the numbers."""
    attrs = data.attrs
    notes = []
    chi, width = float(attrs["chi_square"]), float(np.sqrt(2 / int(attrs["n_observations"])))
    if abs(chi - 1) > 3 * width:
        what = ("too small", "偏小") if chi > 1 else ("too large", "偏大")
        notes.append(
            (
                (
                    f"Chi-square is {chi:.2f}, expected 1 ± {width:.2f}: the assumed errors are {what[0]}, and so are "
                    "the uncertainties below."
                ),
                f"卡方为 {chi:.2f}（期望 1 ± {width:.2f}）：假定的误差{what[1]}，下列不确定度也因此{what[1]}。",
            )
        )
    apart = str(attrs.get("sectors_not_told_apart", ""))
    if apart:
        notes.append((apart, "观测只能约束上述分量之和，不能把它们分开。"))
    blind = ", ".join(
        f"{sector}: {int((np.asarray(data['region_response'].sel(sector=sector)) < 0.05).all(axis=1).sum())}"
        for sector in solved_sectors(data)
    )
    count = data.sizes["region"]
    notes.append(
        (
            f"Regions whose total answers to less than 5 % of a true change keep their prior: {blind} of {count}.",
            f"总量对真实变化的响应不足 5% 的区域保持先验值；在 {count} 个区域中为 {blind}。",
        )
    )
    return notes
