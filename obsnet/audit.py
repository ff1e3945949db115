"""What can be told of the installed packages without a network: whether they are what was installed, and new enough."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

__all__ = ["Audit", "audit"]

_SHOWN = 5  # files of a package that are named


@dataclass(frozen=True)
class Audit:
    """What was found.

    Parameters
    ----------
    packages : dict of str to str
        obsnet and everything it requires, directly or not, with versions.
    files : int
        That were held against the hashes of their package.
    problems : list of str
        Files that changed or are gone, versions too old, packages that are missing.
    """

    packages: dict[str, str]
    files: int
    problems: list[str]


def audit(root: str = "obsnet") -> Audit:
    """Look through a package and all that it requires.

    Parameters
    ----------
    root : str
        Name of the distribution.

    Notes
    -----
    A package lists the sha256 of its files (``RECORD``), which whoever can change the files can change too: what is
    found is damage and tampering of the careless kind. Compiled caches are not listed. Known vulnerabilities are in
    databases on the network, such as that of ``pip-audit``.
    """
    problems: list[str] = []
    packages: dict[str, str] = {}
    files, todo = 0, [root]
    while todo:
        name = todo.pop()
        try:
            found = distribution(name)
        except PackageNotFoundError:
            problems.append(f"{name} is required and not installed")
            continue
        key = _plain(name)
        if key in packages:
            continue
        packages[key] = found.version
        count, bad = _files(found)
        files += count
        problems += [f"{name} {found.version}: {line}" for line in bad]
        for required, fault in _required(found):
            problems += [f"{name} requires {fault}"] * bool(fault)
            todo.append(required)
    return Audit(dict(sorted(packages.items())), files, problems)


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _required(found: Distribution) -> Iterator[tuple[str, str]]:
    """Yield what a distribution requires here, and what is wrong with the version that is installed."""
    from packaging.requirements import Requirement

    for text in found.requires or ():
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            version = distribution(wanted.name).version
        except PackageNotFoundError:
            yield wanted.name, ""
            continue
        good = wanted.specifier.contains(version, prereleases=True)
        yield wanted.name, "" if good else f"{wanted.name}{wanted.specifier}, found {version}"


def _files(found: Distribution) -> tuple[int, list[str]]:
    """Return how many files of a distribution have a hash, and which do not hold it."""
    count, bad = 0, []
    # the library's own list leaves out files that are gone
    for name, said, *_ in csv.reader((found.read_text("RECORD") or "").splitlines()):
        kind, _, value = said.partition("=")
        if kind != "sha256":
            continue
        count += 1
        try:
            with Path(str(found.locate_file(name))).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").digest()
        except OSError:
            bad.append(f"{name} is gone")
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != value:
            bad.append(f"{name} is not what was installed")
    more = [f"and {len(bad) - _SHOWN} files more"] if len(bad) > _SHOWN else []
    return count, [*bad[:_SHOWN], *more]
