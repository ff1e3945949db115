"""Pages for the browser: whole reports by the command, and one of a run that does not fit its errors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.obsnet.report.synthetic import folder


@dataclass(frozen=True)
class Pages:
    """Reports in a folder."""

    folder: Path

    @classmethod
    def write(cls, place):
        from obsnet.commands.report import report
        from tests.commands import call

        for language in ("en", "zh"):
            call(report, folder(place / language), "--language", language, "--format", "csv")
        call(report, folder(place / "failed", chi_square=3.0, verdict="not testable"), "--format", "csv")
        return cls(place)

    def address(self, name):
        return (self.folder / name / "report.html").as_uri()
