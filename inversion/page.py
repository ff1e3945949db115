"""The diagnostics page: whether the inversion fits, whether its errors are right, where its information is from."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from inversion.likelihood import LikelihoodSurface
from obsnet.constants import SECONDS_PER_YEAR, species
from obsnet.store import write_text

__all__ = ["write_page"]

Floats = npt.NDArray[np.float64]
_TEMPLATES = Path(__file__).parent / "templates"
_MOST_STATIONS = 6


def write_page(
    path: Path,
    data: Any,
    fit: pa.Table,
    evaluation: pa.Table | None = None,
    surface: LikelihoodSurface | None = None,
    ensemble: Any = None,
) -> Path:
    """Write a self-contained page of an inversion's diagnostics.

    Parameters
    ----------
    path : Path
        HTML file.
    data : xarray.Dataset
        Posterior contract.
    fit : pyarrow.Table
        See `inversion.outputs.fit_table`.
    evaluation : pyarrow.Table, optional
        See `inversion.evaluation.evaluate`.
    surface : LikelihoodSurface, optional
        See `inversion.likelihood`.
    ensemble : xarray.Dataset, optional
        See `inversion.ensemble.ensemble_dataset`.

    Returns
    -------
    Path
        Of the page: no script, no reference to anything outside, every text escaped.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    tables = [_source_table(data), _component_table(data), _region_table(data)]
    if len(_solved(data)) > 1:
        tables.insert(2, _separation_table(data))
    if "error_parameter" in data.coords:
        tables.append(_error_table(data))
    if evaluation is not None:
        tables.append(_evaluation_table(evaluation))
    if ensemble is not None:
        tables.append(_ensemble_table(data, ensemble))
    text = environment.get_template("inversion.html.j2").render(
        title=str(data.attrs["title"]),
        notes=_notes(data),
        facts=_facts(data),
        tables=tables,
        pictures=_pictures(data, fit, surface),
    )
    write_text(path, text)
    return path


def _facts(data: Any) -> list[tuple[str, str]]:
    attrs = data.attrs
    counts = json.loads(attrs["observations_counts"])
    state = json.loads(attrs["solver_state"])
    left = ", ".join(f"{v} {k.replace('_', ' ')}" for k, v in counts.items() if k != "used" and v)
    n = int(attrs["n_observations"])
    return [
        ("Prior", str(attrs["prior_name"])),
        ("Observations", f"{n} used" + (f"; left out: {left}" if left else "")),
        ("Unknowns", f"{attrs['n_state']}, of which {attrs['n_state_unobserved']} nobody observed"),
        *_basis_fact(attrs),
        ("Solver", f"{attrs['solver']} ({', '.join(f'{k} {v}' for k, v in state.items())})"),
        ("Chi-square per observation", f"{attrs['chi_square']:.3f}, expected 1 ± {np.sqrt(2 / n):.3f}"),
        ("Degrees of freedom for signal", f"{attrs['degrees_of_freedom_for_signal']:.1f}"),
    ]


def _basis_fact(attrs: Any) -> list[tuple[str, str]]:
    if "basis" not in attrs:
        return []
    text = (
        f"{attrs['basis']}, {attrs['basis_unknowns']} unknowns; {float(attrs['basis_unresolved']):.1%} of the prior's "
        "variance in the observations is finer and counted as aggregation error"
    )
    return [("Basis", text)]


def _notes(data: Any) -> list[str]:
    """Return what a reader must know before believing the numbers."""
    attrs, notes = data.attrs, []
    n = int(attrs["n_observations"])
    chi, width = float(attrs["chi_square"]), float(np.sqrt(2 / n))
    if abs(chi - 1) > 3 * width:
        what = "too small" if chi > 1 else "too large"
        notes.append(
            f"Chi-square is {chi:.2f}, expected 1 ± {width:.2f}: the assumed errors are {what}, and so are the "
            "uncertainties below."
        )
    blind = [
        f"{sector}: {int((np.asarray(data['region_response'].sel(sector=sector)) < 0.05).all(axis=1).sum())}"
        for sector in data["sector"].values
    ]
    notes.append(
        "Regions whose total answers to less than 5 % of a true change keep their prior; they are "
        + ", ".join(blind)
        + f" of {data.sizes['region']}."
    )
    return notes


