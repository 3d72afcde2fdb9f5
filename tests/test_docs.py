"""The pages: links lead somewhere, named commands exist, and the table of dependencies is that of the lock."""

import importlib
import re
from pathlib import Path

import pytest

from tests.commands import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page):
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        goal = page.parent / path if path else page
        assert goal.exists(), f"{name(page)}: {link}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", goal.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}, link


@pytest.mark.parametrize("page", [*PAGES, ROOT / "Makefile", *sorted((ROOT / "presets").glob("*.yaml"))], ids=name)
def test_every_command_that_is_named_exists(page):
    text = page.read_text()
    for module in re.findall(r"python -m ((?:pipeline|stages|benchmarks|tests)[\w.]*)", text):
        file = ROOT / module.replace(".", "/")
        assert file.with_suffix(".py").is_file() or (file / "__main__.py").is_file(), f"{name(page)}: {module}"
    targets = set(re.findall(r"^([\w.]+):", (ROOT / "Makefile").read_text(), re.M))
    used = re.findall(r"(?:^ {4,}|`|&& |\$\(MAKE\) )make ([a-z]\w*)", text, re.M)
    assert not set(used) - targets, f"{name(page)}: make {set(used) - targets}"
    for preset in re.findall(r"make preset NAME=(\w+)", text):
        assert preset == "NAME" or (ROOT / f"presets/{preset}.yaml").is_file(), f"{name(page)}: {preset}"
    for path in re.findall(r"(?:^|[\s`(])((?:pipeline|stages|tests|docs|presets|benchmarks)/[\w./]*\w\.\w+)", text):
        assert (ROOT / path).exists() or path == "pipeline/methods/colormapgan.py", f"{name(page)}: {path}"


def test_the_table_of_dependencies_is_that_of_the_lock():
    wanted = [re.match(r"[\w.-]+", line)[0] for line in (ROOT / "requirements.in").read_text().splitlines() if line]
    lines = re.findall(r"^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.M)
    locked = dict(reversed(lines))  # where newer Pythons have another version, that of the oldest stands first
    rows = re.findall(r"^\| ([a-z][\w.-]+) \| (\d[\w.]*) \|", (ROOT / "docs/dependencies.md").read_text(), re.M)
    assert rows == [(package, locked[package.replace(".", "-")]) for package in wanted]


@pytest.mark.parametrize("module", sorted(file.stem for file in (ROOT / "benchmarks").glob("*.py")))
def test_a_benchmark_fits_the_code_that_it_measures(module):
    """Nobody runs them every day; what they import may have been renamed."""
    importlib.import_module(f"benchmarks.{module}")
