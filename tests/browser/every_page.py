"""One page of every kind that the project writes, each by the code that writes it for users."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.browser.pages import Pages
from tests.commands import call

KINDS = ("report, en", "report, zh", "report, failed", "inversion", "admission")
KINDS += tuple(f"{what}, {language}" for what in ("card", "planned") for language in ("en", "zh"))


def write_every_page(place: Path) -> dict[str, Path]:
    """Write the pages below a folder; their files by what they are."""
    reports = Pages.write(place / "reports").folder
    found = {f"report, {name}": reports / name / "report.html" for name in ("en", "zh", "failed")}
    found |= {"inversion": _inversion(place / "case"), "admission": _admission(place / "admission")}
    return found | _plants(place / "plant")


def _inversion(folder: Path) -> Path:
    """Run a case with an ensemble and observations that are held back."""
    from inversion.case.options import InvertOptions
    from inversion.case.run import run_invert
    from tests.inversion.case.files import CASE, write_case
    from tests.inversion.case.inputs.test_evaluation import MORE

    folder.mkdir()
    options = InvertOptions.model_validate(tomllib.loads(CASE + MORE)["invert"])
    run_invert(options, write_case(folder), folder / "run", lambda _line: None)
    return folder / "run" / "inversion.html"


def _admission(folder: Path) -> Path:
    from stations.admission.options import AdmitTable
    from stations.admission.run import admit_stations
    from tests.stations.admission.dossier import write_dossier

    folder.mkdir()
    admit_stations(AdmitTable(stations=[write_dossier(folder)], out=folder))
    return folder / "admission.html"


def _plants(folder: Path) -> dict[str, Path]:
    from retrieval.commands.plants import card, planned
    from tests.retrieval.plants.world import write_plant

    folder.mkdir()
    write_plant(folder)
    given = ("--stack", folder / "stack.csv", "--fuel", folder / "fuel.csv", "--factor-sd", 0.02)
    given += (
        "--utc-offset",
        -6,
        "--year",
        2023,
        "--profile",
        "cycles",
        "--region",
        "Hebei",
        "--activity-sd",
        0.02,
    )
    new = ("--latitude", 38, "--longitude", 110, "--mt-per-year", 3, "--draws", 2, "--winds", "3,6")
    found = {}
    for language in ("en", "zh"):
        out = ("--language", language, "--out", folder / language)
        call(card, folder / "rates.csv", *given, *out)
        (found[f"card, {language}"],) = (folder / language).glob("*.html")
        call(planned, "new", *new, *out)
        (found[f"planned, {language}"],) = (folder / language).glob("*_planned.html")
    return found
