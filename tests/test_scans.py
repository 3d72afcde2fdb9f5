"""Single scans: which are learnt from, what a scorer says of them whatever stands beside them, and the figures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as reference
import torch

from pipeline import scan_sheets, scans
from pipeline.datasets.settings import ScanSettings
from pipeline.engine.step import run_step
from pipeline.losses_codes import anogan_score
from pipeline.methods import anogan, f_anogan, method_module
from pipeline.scan_scoring import Scan, figures
from pipeline.stills import scan_samples
from stages.validate import check
from tests.commands import ROOT, merge
from tests.conftest import SCANS, write_scans
from tests.engine import toy

METHODS = ("anogan", "f_anogan", "egbad")


# -- data ---------------------------------------------------------------------------------------------------------


def test_normal_scans_are_learnt_from_and_settings_are_chosen_on_others(tmp_path: Path) -> None:
    write_scans(tmp_path / "drawn/scans.npz")

    def kinds(name: str, judged: str = "test") -> tuple[str, list[str], list[bool]]:
        made = scan_samples(ScanSettings(name="drawn", held_out=0.25, judged=judged), tmp_path, name)
        return made.split, [item.key for item in made.items], [item.meta["abnormal"] for item in made.items]

    normal, abnormal = SCANS["train"]
    assert kinds("scans_train") == ("train", [f"train_{i:05d}" for i in range(6)], [False] * 6)
    assert kinds("scans_dev")[::2] == ("dev", [False] * 2 + [True] * abnormal)
    assert kinds("scans_judged")[::2] == ("test", [False] * SCANS["test"][0] + [True] * SCANS["test"][1])
    assert kinds("scans_judged", "dev") == kinds("scans_dev")  # while settings are chosen, test is not looked at


# -- judging ------------------------------------------------------------------------------------------------------


def model(name: str, folder: Path, **changes: Any) -> tuple[Any, dict[str, Any], torch.Tensor]:
    """Nets that draw something, their parameters and five pictures, in double precision."""
    nets = toy.write_model(name, folder).double().requires_grad_(False)
    image = next(toy.Drawn("anogan", 5).batches(0)).scans.image.double()
    return nets, toy.params(name, {name: changes}), image


@pytest.mark.parametrize("name", METHODS)
def test_a_score_does_not_depend_on_the_pictures_beside_it(name: str, tmp_path: Path) -> None:
    nets, params, image = model(name, tmp_path / "model", **({"search_steps": 6} if name == "anogan" else {}))
    judge, before = method_module(name).judge, torch.random.get_rng_state()
    whole = judge(nets, params, image)
    others = judge(nets, params, torch.cat([image[:1], -image[1:]]))
    alone = judge(nets, params, image[:1])
    assert len(set(whole.score.tolist())) == 5
    for part, value in vars(whole).items():
        for other in (others, alone):
            torch.testing.assert_close(getattr(other, part)[0], value[0], rtol=1e-9, atol=1e-9)
    assert torch.equal(torch.random.get_rng_state(), before)  # nothing is drawn from the global generator
    assert whole.maps(image).shape == (5, 32, 32) and not whole.score.requires_grad
    assert torch.equal(whole.drawn[:, 0], whole.drawn.mean(1))  # one plane, compared with the first


def test_the_search_lowers_its_loss_and_restarts_keep_the_best(tmp_path: Path) -> None:
    nets, params, image = model("anogan", tmp_path / "model")

    def losses(steps: int, restarts: int) -> torch.Tensor:
        changed = merge(params, {"anogan": {"search_steps": steps, "restarts": restarts, "search_lr": 0.05}})
        return anogan.judge(nets, changed, image).score

    short, long, several = losses(1, 1), losses(12, 1), losses(12, 3)
    assert (long < short).all() and (several <= long).all() and (several < long).any()


def test_what_the_search_minimises_is_the_score(tmp_path: Path) -> None:
    nets, params, image = model("anogan", tmp_path / "model")
    found, x = anogan.judge(nets, params, image), image[:, :1]
    features = [nets["D"].with_features(one)[1] for one in (x, found.drawn)]
    assert torch.allclose(found.score, anogan_score(x, found.drawn, *features, 0.1))
    assert torch.allclose(found.score, 0.9 * found.residual + 0.1 * found.features)


# -- the phases of f-AnoGAN ---------------------------------------------------------------------------------------


def test_the_encoder_learns_while_the_others_stand_still_to_the_last_buffer() -> None:
    method, feed = toy.build("f_anogan"), toy.Drawn("f_anogan").batches(0)
    optimizers, seen = method.optimizers(), []
    for _ in range(8):
        losses = run_step(method.step(next(feed)), optimizers)
        state = {net: {k: v.clone() for k, v in own.state_dict().items()} for net, own in method.nets.items()}
        seen.append((state, {name for name, loss in losses.items() if float(loss)}))

    def moved(one: int, other: int) -> set[str]:
        a, b = seen[one][0], seen[other][0]
        return {net for net in a if any(not torch.equal(a[net][key], b[net][key]) for key in a[net])}

    assert [names for _, names in seen[:2]] == [{"critic", "penalty"}, {"critic", "penalty", "gan"}]
    assert all(names == {"residual", "features"} for _, names in seen[4:])
    assert moved(0, 3) == {"G", "D"} and moved(3, 7) == {"E"}


def test_the_generator_and_the_critic_draw_codes_of_their_own() -> None:
    like, positions = torch.zeros(1), np.arange(2)
    drawn = [scans.codes(0, f"f_anogan {net}", positions, 3, like) for net in ("critic", "generator")]
    assert not torch.allclose(*drawn)
    assert torch.equal(drawn[0][1:], scans.codes(0, "f_anogan critic", positions[1:], 3, like))  # as another rank draws


# -- figures ------------------------------------------------------------------------------------------------------


def drawn_scans(masks: bool = True) -> list[Scan]:
    random, found = np.random.RandomState(0), []
    for n in range(20):
        abnormal = n % 3 == 0 if n < 18 else None
        mask = random.rand(6, 6) < 0.2 if abnormal else np.zeros((6, 6), bool)
        residual = (random.rand(6, 6) + 0.5 * mask).astype(np.float32)
        alone = {"residual": random.rand() + bool(abnormal), "features": random.rand()}
        picture = random.randint(0, 255, (6, 6, 3)).astype(np.uint8)
        known = masks and abnormal is not None
        found.append(
            Scan(
                f"test_{n:05d}",
                abnormal,
                picture,
                mask if known else None,
                sum(alone.values()),
                alone,
                residual,
                picture,
            )
        )
    return found  # fmt: skip


def test_figures_are_scikit_learns() -> None:
    given = drawn_scans()
    got, known = figures(given, 1.2, 0.8), given[:18]
    labels, scores = [scan.abnormal for scan in known], np.array([scan.score for scan in known])
    assert (got["scans"], got["scans_abnormal"], got["scans_without_label"], got["scans_with_mask"]) == (20, 6, 2, 18)
    assert got["auc"] == pytest.approx(reference.roc_auc_score(labels, scores))
    for part in ("residual", "features"):
        alone = [scan.alone[part] for scan in known]
        assert got[f"auc_{part}"] == pytest.approx(reference.roc_auc_score(labels, alone))
    assert got["found"] == pytest.approx(reference.recall_score(labels, scores > 1.2))
    assert got["false_alarms"] == pytest.approx((scores > 1.2)[~np.array(labels)].mean())
    values, truth = (np.concatenate([one.ravel() for one in own]) for own in zip(*((s.residual, s.mask) for s in known), strict=True))  # fmt: skip
    assert got["auc_pixel"] == pytest.approx(reference.roc_auc_score(truth, values))
    each = [reference.jaccard_score(s.mask.ravel(), s.residual.ravel() > 0.8) for s in known if s.mask.any()]
    assert got["iou"] == pytest.approx(np.mean(each))
    assert got["scores"][19] == {"key": "test_00019", "score": given[19].score, "label": None}


def test_without_masks_or_labels_figures_are_null_and_scores_stay() -> None:
    bare = figures(drawn_scans(masks=False), 1.0, 0.5)
    assert bare["auc"] is not None and bare["auc_pixel"] is bare["iou"] is bare["dice"] is None
    unknown = figures(drawn_scans()[18:], 1.0, 0.5)
    assert all(unknown[key] is None for key in ("auc", "eer", "auc_residual", "found", "false_alarms", "auc_pixel"))
    assert len(unknown["scores"]) == 2


def test_the_sheet_shows_the_ends_of_both_kinds_whatever_their_order() -> None:
    given = drawn_scans()
    rows = dict(scan_sheets.chosen(given))
    assert list(rows) == [f"{kind}, {end} scores" for kind in ("abnormal", "normal", "unlabelled") for end in ("highest", "lowest")]  # fmt: skip
    normal = sorted(scan.score for scan in given if scan.abnormal is False)
    assert [scan.score for scan in rows["normal, highest scores"]] == normal[:-5:-1]
    assert [scan.score for scan in rows["normal, lowest scores"]] == normal[:4]
    assert np.array_equal(scan_sheets.sheet(given, 0.8), scan_sheets.sheet(given[::-1], 0.8))


def test_one_normal_scan_in_a_hundred_is_above_its_threshold() -> None:
    values = np.random.RandomState(0).rand(50, 40)
    assert (values > scans.usual_most(values)).mean() == pytest.approx(0.01, abs=1e-3)
    flat = np.zeros((20, 20))  # where nearly all are equal, firing from the threshold upwards would flood
    flat[0, :3] = 1
    assert (flat > scans.usual_most(flat)).mean() <= 0.01


# -- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"anogan": {"train": {"crop": [48, 48]}}}, "squares of 28, 32, 64 pixels a side, not [48, 48]"),
        ({"scans": {"size": 28}}, "scans.size is 28"),
        ({"f_anogan": {"gan_share": 0.001}}, "gan_share leaves 2 of 2000 steps to G and D"),
        ({"f_anogan": {"train": {"ema": 0.9}}}, "set f_anogan.train.ema to 0"),
    ],
)
def test_parameters_that_do_not_fit_scans_are_a_sentence(changes: dict[str, Any], words: str) -> None:
    params = toy.read_yaml(ROOT / "presets/default.yaml")
    params["f_anogan"]["train"] |= {"steps": 2000}
    params |= {"scorers": {**params["scorers"], **dict.fromkeys(METHODS, [0])}}
    params["scan_sets"] = ["scans_train", "scans_dev", "scans_judged"]
    assert check(params) == []
    found = check(merge(params, changes))
    assert found and all(line.startswith("params.yaml: ") for line in found) and any(words in line for line in found)


def test_the_first_phase_is_a_share_of_the_steps() -> None:
    assert f_anogan.gan_steps(8, f_anogan.Settings(gan_share=0.5)) == 4
