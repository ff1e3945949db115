"""The command ``obsnet retrieve``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from obsnet.command import Shown, command

if TYPE_CHECKING:
    from obsnet.work.work import Work
    from retrieval.fits.options import RetrieveTable
    from retrieval.fits.run import RetrieveSummary

__all__ = ["retrieve"]


@command("retrieval.fits.options:RetrieveTable", work=True)
def retrieve(options: RetrieveTable, work: Work) -> Shown:
    """Fit columns to spectra of GOSAT, OCO or from the ground, under a clear sky.

    Without --fit-layer there is no scattering in the model: columns of hazy or cloudy soundings are off by ppm to tens
    of ppm.
    Writes an observation store, all that was fitted as netCDF, and pictures; a run that was killed goes on.
    """
    from retrieval.fits.run import run_retrieve

    summary = run_retrieve(options, work)
    data = {
        "files": summary.files,
        "soundings": summary.soundings,
        "assumptions": summary.assumptions,
        "written": [str(p) for p in summary.written],
    }
    notes = [f"note: {n}" for n in summary.notes]
    return Shown(data, _lines(summary), notes, failed=len(summary.bad))


def _lines(summary: RetrieveSummary) -> Iterator[str]:
    for name, text in summary.assumptions.items():
        yield f"{name.replace('_', ' ')}: {text}"
    for s in summary.soundings:
        yield f"{s['sounding']} {s['time']}: {_sounding(s)}"
    for f in summary.files:
        if f["status"] == "done":
            good = ", ".join(f"{n} {gas} for use" for gas, n in f["good"].items())
            yield f"{f['file']}: {f['fitted']} of {f['soundings']} soundings fitted{', ' if good else ''}{good}"
        else:
            yield f"{f['file']}: {f['status']}"
    for path in summary.written:
        yield f"wrote {path}"


def _sounding(s: dict[str, Any]) -> str:
    if "chi2" not in s:
        return f"not fitted: {s['status']}"
    parts = [s["outcome"].replace("_", " ")]
    for gas in ("co2", "ch4", "n2o"):
        if f"x{gas}" in s:
            x = s[f"x{gas}"]
            parts.append(
                f"X{gas.upper()} {x['value']:.2f} ± {x['uncertainty']:.2f} {x['unit']} (noise {x['noise']:.2f}, "
                f"smoothing {x['smoothing']:.2f}, interference {x['interference']:.2f})"
            )
    if "surface_pressure" in s:
        parts.append(
            f"surface {s['surface_pressure']:.1f} hPa ({s['surface_pressure'] - s['surface_pressure_met']:+.1f})"
        )
    if "layer" in s:
        x = s["layer"]
        parts.append(
            f"layer at {x['height']:.2f} of the surface pressure, depth {x['depth']:.3f} ± {x['depth_uncertainty']:.3f}"
            + (" (below zero: none in nature)" if x["depth"] < 0.0 else "")
        )
    parts.append("chi2 " + " ".join(f"{n} {v:.2f}" for n, v in s["chi2"].items()))
    parts.append("residual " + " ".join(f"{n} {100 * v:.2f} %" for n, v in s["residual"].items()))
    if s["cloudy"]:
        parts.append("turned down by the screen")
    if s["rejected"]:
        parts.append(f"rejected by its producer: {s['rejected']}")
    if s["channels_left_out"]:
        parts.append("left out " + ", ".join(f"{n} {w}" for w, n in s["channels_left_out"].items()))
    return "; ".join(parts)
