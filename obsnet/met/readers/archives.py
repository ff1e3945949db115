"""Zip archives, as the Climate Data Store sends them: unpacked beside nothing, for as long as they are read."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from obsnet.errors import FormatError, ResourceError
from obsnet.reading import reading

__all__ = ["Unpacked"]

_RATIO = 200  # of what is inside to the archive; deflate has 1032 at most, and fields of numbers some tens
_HARMLESS = 1 << 30  # bytes, however they are packed


class Unpacked:
    """Files, those in zip archives unpacked into a temporary folder that `close` removes.

    Parameters
    ----------
    files : sequence of path
        Archives and others.

    Attributes
    ----------
    files : list of Path
        All of them as plain files; those of an archive lie in a folder of its name.

    Raises
    ------
    FormatError
        An archive that is damaged or holds nothing.
    ResourceError
        Not enough room for what it holds.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self.files: list[Path] = []
        self._folder: str | None = None
        try:
            for k, path in enumerate(files):
                self.files += self._members(k, path) if _is_zip(path) else [path]
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove what was unpacked."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _members(self, number: int, path: Path) -> list[Path]:
        self._folder = self._folder or tempfile.mkdtemp(prefix="obsnet-met-")
        into = Path(self._folder) / str(number) / path.name
        into.mkdir(parents=True)
        found = []
        with reading(path, "a zip archive"), zipfile.ZipFile(path) as archive:
            inside = [m for m in archive.infolist() if not m.is_dir()]
            size, free = sum(m.file_size for m in inside), shutil.disk_usage(into).free
            if size > free:
                raise ResourceError(
                    f"{path}: holds {size / 1e9:.1f} GB, {into.parent} has room for {free / 1e9:.1f} GB; set "
                    "TMPDIR to a larger place or unpack it yourself"
                )
            if size > max(_RATIO * path.stat().st_size, _HARMLESS):
                raise FormatError(
                    f"{path}: {path.stat().st_size / 1e6:.1f} MB that say they hold {size / 1e9:.1f} GB; no fields are "
                    "packed like that. If they are what they should be, unpack it yourself"
                )
            for n, member in enumerate(inside):
                target = into / f"{n}-{Path(member.filename).name}"
                with archive.open(member) as source, target.open("wb") as stream:
                    shutil.copyfileobj(source, stream)
                found.append(target)
        if not found:
            raise FormatError(f"{path}: an archive with nothing in it")
        return found


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PK\x03\x04"
    except OSError:
        return False
