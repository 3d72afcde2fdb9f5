"""Judging on held-out pairs: what is given, drawn and true is kept apart, and the untouched input stands beside it."""

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import generation
from pipeline.files import UserError, read_image, read_json
from pipeline.judging import distances, exactness
from pipeline.methods import pix2pix_pairs
from pipeline.metrics.paired import means
from pipeline.nets.perceptual import feature_net
from pipeline.pairs import judge, sheet, triple
from pipeline.sample import Sample
from pipeline.shards.index import ShardSet
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards
from tests.commands import merge, run_here, write_params

Make = Callable[..., ShardSet]


class Darker(torch.nn.Module):
    """Stands for a net: subtracts its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.by = torch.nn.Parameter(torch.tensor(40 / 127.5))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image - self.by


def model(direction: str = "forward") -> Any:
    """Darkens by 40 grey levels."""
    module = SimpleNamespace(sides=pix2pix_pairs.sides, translate=lambda nets, image: nets["G"](image))
    params = {"pix2pix_pairs": {"direction": direction}}
    return SimpleNamespace(name="darker", module=module, params=params, nets=torch.nn.ModuleDict({"G": Darker()}))


@pytest.fixture
def pairs(tmp_path: Path) -> Make:
    """pairs(n): n pairs whose `paired` is 40 grey levels darker, the last one 60."""

    def make(count: int) -> ShardSet:
        def one(i: int) -> Sample:
            image = np.random.default_rng(i).integers(80, 200, (32, 48, 3)).astype(np.uint8)
            return Sample(f"p{i}", image, paired=image - np.uint8(60 if i == count - 1 else 40))

        settings = ShardSettings(image_format="png")
        write_shards(one, range(count), tmp_path / "set", classes="cityscapes19", split="val", settings=settings)
        return ShardSet.open(tmp_path / "set")

    return make


def test_scores_stand_beside_those_of_the_untouched_input_and_the_worst_comes_first(pairs: Make) -> None:
    scores = judge(model(), pairs(4), feature_net("lite0", None), None, 10)
    assert scores["pictures"] == 4 and scores["by_picture"][0][0] == "p3"
    assert [round(row[1] * 127.5) for row in scores["by_picture"]] == [20, 0, 0, 0]
    assert scores["untouched"]["pairs"]["l1"] == pytest.approx(45 / 127.5, rel=1e-4)
    for name in ("l1", "feature_distance_lite0"):
        assert scores["pairs"][name] < scores["untouched"]["pairs"][name]
    assert scores["distances"]["frechet_lite0_4"] < scores["untouched"]["distances"]["frechet_lite0_4"]


def test_backward_draws_the_image_from_its_pair(pairs: Make) -> None:
    shards = pairs(2)
    forward, backward = triple(model(), shards, 0), triple(model("backward"), shards, 0)
    assert np.array_equal(forward[0], backward[2]) and np.array_equal(forward[2], backward[0])
    assert np.array_equal(forward[1], forward[2]) and not np.array_equal(backward[1], backward[2])


def test_one_pair_has_no_distances(pairs: Make) -> None:
    with pytest.raises(UserError, match=r"holds one pair; distances need two or more, .* \(pairs.val_share\)"):
        judge(model(), pairs(1), feature_net("lite0", None), None, 10)


def test_identical_pictures_have_no_psnr(pairs: Make) -> None:
    shards = pairs(3)
    same = exactness(shards, shards, "lite0", None, 10)
    assert same["psnr"] is None and same["ssim"] == pytest.approx(1) and same["feature_distance_lite0"] == 0
    assert means([{"psnr": math.inf}, {"psnr": 20.0}, {"psnr": 30.0}]) == {"psnr": 25.0}


def test_one_picture_has_no_distances(pairs: Make) -> None:
    net, one = feature_net("lite0", None), pairs(1)
    with pytest.raises(UserError, match="holds one picture; distances need two or more"):
        distances(one, one, net, 10)
    with pytest.raises(UserError, match="holds one picture; distances need two or more"):
        generation.judge(model(), model(), one, net, None, 10)


def test_a_sheet_holds_rows_of_pictures_of_any_size() -> None:
    small, large = (np.zeros((h, w, 3), np.uint8) for h, w in ((4, 6), (8, 10)))
    assert sheet([(small,) * 3, (large,) * 3]).shape == (8 + 12, 3 * 14, 3)


def test_from_the_worlds_night_to_scores_and_sheets_and_to_a_persons_own_pictures(tmp_path: Path, tiny: Any) -> None:
    """The stages one after the other, as DVC runs them."""
    own = {"levels": 4, "generator_width": 4, "discriminator_width": 4, "discriminator_layers": 1}
    changes = {
        "simulate": [*tiny["simulate"], "night"], "shard_pairs": ["pairs_train", "pairs_val"], "paired": {"pix2pix_pairs": [0]},
        "world": {"night": 6}, "pairs": {"val_share": 0.4}, "pix2pix_pairs": own, "train": {"steps": 2},
    }  # fmt: skip
    write_params(tmp_path, merge(tiny, changes))
    commands = [("validate",), ("simulate", "night"), ("shard", "pairs_train"), ("shard", "pairs_val")]
    for command in (*commands, ("train", "pix2pix_pairs", "0"), ("evaluate_pairs", "pix2pix_pairs", "0")):
        ended = run_here(tmp_path, *command)
        assert ended.code == 0, f"{command}\n{ended.err}"
    results = tmp_path / "results/pairs/pix2pix_pairs/0"
    scores = read_json(results / "scores.json")
    assert (scores["translator"], scores["split"], scores["pictures"]) == ("pix2pix_pairs", "val", 2)
    assert {path.name for path in (results / "pictures").iterdir()} == {"some.png", "worst.png"}
    assert read_image(results / "pictures/some.png").shape == (2 * 36, 3 * 68, 3)
    model, images = "models/translators/pix2pix_pairs/0", "data/raw/world_night/day"
    ended = run_here(tmp_path, "translate", "--model", model, "--images", images, "--out", "out")
    assert ended.code == 0 and ended.out == "6 pictures in out\n", ended.err
    assert "does not learn from pairs" in run_here(tmp_path, "evaluate_pairs", "pix2pix", "0").sentence