def _source_table(data: Any) -> dict[str, Any]:
    rows = [
        [
            str(name),
            f"{int(data['source_count'][i])}",
            f"{float(data['source_dofs'][i]):.2f}",
            *(
                f"{float(data[f'source_{k}_{w}'][i]):.3f}"
                for k in ("bias", "rmse")
                for w in ("prior", "posterior")
            ),
            f"{float(data['source_residual_chi_square'][i]):.2f}",
        ]
        for i, name in enumerate(data["source"].values)
    ]
    head = ["source", "n", "information", "bias before", "after", "rmse before", "after", "residual² / R"]
    text = "Information is in degrees of freedom for signal; bias and rmse are observation minus model."
    return {"title": "Fit by source", "text": text, "head": head, "rows": rows}


def _component_table(data: Any) -> dict[str, Any]:
    rows = [
        [str(name), f"{int(data['state_size'][i])}", f"{float(data['state_dofs'][i]):.2f}"]
        for i, name in enumerate(data["component"].values)
    ]
    text = "How many independent numbers of each part of the state the observations determine."
    return {
        "title": "Information by component",
        "text": text,
        "head": ["component", "unknowns", "information"],
        "rows": rows,
    }


def _solved(data: Any) -> list[str]:
    """Return the sectors that were solved."""
    spread = data["region_total_prior_uncertainty"]
    return [str(s) for s in data["sector"].values if float(spread.sel(sector=s).max()) > 0]


def _separation_table(data: Any) -> dict[str, Any]:
    """Return what the domain's total of each component answers to: its own truth, and that of the others."""
    sector = data["total_sector"].values.astype(str)
    kernel, covariance = data["total_averaging_kernel"].values, data["total_covariance"].values
    prior = data["total_prior_covariance"].values
    solved = _solved(data)
    rows = []
    for name in solved:
        mine = sector == name
        cells = []
        for other in solved:
            theirs = sector == other
            # a change of the other's total, divided among its regions as the prior doubts them
            share = np.sqrt(np.diagonal(prior)[theirs])
            cells.append(f"{float(kernel[np.ix_(mine, theirs)].sum(axis=0) @ (share / share.sum())):.2f}")
        for other in solved:
            theirs = sector == other
            both = covariance[np.ix_(mine, theirs)].sum()
            own = covariance[np.ix_(mine, mine)].sum() * covariance[np.ix_(theirs, theirs)].sum()
            cells.append(f"{both / np.sqrt(own):.2f}" if own > 0 else "")
        rows.append([name, *cells])
    head = ["total of", *(f"answers to {s}" for s in solved), *(f"correlation with {s}" for s in solved)]
    text = (
        "A total should answer to its own truth (1) and not to another's (0). Where it answers to another, or its "
        "error is strongly correlated with another's, the observations see only the sum."
    )
    return {"title": "Can the components be told apart?", "text": text, "head": head, "rows": rows}


def _region_table(data: Any) -> dict[str, Any]:
    rows = []
    for sector in data["sector"].values:
        part = data.sel(sector=sector).isel(period=0)
        order = np.argsort(-np.abs(np.asarray(part["region_total_mass_prior"])))
        for r in order:
            prior, after = (float(part[f"region_total_mass{k}"][r]) for k in ("_prior", ""))
            spread = [float(part[f"region_total_mass{k}_uncertainty"][r]) for k in ("_prior", "")]
            if spread[0] == 0.0:
                continue
            reduction = 1 - spread[1] / spread[0]
            label = f"{sector}: {data['region_label'].values[r]}"
            cells = [f"{prior:.1f} ± {spread[0]:.1f}", f"{after:.1f} ± {spread[1]:.1f}", f"{reduction:.0%}"]
            rows.append([label, *cells, f"{float(part['region_response'][r]):.2f}"])
    head = ["total, first period", "prior, Mt/yr", "posterior, Mt/yr", "error reduction", "response"]
    text = "Response is the share of a true change of the total that the posterior follows."
    return {"title": "Region totals", "text": text, "head": head, "rows": rows}


def _error_table(data: Any) -> dict[str, Any]:
    """Return assumed errors and what the observations say of them."""
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
    text = (
        f"{attrs['likelihood'].capitalize()} maximum likelihood of {attrs['likelihood_observations']} observations; "
        f"the log likelihood rises by {gain:.1f}. "
        + (
            "The inversion uses these."
            if attrs["likelihood_used"] == "yes"
            else "The inversion uses the assumed ones."
        )
    )
    head = ["key of [invert]", "assumed", "estimated", "error"]
    return {"title": "Errors estimated from the observations", "text": text, "head": head, "rows": rows}


