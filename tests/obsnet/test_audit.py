"""The audit of installed packages, on packages made for it."""

from __future__ import annotations

import base64
import hashlib

import pytest

from obsnet.audit import audit


def install(folder, name, version, *requires, files=()):
    """Write a distribution as pip leaves it."""
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    lines = [f"Requires-Dist: {r}" for r in requires]
    text = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines])
    (about / "METADATA").write_text(text + "\n")
    record = []
    for file, content in files:
        (folder / file).write_bytes(content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record.append(f"{file},sha256={digest},{len(content)}")
    (about / "RECORD").write_text("\n".join([*record, f"{about.name}/RECORD,,"]) + "\n")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    install(
        tmp_path, "auditroot", "1.0", "auditleaf>=2.0", "auditother[fast]>=1", 'never; python_version < "3"'
    )
    install(
        tmp_path, "auditleaf", "2.1", "auditroot", files=[("leaf.py", b"x = 1\n"), ("leaf2.py", b"y = 2\n")]
    )
    install(tmp_path, "auditother", "1.5", files=[("other.py", b"z = 3\n")])
    return tmp_path


def test_what_is_as_installed_passes(installed):
    found = audit("auditroot")
    assert found.problems == []
    assert found.packages == {"auditleaf": "2.1", "auditother": "1.5", "auditroot": "1.0"}
    assert found.files == 3


def test_a_changed_file_a_missing_one_and_an_old_version_are_named(installed):
    (installed / "leaf.py").write_bytes(b"x = 2\n")
    (installed / "other.py").unlink()
    about = installed / "auditroot-1.0.dist-info" / "METADATA"
    about.write_text(
        about.read_text().replace("auditleaf>=2.0", "auditleaf>=3.0") + "Requires-Dist: auditgone\n"
    )
    assert sorted(audit("auditroot").problems) == [
        "auditgone is required and not installed",
        "auditleaf 2.1: leaf.py is not what was installed",
        "auditother 1.5: other.py is gone",
        "auditroot requires auditleaf>=3.0, found 2.1",
    ]


def test_a_package_that_is_not_there():
    assert audit("no-such-package-here").problems == ["no-such-package-here is required and not installed"]
