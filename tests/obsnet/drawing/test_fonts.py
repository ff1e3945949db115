"""Fonts with Chinese characters: on the machine, in a package, or said to be missing."""

from obsnet.drawing import fonts


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
