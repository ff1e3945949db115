"""The reference is that of the code, the site builds without a warning, every link leads somewhere; CITATION.cff."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

import obsnet
from scripts.make_reference import DOCS as API
from scripts.make_reference import PACKAGES, page
from tests.docs.pages import DOCS, ROOT


@pytest.mark.parametrize("package", PACKAGES)
def test_the_reference_has_every_public_name(package):
    made = "run `python scripts/make_reference.py`"
    assert (API / f"{package}.md").read_text(encoding="utf-8") == page(package), made


def test_links_lead_somewhere():
    faults = []
    for path in [ROOT / "README.md", *ROOT.glob("README.*.md"), *DOCS.glob("*.md")]:
        text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target and not (path.parent / target).exists():
                faults.append(f"{path.name}: {target}")
    assert not faults


@pytest.mark.slow
@pytest.mark.skipif(find_spec("mkdocs") is None, reason="pip install 'obsnet[docs]'")
def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "-f",
            ROOT / "scripts" / "site.yml",
            "-d",
            tmp_path / "s",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Posterior" in (tmp_path / "s" / "api" / "inversion.html").read_text(encoding="utf-8")


def test_the_citation_has_the_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {obsnet.__version__}\n" in text
