"""What several rooms of the ground floor need."""

import pytest

from obsnet.drawing import fonts


@pytest.fixture
def no_fonts(monkeypatch):
    """A machine with DejaVu only."""
    from matplotlib import font_manager

    fonts.chinese_font.cache_clear()
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: ["/f/DejaVuSans.ttf"])
    monkeypatch.setattr(fonts, "_PACKAGES", ())
    yield monkeypatch
    fonts.chinese_font.cache_clear()
