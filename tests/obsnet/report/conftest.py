"""Reports of one small run, made once for all tests of the page, with every text that stands in a picture."""

import warnings
from types import SimpleNamespace

import pytest

from obsnet.drawing import fonts
from tests.obsnet.report.synthetic import folder


@pytest.fixture(scope="session", params=["en", "zh"])
def made(request, tmp_path_factory):
    """A report by the command: ``language, folder, html, drawn`` (texts of the pictures).

    It is made with the font that obsnet is installed with and no other, and without a single empty box.
    """
    from matplotlib import font_manager
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    from obsnet.commands.report import report
    from tests.commands import call

    drawn = []
    draw = FigureCanvasAgg.draw

    def drawing(canvas):
        draw(canvas)
        drawn.extend(t.get_text() for t in canvas.figure.findobj(Text) if t.get_visible())

    place = folder(tmp_path_factory.mktemp("report") / request.param)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph .* missing")
        patch.setattr(FigureCanvasAgg, "draw", drawing)
        patch.setattr(font_manager, "findSystemFonts", list)
        patch.setattr(fonts, "_PACKAGES", fonts.SHIPPED)
        fonts.chinese_font.cache_clear()
        call(report, place, "--language", request.param, "--format", "csv")
    fonts.chinese_font.cache_clear()
    html = (place / "report.html").read_text(encoding="utf-8")
    return SimpleNamespace(language=request.param, folder=place, html=html, drawn=drawn)
