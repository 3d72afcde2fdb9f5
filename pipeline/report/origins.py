"""Where the numbers come from: commit, parameters, data sets, libraries."""

import io
import platform
import subprocess
from pathlib import Path
from typing import Any

from pipeline.files import digest, read_json
from pipeline.provenance import versions

SETS = ("source", "target_train", "target_train_labels", "target_dev", "target_val")


def collect(params: dict[str, Any], root: Path) -> dict[str, Any]:
    """commit, digest of the parameters and the parameters as text, set.json of the shard sets, library versions."""
    names = [*SETS, *(f"sequences_{name}" for name in params.get("sequences") or [])]
    paths = {name: root / f"data/shards/{name}/set.json" for name in names}
    return {
        "commit": commit(root),
        "parameters_digest": digest(params),
        "parameters": as_yaml(params),
        "sets": {name: read_json(path) for name, path in paths.items() if path.is_file()},
        "libraries": {"python": platform.python_version()} | versions(),
    }


def commit(root: Path) -> str | None:
    """The commit that is checked out, with a remark where files differ from it; None outside git."""
    head = _git(root, "rev-parse", "HEAD")
    if not head:
        return None
    # DVC itself rewrites dvc.lock while the graph runs.
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
    return f"{head} with uncommitted changes" if changed else head


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def as_yaml(value: Any) -> str:
    """A value as block YAML, keys in their own order."""
    from ruamel.yaml import YAML

    out, yaml = io.StringIO(), YAML(typ="safe", pure=True)
    yaml.default_flow_style, yaml.sort_base_mapping_type_on_output = False, False  # type: ignore[assignment]
    yaml.dump(value, out)
    return out.getvalue()
