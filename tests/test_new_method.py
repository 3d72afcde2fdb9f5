"""docs/new_method.md, done as it says: its blocks written into a copy of the project, its commands run there."""

import re
import shutil
from pathlib import Path

from tests.commands import ROOT, run_apart

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)
TAKEN = ("pipeline", "stages", "tests", "presets", "dvc.yaml", "params.yaml", "pyproject.toml")


def sections() -> list[tuple[str, list[tuple[str, str]]]]:
    """(the file that a heading names, or nothing; the (language, text) blocks below it) in the page's order."""
    texts = (ROOT / "docs/new_method.md").read_text().split("\n## ")[1:]
    named = [re.search(r"`(.+)`", text.partition("\n")[0]) for text in texts]
    return [(found[1] if found else "", BLOCK.findall(text)) for found, text in zip(named, texts, strict=True)]


def put(file: Path, language: str, text: str) -> None:
    """A block into its file: code is the whole file, a line of translators goes under them, other parameters and stages to the end."""
    if language == "python":
        file.write_text(text)
    elif file.name == "default.yaml" and text.startswith(" "):
        old = file.read_text()
        assert old.count("\ntranslators:") == 1
        file.write_text(re.sub(r"\ntranslators:.*\n", lambda found: found[0] + text, old))
    else:
        file.write_text(f"{file.read_text().rstrip()}\n\n{text}")


# Every command of the page in one process, in the copy and not in the project, whose folder comes first in the path otherwise.
RUN = """
import os, runpy, shlex, subprocess, sys
sys.path[:] = [os.getcwd(), *(path for path in sys.path if path != os.environ["PYTHONPATH"])]
os.environ["PYTHONPATH"] = os.getcwd()
for line in open(sys.argv[1]):
    words = shlex.split(line)
    while "=" in words[0]:
        os.environ.update([words.pop(0).split("=")])
    if words[:2] != ["python", "-m"]:
        subprocess.run(words, check=True)
        continue
    sys.argv = words[2:]
    try:
        runpy.run_module(words[2], run_name="__main__", alter_sys=True)
    except SystemExit as stop:
        if stop.code:
            raise
"""


def test_the_method_of_the_page_is_declared_trains_and_translates(tmp_path):
    for name in TAKEN:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "parity"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    commands = []
    for file, blocks in sections():
        for language, text in blocks:
            if language == "sh":
                commands.append(text)
            else:
                put(tmp_path / file, language, text)
    (tmp_path / "run.py").write_text(RUN)
    (tmp_path / "commands").write_text("".join(commands))
    done = run_apart(tmp_path, "run.py", "commands")
    assert done.code == 0, done.out + done.err
    assert " skipped" not in done.out
    passed = [int(count) for count in re.findall(r"(\d+) passed", done.out)]
    assert len(passed) == 2 and passed[0] > 4 and passed[1] == 1, done.out  # declared, trained, translated; stored
    assert (ROOT / "dvc.yaml").read_text().rstrip() in (tmp_path / "dvc.yaml").read_text()  # nothing else runs again
