"""Pictures of the diagnostics page; words as (English, Chinese)."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pyarrow as pa

from inversion.errors.likelihood import LikelihoodSurface
from inversion.page.tables import solved_sectors
from obsnet.constants import species

__all__ = ["all_pictures"]

_MOST_STATIONS = 6


def all_pictures(data: Any, fit: pa.Table, surface: LikelihoodSurface | None) -> list[dict[str, Any]]:
    """Return the pictures of an inversion.

    Parameters
    ----------
    data : xarray.Dataset
        Posterior contract.
    fit : pyarrow.Table
        See `inversion.case.outputs.posterior_file.fit_table`.
    surface : LikelihoodSurface or None
        See `inversion.errors.likelihood`.

    Returns
    -------
    list of dict
        ``title``, ``caption``, and ``data``, a PNG in base 64.
    """
    from obsnet.drawing.fonts import use_fonts

    use_fonts()
    columns = {n: fit[n].to_numpy(zero_copy_only=False) for n in fit.column_names}
    made = [
        (
            ("Fit before and after", "反演前后的拟合"),
            _fit_picture(columns, species(str(data["flux"].attrs["substance"])).unit_name),
            (
                "Observed (black), simulated with prior (grey) and posterior (blue), where most observations are.",
                "观测最多处的观测值（黑）、先验模拟（灰）与后验模拟（蓝）。",
            ),
        ),
        (
            ("Normalised residuals", "归一化残差"),
            _residual_picture(columns),
            (
                "Differences over the assumed observation error, before and after, with the normal distribution.",
                "反演前后差值与假定观测误差之比，以及正态分布。",
            ),
        ),
        (
            ("Where the information came from", "信息来自何处"),
            _information_picture(data, columns),
            (
                "Degrees of freedom for signal of each observation (left), response of each region's total (right).",
                "每个观测的信号自由度（左）与各区域总量的响应（右）。",
            ),
        ),
    ]
    if "basis_region" in data:
        caption = (
            "Regions that were solved for in the place of cells; colours only tell neighbours apart.",
            "代替网格求解的区域；颜色仅用于区分相邻区域。",
        )
        made.append((("Basis", "基区域"), _basis_picture(data), caption))
    if surface is not None:
        prior, observation = (f"{v:.2f}" for v in surface.best)
        caption = (
            (
                "Log likelihood of the observations for other sizes of the errors, below its maximum. The cross is "
                f"what was assumed; the maximum (dot) is at {prior} times the prior and {observation} times the "
                "observation error."
            ),
            (
                f"误差取其他大小时观测的对数似然（相对最大值）。十字为假定值；最大值（圆点）在先验误差的 {prior} 倍、"
                f"观测误差的 {observation} 倍处。"
            ),
        )
        made.append((("Are the errors right?", "误差假定是否正确？"), _likelihood_picture(surface), caption))
    return [
        {"title": title, "data": base64.b64encode(picture).decode("ascii"), "caption": caption}
        for title, picture, caption in made
    ]


def _fit_picture(columns: dict[str, Any], unit: str) -> bytes:
    from matplotlib.figure import Figure

    from obsnet.drawing.figures import figure_png

    names, counts = np.unique(columns["platform"].astype(str), return_counts=True)
    chosen = names[np.argsort(-counts, kind="stable")][:_MOST_STATIONS]
    figure = Figure(figsize=(9.5, 1.7 * len(chosen) + 0.4), layout="constrained")
    axes = figure.subplots(len(chosen), 1, squeeze=False)[:, 0]
    for ax, name in zip(axes, chosen, strict=True):
        at = np.flatnonzero(columns["platform"].astype(str) == name)
        at = at[np.argsort(columns["time"][at], kind="stable")]
        time = columns["time"][at]
        ax.plot(time, columns["prior"][at], ".", color="0.65", markersize=4, label="prior")
        ax.plot(time, columns["value"][at], "k.", markersize=4, label="observed")
        ax.plot(time, columns["posterior"][at], ".", color="#2166ac", markersize=4, label="posterior")
        ax.set_title(str(name), loc="left", fontsize=9)
        ax.set_ylabel(unit, fontsize=8)
        ax.tick_params(labelsize=8)
    axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=8, frameon=False, borderpad=0)
    return figure_png(figure)


def _residual_picture(columns: dict[str, Any]) -> bytes:
    from matplotlib.figure import Figure

    from obsnet.drawing.figures import figure_png

    figure = Figure(figsize=(9.5, 3.2), layout="constrained")
    ax = figure.subplots()
    edges = np.linspace(-5, 5, 51)
    for key, colour in (("prior", "0.6"), ("posterior", "#2166ac")):
        z = (columns["value"] - columns[key]) / columns["error"]
        density = np.histogram(np.clip(z, -5, 5), edges)[0] / (z.size * np.diff(edges))
        ax.stairs(
            density,
            edges,
            color=colour,
            fill=True,
            alpha=0.5,
            label=f"{key}: mean {z.mean():.2f}, sd {z.std():.2f}",
        )
    middle = 0.5 * (edges[1:] + edges[:-1])
    ax.plot(middle, np.exp(-0.5 * middle**2) / np.sqrt(2 * np.pi), "k-", linewidth=1)
    ax.set_xlabel("(observation − model) / assumed error; ends hold all beyond")
    ax.legend(frameon=False, fontsize=9)
    return figure_png(figure)


def _likelihood_picture(surface: LikelihoodSurface) -> bytes:
    from matplotlib.colors import BoundaryNorm
    from matplotlib.figure import Figure

    from obsnet.drawing.figures import figure_png

    figure = Figure(figsize=(6, 4.2), layout="constrained")
    ax = figure.subplots()
    below = surface.log_evidence - surface.log_evidence.max()
    levels = [-1000, -300, -100, -30, -10, -3, -1, 0]
    drawn = ax.contourf(
        surface.observation_factor,
        surface.prior_factor,
        np.maximum(below, -999),
        levels,
        cmap="viridis",
        norm=BoundaryNorm(levels, 256),
    )
    figure.colorbar(drawn, ax=ax, label="log likelihood below its maximum")
    ax.plot(1, 1, "x", color="black", markersize=10, markeredgewidth=2)
    ax.plot(surface.best[1], surface.best[0], "o", color="#d73027", markersize=7)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="factor on the observation error",
        ylabel="factor on the prior error",
    )
    for axis, ticks in ((ax.xaxis, (0.5, 1, 2)), (ax.yaxis, (0.25, 0.5, 1, 2, 4))):
        axis.set_ticks(ticks, [f"{t:g}" for t in ticks])
        axis.set_ticks([], minor=True)
    return figure_png(figure)


def _information_picture(data: Any, columns: dict[str, Any]) -> bytes:
    from matplotlib.figure import Figure

    from obsnet.drawing.figures import figure_png

    figure = Figure(figsize=(9.5, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    order = np.argsort(columns["influence"])
    points = left.scatter(
        columns["longitude"][order],
        columns["latitude"][order],
        c=np.maximum(columns["influence"][order], 0.0),
        s=14,
        cmap="viridis",
    )
    left.set(xlabel="longitude", ylabel="latitude")
    left.set_xlim(float(data["lon_bnds"].min()), float(data["lon_bnds"].max()))
    left.set_ylim(float(data["lat_bnds"].min()), float(data["lat_bnds"].max()))
    left.set_aspect(1.0 / np.cos(np.deg2rad(np.mean(columns["latitude"]))))
    figure.colorbar(points, ax=left, label="information of an observation", shrink=0.8)
    solved = solved_sectors(data)
    labels = [str(v) for v in data["region_label"].values]
    best = np.max([np.asarray(data["region_response"].sel(sector=s).isel(period=0)) for s in solved], axis=0)
    shown = np.argsort(best)[-20:]
    height = 0.8 / len(solved)
    for i, sector in enumerate(solved):
        response = np.asarray(data["region_response"].sel(sector=sector).isel(period=0))
        right.barh(
            np.arange(shown.size) + (i - (len(solved) - 1) / 2) * height,
            response[shown],
            height,
            label=str(sector),
        )
    right.set_yticks(np.arange(shown.size), [labels[k] for k in shown], fontsize=7)
    right.set_xlabel("response of the total (1: follows the truth)")
    right.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(solved), frameon=False, fontsize=8)
    return figure_png(figure)


def _basis_picture(data: Any) -> bytes:
    from matplotlib.figure import Figure

    from obsnet.drawing.figures import figure_png

    solved = solved_sectors(data)
    figure = Figure(figsize=(9.5, 3.8), layout="constrained")
    for ax, sector in zip(figure.subplots(1, len(solved), squeeze=False)[0], solved, strict=True):
        label = np.asarray(data["basis_region"].sel(sector=sector))
        colour = np.random.default_rng(0).permutation(label.max() + 1)[label]
        ax.pcolormesh(
            data["lon"], data["lat"], np.where(label < 0, np.nan, colour), cmap="tab20", shading="nearest"
        )
        ax.set_title(f"{sector}: {np.unique(label[label >= 0]).size}", loc="left", fontsize=9)
        ax.set_aspect(1.0 / np.cos(np.deg2rad(float(data["lat"].mean()))))
        ax.tick_params(labelsize=8)
    return figure_png(figure)
