"""Tables of the diagnostics page, each with a title, what it says, a head and rows; words as (English, Chinese)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from obsnet.constants import SECONDS_PER_YEAR, species

__all__ = ["all_tables", "solved_sectors"]

Words = tuple[str, str]
Table = dict[str, Any]
_BEFORE, _AFTER = ("before", "前"), ("after", "后")
_FIT = [("bias before", "先验偏差"), _AFTER, ("rmse before", "先验均方根误差"), _AFTER]


def all_tables(
    data: Any, evaluation: pa.Table | None = None, ensemble: Any = None, left: pa.Table | None = None
) -> list[Table]:
    """Return the tables of an inversion.

    Parameters
    ----------
    data : xarray.Dataset
        Posterior contract.
    evaluation, left : pyarrow.Table, optional
        See `inversion.case.inputs.evaluation.evaluate` and `left_out`.
    ensemble : xarray.Dataset, optional
        See `inversion.case.ensemble.ensemble_dataset`.

    Returns
    -------
    list of dict
        ``title``, ``text``, ``head``, ``rows``.
    """
    tables = [_sources(data), _components(data)]
    if len(solved_sectors(data)) > 1:
        tables.append(_separation(data))
    tables.append(_regions(data))
    if "error_parameter" in data.coords:
        tables.append(_errors(data))
    if left is not None:
        tables.append(_left(left))
    if evaluation is not None:
        tables.append(_evaluation(evaluation))
    if ensemble is not None:
        tables.append(_ensemble(data, ensemble))
    return tables


def solved_sectors(data: Any) -> list[str]:
    """Return the sectors that were solved."""
    spread = data["region_total_prior_uncertainty"]
    return [str(s) for s in data["sector"].values if float(spread.sel(sector=s).max()) > 0]


def _table(title: Words, text: Words, head: list[Words], rows: list[list[str]]) -> Table:
    return {"title": title, "text": text, "head": head, "rows": rows}


def _number(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "–"


def _sources(data: Any) -> Table:
    keys = (
        "bias_prior",
        "bias_posterior",
        "rmse_prior",
        "rmse_posterior",
        "error_assumed",
        "error_suggested",
    )
    rows = [
        [
            str(name),
            f"{int(data['source_count'][i])}",
            f"{float(data['source_dofs'][i]):.2f}",
            *(_number(float(data[f"source_{k}"][i])) for k in keys),
            f"{float(data['source_residual_chi_square'][i]):.2f}",
        ]
        for i, name in enumerate(data["source"].values)
    ]
    text = (
        (
            "Information is in degrees of freedom for signal; bias and rmse are observation minus model. The suggested "
            "error is what innovations and residuals together say of the assumed one (Desroziers et al. 2005)."
        ),
        "信息量以信号自由度计；偏差与均方根误差为观测减模拟。“建议误差”由新息与残差共同估计（Desroziers 等，2005）。",
    )
    head = [("source", "来源"), ("n", "观测数"), ("information", "信息量"), *_FIT]
    head += [("error assumed", "假定误差"), ("suggested", "建议误差"), ("residual² / R", "残差²／R")]
    return _table(("Fit by source", "各来源的拟合"), text, head, rows)


def _components(data: Any) -> Table:
    rows = [
        [str(name), f"{int(data['state_size'][i])}", f"{float(data['state_dofs'][i]):.2f}"]
        for i, name in enumerate(data["component"].values)
    ]
    text = (
        "How many independent numbers of each part of the state the observations determine.",
        "观测在状态向量各部分能确定多少个独立的数。",
    )
    head = [("component", "分量"), ("unknowns", "未知数"), ("information", "信息量")]
    return _table(("Information by component", "各分量的信息量"), text, head, rows)


def _separation(data: Any) -> Table:
    solved = solved_sectors(data)
    index = [list(data["sector"].values).index(s) for s in solved]
    rows = [
        [
            name,
            *(f"{float(data['sector_response'][i, j]):.2f}" for j in index),
            *(f"{float(data['sector_correlation'][i, j]):.2f}" for j in index),
        ]
        for name, i in zip(solved, index, strict=True)
    ]
    head = [("total of", "总量")]
    head += [(f"answers to {s}", f"对 {s} 的响应") for s in solved]
    head += [(f"correlation with {s}", f"与 {s} 的相关") for s in solved]
    text = (
        (
            "A total should answer to its own truth (1) and not to another's (0). Where it answers to another, or its "
            "error is strongly correlated with another's, the observations see only the sum."
        ),
        "总量应只响应自身的真实变化（1），而不响应其他分量（0）。若响应其他分量，或误差强相关，则观测只能约束两者之和。",
    )
    return _table(("Can the components be told apart?", "各分量能否区分？"), text, head, rows)


def _regions(data: Any) -> Table:
    rows = []
    for sector in data["sector"].values:
        part = data.sel(sector=sector).isel(period=0)
        for r in np.argsort(-np.abs(np.asarray(part["region_total_mass_prior"]))):
            prior, after = (float(part[f"region_total_mass{k}"][r]) for k in ("_prior", ""))
            spread = [float(part[f"region_total_mass{k}_uncertainty"][r]) for k in ("_prior", "")]
            if spread[0] == 0.0:
                continue
            cells = [f"{prior:.1f} ± {spread[0]:.1f}", f"{after:.1f} ± {spread[1]:.1f}"]
            cells += [f"{1 - spread[1] / spread[0]:.0%}", f"{float(part['region_response'][r]):.2f}"]
            rows.append([f"{sector}: {data['region_label'].values[r]}", *cells])
    head = [
        ("total, first period", "总量（第一时段）"),
        ("prior, Mt/yr", "先验"),
        ("posterior, Mt/yr", "后验"),
    ]
    head += [("error reduction", "误差减少"), ("response", "响应")]
    text = (
        "Response is the share of a true change of the total that the posterior follows.",
        "“响应”是后验跟随总量真实变化的比例。",
    )
    return _table(("Region totals", "区域总量"), text, head, rows)


def _errors(data: Any) -> Table:
    rows = [
        [
            str(name),
            f"{float(data['error_assumed'][i]):.3g}",
            f"{float(data['error_estimated'][i]):.3g}",
            f"± {float(data['error_relative_error'][i]):.0%}"
            if data["error_determined"][i]
            else "not determined",
        ]
        for i, name in enumerate(data["error_parameter"].values)
    ]
    attrs = data.attrs
    gain = float(attrs["log_likelihood_estimated"]) - float(attrs["log_likelihood_assumed"])
    used, n = attrs["likelihood_used"] == "yes", attrs["likelihood_observations"]
    text = (
        (
            f"{attrs['likelihood'].capitalize()} maximum likelihood of {n} observations; the log likelihood rises by "
            f"{gain:.1f}. The inversion uses {'these' if used else 'the assumed ones'}."
        ),
        (
            f"由 {n} 个观测作{'限制性' if attrs['likelihood'] == 'restricted' else ''}最大似然估计，"
            f"对数似然增加 {gain:.1f}；反演采用{'估计值' if used else '假定值'}。"
        ),
    )
    head = [("key of [invert]", "配置项"), ("assumed", "假定"), ("estimated", "估计"), ("error", "误差")]
    return _table(("Errors estimated from the observations", "由观测估计的误差参数"), text, head, rows)


def _left(left: pa.Table) -> Table:
    sectors = [c.removeprefix("shift_") for c in left.column_names if c.startswith("shift_")]
    rows = [
        [
            row["platform"],
            str(row["n"]),
            *(f"{row[k]:.3f}" for k in ("bias", "rmse")),
            f"{row['chi_square']:.2f}",
            *(f"{row[f'shift_{s}']:+.1f} (± {row[f'uncertainty_{s}']:.1f})" for s in sectors),
        ]
        for row in left.to_pylist()
    ]
    head = [
        ("left out", "剔除"),
        ("n", "观测数"),
        ("bias", "偏差"),
        ("rmse", "均方根误差"),
        ("chi-square", "卡方"),
    ]
    head += [(f"{s}, Mt/yr", f"{s}，Mt/yr") for s in sectors]
    text = (
        (
            "Each station or satellite predicted from all others (chi-square about 1 where the errors are right), and "
            "how the domain's totals would move without it, with their uncertainty then."
        ),
        "用其余观测预测每个站点或卫星（误差假定正确时卡方约为 1）；以及剔除它后全域总量的变化与不确定度。",
    )
    return _table(("Without each station or satellite", "逐一剔除站点或卫星"), text, head, rows)


def _evaluation(evaluation: pa.Table) -> Table:
    keys = [f"{k}_{when}" for k in ("bias", "rmse", "chi_square") for when in ("prior", "posterior")]
    rows = [
        [f"{r['platform']} {r['season']}", str(r["n"]), *(f"{r[k]:.3f}" for k in keys)]
        for r in evaluation.to_pylist()
    ]
    head = [("withheld", "留出"), ("n", "观测数"), *_FIT, ("chi-square before", "先验卡方"), _AFTER]
    text = (
        "Observations that the inversion has not seen, against what it predicts for them, by site and season.",
        "反演未使用的观测与其预测值之比较，按站点与季节。",
    )
    return _table(("Withheld observations", "留出观测的检验"), text, head, rows)


def _ensemble(data: Any, ensemble: Any) -> Table:
    """Return the domain's total of each sector by member, in the first period."""
    gas = species(str(data["flux"].attrs["substance"]))
    mass = gas.molar_mass * SECONDS_PER_YEAR * 1e-9
    sector = ensemble["total_sector"].values.astype(str)
    first = ensemble["total_period"].values == 0
    solved = solved_sectors(data)
    means = {s: mass * ensemble["member_total"].values[:, (sector == s) & first].sum(axis=1) for s in solved}
    rows = [
        [str(name), str(axis), *(f"{means[s][i]:.1f} ({means[s][i] - means[s][0]:+.1f})" for s in solved)]
        for i, (name, axis) in enumerate(
            zip(ensemble["member"].values, ensemble["member_axis"].values, strict=True)
        )
    ]
    head = [("member", "成员"), ("varies", "变化项")]
    head += [(f"{s}, Mt/yr (against base)", f"{s}，Mt/yr（与基准之差）") for s in solved]
    text = (
        "The same question with something else assumed. What members differ by is in the uncertainties above.",
        "在不同假定下回答同一问题；成员间的差异已计入上面的不确定度。",
    )
    return _table(("Ensemble", "集合"), text, head, rows)