def _evaluation_table(evaluation: pa.Table) -> dict[str, Any]:
    keys = (
        "bias_prior",
        "bias_posterior",
        "rmse_prior",
        "rmse_posterior",
        "chi_square_prior",
        "chi_square_posterior",
    )
    rows = [
        [f"{r['platform']} {r['season']}", str(r["n"]), *(f"{r[k]:.3f}" for k in keys)]
        for r in evaluation.to_pylist()
    ]
    head = ["withheld", "n", "bias before", "after", "rmse before", "after", "chi-square before", "after"]
    text = "Observations that the inversion has not seen, against what it predicts for them."
    return {"title": "Withheld observations", "text": text, "head": head, "rows": rows}


def _ensemble_table(data: Any, ensemble: Any) -> dict[str, Any]:
    """Return the domain's total of each sector by member, in the first period."""
    gas = species(str(data["flux"].attrs["substance"]))
    mass = gas.molar_mass * SECONDS_PER_YEAR * 1e-9
    sector = ensemble["total_sector"].values.astype(str)
    first = ensemble["total_period"].values == 0
    solved = _solved(data)
    means = {s: mass * ensemble["member_total"].values[:, (sector == s) & first].sum(axis=1) for s in solved}
    rows = []
    for i, (name, axis) in enumerate(
        zip(ensemble["member"].values, ensemble["member_axis"].values, strict=True)
    ):
        cells = [f"{means[s][i]:.1f} ({means[s][i] - means[s][0]:+.1f})" for s in solved]
        rows.append([str(name), str(axis), *cells])
    head = ["member", "varies", *(f"{s}, Mt/yr (against base)" for s in solved)]
    text = (
        "The same question with something else assumed. What members differ by is in the uncertainties above."
    )
    return {"title": "Ensemble", "text": text, "head": head, "rows": rows}


def _pictures(data: Any, fit: pa.Table, surface: LikelihoodSurface | None) -> list[dict[str, str]]:
    from obsnet.report.fonts import use_fonts

    use_fonts()
    columns = {n: fit[n].to_numpy(zero_copy_only=False) for n in fit.column_names}
    made = [
        (
            "Fit before and after",
            _fit_picture(columns, species(str(data["flux"].attrs["substance"])).unit_name),
            "Observed (black), simulated with prior (grey) and posterior (blue), where most observations are.",
        ),
        (
            "Normalised residuals",
            _residual_picture(columns),
            "Differences over the assumed observation error, before and after, with the normal distribution.",
        ),
        (
            "Where the information came from",
            _information_picture(data, columns),
            "Degrees of freedom for signal of each observation (left), response of each region's total (right).",
        ),
    ]
    if surface is not None:
        caption = (
            "Log likelihood of the observations for other sizes of the errors, below its maximum. The cross is what "
            f"was assumed; the maximum (dot) is at {surface.best[0]:.2f} times the prior error and "
            f"{surface.best[1]:.2f} times the observation error."
        )
        made.append(("Are the errors right?", _likelihood_picture(surface), caption))
    return [
        {"title": title, "data": base64.b64encode(picture).decode("ascii"), "caption": caption}
        for title, picture, caption in made
    ]


def _fit_picture(columns: dict[str, Any], unit: str) -> bytes:
    from matplotlib.figure import Figure

    from obsnet.report.maps import figure_png

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

    from obsnet.report.maps import figure_png

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
    from matplotlib.figure import Figure

    from obsnet.report.maps import figure_png

    figure = Figure(figsize=(6, 4.2), layout="constrained")
    ax = figure.subplots()
    below = surface.log_evidence - surface.log_evidence.max()
    levels = [-1000, -300, -100, -30, -10, -3, -1, 0]
    drawn = ax.contourf(
        surface.observation_factor, surface.prior_factor, np.maximum(below, -999), levels, cmap="viridis"
    )
    figure.colorbar(drawn, ax=ax, label="log likelihood below its maximum")
    ax.plot(1, 1, "x", color="white", markersize=10, markeredgewidth=2)
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

    from obsnet.report.maps import figure_png

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
    left.set_aspect(1.0 / np.cos(np.deg2rad(np.mean(columns["latitude"]))))
    figure.colorbar(points, ax=left, label="information of an observation", shrink=0.8)
    solved = _solved(data)
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
