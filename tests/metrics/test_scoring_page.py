"""docs/scoring.md: its example gives what it says, and needs numpy and OpenCV alone."""

import re
import subprocess
import sys

from tests.commands import ROOT, environment

LIGHT = (
    "import sys; assert not {'torch', 'scipy', 'pydantic', 'pandas'} & set(sys.modules), 'more than numpy and OpenCV'"
)


def test_the_examples_print_what_the_page_says_and_load_little(tmp_path):
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / "docs/scoring.md").read_text(), re.M | re.S)
    code, printed = ("".join(text for kind, text in blocks if kind == wanted) for wanted in ("python", "text"))
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{LIGHT}"], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, printed), done.stderr
