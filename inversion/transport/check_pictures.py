"""The table and the pictures of the honesty tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from inversion.transport.check import Row
from obsnet.store import atomic_path, write_text

__all__ = ["write_report"]


def write_report(rows: Sequence[Row], out: Path) -> list[Path]:
    """Write ``check.md`` and one picture a kind of test.

    Parameters
    ----------
    rows : sequence of Row
        From `inversion.transport.check.run_checks`.
    out : path
        Folder.

    Returns
    -------
    list of Path
        What was written.
    """
    lines = ["| test | measured | accepted | unit | passed | how |", "|---|---|---|---|---|---|"]
    for row in rows:
        limit = "informs" if row.passed is None else f"{row.accepted:.3g}"
        passed = {True: "yes", False: "**no**", None: ""}[row.passed]
        lines.append(f"| {row.test} | {row.measured:.3g} | {limit} | {row.unit} | {passed} | {row.detail} |")
    write_text(out / "check.md", "\n".join(lines) + "\n")
    written = [out / "check.md"]
    drawings: dict[str, tuple[str, Callable[[Any, list[Row]], None]]] = {
        "layers": ("well_mixed.png", _layers),
        "hours": ("stilt_hours.png", _hours),
        "maps": ("stilt_maps.png", _maps),
        "parcels": ("mptrac.png", _parcels),
    }
    for kind, (name, draw) in drawings.items():
        chosen = [row for row in rows if row.series.get("kind") == kind]
        if chosen:
            written.append(_picture(out / name, draw, chosen))
    return written


def _picture(path: Path, draw: Callable[[Any, list[Row]], None], rows: list[Row]) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    draw(figure, rows)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    return path


def _layers(figure: Any, rows: list[Row]) -> None:
    axes = figure.subplots(1, len(rows), sharey=True, squeeze=False)[0]
    for ax, row in zip(axes, rows, strict=True):
        ratio, error = 100 * row.series["ratio"], 100 * row.series["error"]
        height = (np.arange(ratio.size) + 0.5) / ratio.size
        ax.axvspan(-3, 3, color="0.92")
        ax.axvline(0, color="0.6", lw=0.8)
        ax.errorbar(ratio, height, xerr=3 * error, fmt="o", ms=3, lw=0.8, color="C0")
        ax.set_title(row.series["name"], fontsize=9)
        ax.set_xlim(-9, 9)
        ax.set_xlabel("excess, %")
    axes[0].set_ylabel("height / boundary-layer height")
    figure.suptitle(
        "Particles that begin evenly mixed in mass: excess per layer (bars 3 sigma, grey 3 %)", fontsize=10
    )


def _hours(figure: Any, rows: list[Row]) -> None:
    ax = figure.subplots()
    names = {
        "100": "STILT, 100 particles",
        "100_rep2": "STILT, 100, again",
        "1000": "STILT, 1000",
        "2000": "STILT, 2000",
    }
    series = rows[0].series
    hours = np.arange(1, 25)
    for (key, label), color in zip(names.items(), ("0.8", "0.8", "0.5", "0.0"), strict=True):
        ax.plot(hours, series[key][::-1], color=color, label=label)
    ax.plot(hours, series["ours"][::-1], color="C3", label="this model, 2000")
    ax.set(
        xlabel="hours before the observation",
        ylabel="sensitivity, ppm / (umol m-2 s-1)",
        xlim=(1, 24),
        ylim=(0, None),
    )
    ax.legend(fontsize=8)
    ax.set_title("The same meteorology, mixing height and receptor", fontsize=10)


def _maps(figure: Any, rows: list[Row]) -> None:
    from matplotlib.colors import LogNorm

    panels = figure.subplots(1, 2, sharey=True)
    picture = None
    for ax, name, title in zip(panels, ("ours", "STILT"), ("this model", "STILT"), strict=True):
        values = np.ma.masked_less(rows[0].series[name], 1e-5)
        picture = ax.imshow(
            values, origin="lower", extent=(106, 124, 31, 44), norm=LogNorm(1e-4, 0.5), aspect=1.3
        )
        ax.plot(116.4, 39.9, "k*", ms=8)
        ax.set(title=title, xlabel="longitude, degrees east", xlim=(107, 119), ylim=(38, 44))
    panels[0].set_ylabel("latitude, degrees north")
    figure.colorbar(picture, ax=panels, shrink=0.7, label="24 h, per 0.5 degree cell: ppm / (umol m-2 s-1)")


def _parcels(figure: Any, rows: list[Row]) -> None:
    ax = figure.subplots()
    series = rows[0].series
    ax.plot(series["rx"] / 1000, series["ry"] / 1000, ".", ms=3, color="0.5", label="MPTRAC")
    ax.plot(series["x"] / 1000, series["y"] / 1000, ".", ms=2, color="C3", label="this model, mean wind")
    ax.set(xlabel="easting, km", ylabel="northing, km", title="1000 parcels after 2 h in real ERA5 winds")
    ax.set_aspect("equal")
    ax.legend()
