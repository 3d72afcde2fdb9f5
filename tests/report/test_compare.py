"""Two experiments side by side: report folders, and what git and DVC still hold of a revision."""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gain
from pipeline import report
from pipeline.files import UserError
from tests.commands import run_here, write_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # DVC's own
GRAPH = "stages:\n  report:\n    cmd: 'true'\n    deps: [params.yaml]\n    outs: [results]\n"


def improve(tree: Path, by: float) -> None:
    """Add to the mIoU of spigan, in both seeds."""
    for seed in (0, 1):
        path = tree / f"results/evaluate/source_only/spigan/{seed}/scores.json"
        scores = json.loads(path.read_text())
        path.write_text(json.dumps(scores | {"miou": scores["miou"] + by}))


@pytest.mark.parametrize(("by", "verdict"), [(0.05, "more than the spread"), (0.01, "within the spread")])
def test_folders(tree: Path, built: Path, params: dict[str, Any], tmp_path: Path, by: float, verdict: str) -> None:
    improve(tree, by)
    params["train"]["gamma"] = 0.5
    report.build(params, tree, tmp_path / "report")
    text = report.compare(str(built), str(tmp_path / "report"))
    assert "train.gamma: 0.1 -> 0.5" in text and "train.lr" not in text and "2 seeds" in text
    line = next(line for line in text.splitlines() if line.startswith("spigan"))
    assert f"+{100 * by:.1f}" in line and verdict in line
    assert text.count("the same") == 4 and "No other figure differs." in text


def test_other_figures_and_other_tests_are_said(
    tree: Path, built: Path, params: dict[str, Any], tmp_path: Path
) -> None:
    for seed in (0, 1):
        path = tree / f"results/measure/spigan/{seed}.json"
        path.write_text(path.read_text().replace('"miou": 0.7', '"miou": 0.5'))
    for path in tree.glob("results/evaluate/*/*/*/scores.json"):
        path.write_text(path.read_text().replace('"pictures": 3', '"pictures": 2'))
    report.build(params, tree, tmp_path / "report")
    text = report.compare(str(built), str(tmp_path / "report"))
    assert "labels kept A" in text and "-20.0" in text and "pixel accuracy A" not in text
    assert "Not the same test: A dataset world_target, split val, pictures 3" in text


def test_a_report_without_cells_is_a_sentence(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "report")
    (tmp_path / "report/table.json").write_text("[]")
    for pair in ((built, tmp_path / "report"), (tmp_path / "report", built)):
        with pytest.raises(UserError, match="report has no cells of a segmenter to compare; see its pairs.json"):
            report.compare(*map(str, pair))


def test_one_seed_has_no_spread(tree: Path, params: dict[str, Any], tmp_path: Path) -> None:
    report.build(params | {"seeds": [0]}, tree, tmp_path / "before")
    improve(tree, 0.2)
    report.build(params | {"seeds": [0]}, tree, tmp_path / "after")
    text = report.compare(str(tmp_path / "before"), str(tmp_path / "after"))
    assert "+20.0  one seed: no spread known" in text and "more than" not in text


def test_what_more_training_buys(tree: Path, params: dict[str, Any], tmp_path: Path, capsys) -> None:
    for steps, by in ((400, 0.0), (1600, 0.05)):
        improve(tree, by)
        params["train"]["steps"] = steps
        report.build(params, tree, tmp_path / str(steps))
    out = tmp_path / "gain.json"
    gain.main([str(tmp_path / "400"), str(tmp_path / "1600"), "--out", str(out.with_suffix(""))])
    points = json.loads(out.read_text())["points"]
    assert [(p["steps"], p["seeds"], p["split"]) for p in points] == [(n, [0, 1], "val") for n in (400, 1600)]
    assert [p["gain_miou"] for p in points] == pytest.approx([0.11, 0.16])
    assert "+16.0 miou" in capsys.readouterr().out and out.with_suffix(".svg").stat().st_size > 1000
    with pytest.raises(UserError, match="has no seed with both spigan_no_pi and none"):
        gain.main([str(tmp_path / "400"), "--translator", "spigan_no_pi", "--out", str(out)])


def test_a_folder_that_is_no_report_is_a_sentence(built: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a report"):
        report.compare(str(built), str(tmp_path))


# -- revisions ----------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, params: dict[str, Any], *, run: bool = True) -> str:
    """Commit parameters, and what `dvc repro` would have stored of results/."""
    from dvc.repo import Repo

    write_params(folder, params)
    if run:
        with contextlib.chdir(folder), Repo() as repo:
            repo.commit(force=True)
    git(folder, "add", "params.yaml", "dvc.yaml", "dvc.lock", ".dvc/config")
    git(folder, "commit", "-q", "-m", "run")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def project(base_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DVC project with two commits, a partial run on top (branch `partial`), and an experiment `more-gamma`."""
    from dvc.repo import Repo

    from tests.report.conftest import parameters

    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(base_tree / "results", folder / "results")
    (folder / "dvc.yaml").write_text(GRAPH)
    git(folder, "init", "-q")
    Repo.init(str(folder)).close()
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n")
    params = parameters()
    base = commit(folder, params)
    improve(folder, 0.05)
    params["train"]["gamma"] = 0.5
    experiment = commit(folder, params)
    git(folder, "update-ref", f"refs/exps/{base[:2]}/{base[2:]}/more-gamma", experiment)
    git(folder, "reset", "-q", "--hard", base)
    git(folder, "checkout", "-q", "-b", "partial")
    commit(folder, params | {"train": {"gamma": 0.9}}, run=False)
    git(folder, "checkout", "-q", "main")
    shutil.rmtree(folder / "results")  # what is compared comes from DVC's cache
    return folder


def test_an_experiment_against_a_revision(project: Path) -> None:
    ended = run_here(project, "report", "--compare", "HEAD", "more-gamma")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("A = HEAD (commit ") and "B = more-gamma (commit " in ended.out
    assert "train.gamma: 0.1 -> 0.5" in ended.out and "may be older" not in ended.out
    line = next(line for line in ended.out.splitlines() if line.startswith("spigan"))
    assert "42.0 ± 1.4" in line and "47.0 ± 1.4" in line and "+5.0" in line and "more than the spread" in line


def test_a_revision_that_was_not_run_to_its_end_is_told(project: Path) -> None:
    ended = run_here(project, "report", "--compare", "main", "partial")
    assert "B = partial (commit " in ended.out and "numbers may be older than they are" in ended.out


def test_a_folder_against_an_experiment(project: Path, built: Path) -> None:
    ended = run_here(project, "report", "--compare", str(built), "more-gamma")
    assert ended.code == 0 and "train.gamma: 0.1 -> 0.5" in ended.out, ended.err


def test_a_wrong_name_is_told_with_the_known_experiments(project: Path) -> None:
    sentence = run_here(project, "report", "--compare", "HEAD", "more-gama").sentence
    assert sentence == (
        "error: more-gama is neither a report folder nor an experiment nor a git revision; "
        "known experiments are more-gamma"
    )


def test_results_that_the_cache_lost_are_told(project: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(project, tmp_path / "project"))
    shutil.rmtree(folder / ".dvc/cache/files")
    sentence = run_here(folder, "report", "--compare", "HEAD", "more-gamma").sentence
    assert sentence.startswith("error: HEAD: ") and "cache" in sentence


def test_without_a_dvc_project_a_name_is_told_to_be_wrong(tmp_path: Path) -> None:
    sentence = run_here(tmp_path, "report", "--compare", "HEAD", "x").sentence
    assert sentence == "error: HEAD is not a report folder, and there is no DVC project here to look it up in"
