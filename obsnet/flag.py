"""How a field of a model appears on the command line."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Flag"]


@dataclass(frozen=True)
class Flag:
    """How a field of a model appears on the command line, where not as ``--its-name``; metadata of `Annotated`.

    Parameters
    ----------
    positional : bool
        An argument.
    names : tuple of str
        Other spellings, such as ``("-o",)``, that stand beside ``--its-name``.
    hidden : bool
        Only in case files.
    form : str
        Typed as one word of this form, which the field's own validator reads.
    whole : bool
        Words of a list are taken as they are, commas too.
    """

    positional: bool = False
    names: tuple[str, ...] = ()
    hidden: bool = False
    form: str = ""
    whole: bool = False
