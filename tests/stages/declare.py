"""Write into dvc.yaml the code that its stages import, as test_graph wants it declared: python -m tests.stages.declare

Data, models and folders that a stage lists stay as they are; a list that is right is not touched, so no stage runs again.
"""

import re
import textwrap
from typing import Any

from tests.stages import test_graph as graph


def listing(stage: dict[str, Any], code: set[str]) -> str:
    """The `deps` of a stage as they should be written, with this code."""
    data = [dep for dep in stage["deps"] if not dep.startswith(("pipeline/", "stages/"))]
    folders = [dep for dep in stage["deps"] if dep.startswith("pipeline/") and (graph.ROOT / dep).is_dir()]
    files = sorted([*folders, *(file for file in code if not file.startswith(tuple(f"{f}/" for f in folders)))])
    first = ", ".join(f'"{dep}"' if "$" in dep else dep for dep in data)
    lines = textwrap.wrap(", ".join(files), 112, break_long_words=False, break_on_hyphens=False)
    return f"    deps: [{first},\n       " + "\n       ".join(lines) + "]"


def main() -> None:
    file = graph.ROOT / "dvc.yaml"
    text = file.read_text()
    for name, stage in graph.STAGES.items():
        methods = {graph.ROOT / "pipeline/methods" / f"{method}.py" for method in graph.methods_of(stage)}
        code = graph.closure({graph.stage_file(stage), *methods})
        if name == graph.CONSTANT or code == graph.declared_code(stage):
            continue
        found = re.search(rf"^  {name}:\n(?:    [^\n]*\n)*?(    deps: \[[^\]]*\])", text, re.M)
        assert found, f"dvc.yaml: the deps of {name} should be one list, [...]"
        text = text[: found.start(1)] + listing(stage, code) + text[found.end(1) :]
        print(f"dvc.yaml: wrote the code of {name}")
    file.write_text(text)


if __name__ == "__main__":
    main()
