"""Reports of one small run, made once for all tests of the page, with every text that stands in a picture."""

from types import SimpleNamespace

import pytest

from tests.obsnet.report.synthetic import folder


@pytest.fixture(scope="session", params=["en", "zh"])
def made(request, tmp_path_factory):
    """A report by the command: ``language, folder, html, drawn`` (texts of the pictures)."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from obsnet.commands.report import report
    from tests.commands import call

    drawn = []
    save = Figure.savefig

    def saved(figure, *args, **kwargs):
        figure.canvas.draw()
        drawn.extend(t.get_text() for t in figure.findobj(Text) if t.get_visible())
        save(figure, *args, **kwargs)

    place = folder(tmp_path_factory.mktemp("report") / request.param)
    patch = pytest.MonkeyPatch()
    patch.setattr(Figure, "savefig", saved)
    call(report, place, "--language", request.param, "--format", "csv")
    patch.undo()
    html = (place / "report.html").read_text(encoding="utf-8")
    return SimpleNamespace(language=request.param, folder=place, html=html, drawn=drawn)
