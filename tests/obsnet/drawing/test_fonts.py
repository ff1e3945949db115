"""Fonts with Chinese characters: of a package, of the machine, or said to be missing."""

import io
import warnings

import numpy as np

from obsnet.drawing import fonts
from obsnet.drawing.figures import figure_png, subplots


def test_fonts(no_fonts):
    from matplotlib import font_manager

    assert fonts.chinese_font() is None
    assert fonts.use_fonts() is False
    fonts.chinese_font.cache_clear()
    no_fonts.setattr(font_manager, "findSystemFonts", lambda: ["/f/DejaVuSans.ttf", "/f/wqy-microhei.ttc"])
    assert fonts.chinese_font() == "/f/wqy-microhei.ttc"


def test_a_package_of_fonts_is_found_and_not_imported(no_fonts, tmp_path):
    (tmp_path / "some_fonts").mkdir()
    (tmp_path / "some_fonts" / "__init__.py").write_text("raise RuntimeError")
    (tmp_path / "some_fonts" / "NotoSansSC-Regular.otf").touch()
    no_fonts.syspath_prepend(tmp_path)
    no_fonts.setattr(fonts, "_PACKAGES", ("some_fonts", "not_there"))
    assert fonts.chinese_font() == str(tmp_path / "some_fonts" / "NotoSansSC-Regular.otf")


def test_what_obsnet_is_installed_with_draws_chinese_on_a_machine_without_fonts(no_fonts):
    # Names of provinces, rare characters of counties, and marks that only the Latin font has.
    from matplotlib.ft2font import FT2Font
    from PIL import Image

    from obsnet.regions import PROVINCES

    no_fonts.setattr(fonts, "_PACKAGES", fonts.SHIPPED)
    assert fonts.missing("zh") == []
    names = "".join(n[2] for n in PROVINCES.values()) + "亳濮漯隰盱眙鄄城岢岚堌崮㟃澽水，。；（）：、％"
    known = FT2Font(fonts.chinese_font()).get_charmap()
    assert [c for c in names if ord(c) not in known] == []

    def picture(text):
        figure, axes = subplots(figsize=(1, 1))
        axes.set_axis_off()
        axes.text(0.5, 0.5, text, size=30)
        return np.asarray(Image.open(io.BytesIO(figure_png(figure, 40))))

    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph")
        drawn = {c: picture(c) for c in "省市−⁻"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        box = picture("\U0010fffe")  # a character that no font has
    assert not any(np.array_equal(p, box) for p in drawn.values())
