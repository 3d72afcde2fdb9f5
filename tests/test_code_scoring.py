"""Figures of codes: factors that are known, labels that are missing, and codes that stand for classes by name."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.code_scoring import Reading, figures, information, read_digits
from pipeline.engine.model import Model, load_model
from pipeline.files import UserError
from pipeline.methods import method_module, method_names
from pipeline.sample import Sample
from tests.engine import toy

SAMPLERS = [name for name in method_names() if method_module(name).ABILITY == "sampler"]


def opened(name: str, folder: Path) -> Model:
    toy.write_model(name, folder)
    return load_model(folder)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return opened("infogan", tmp_path / "model")


def samples(count: int, **meta: object) -> list[Sample]:
    image = np.random.RandomState(0).randint(0, 256, (count, 32, 32, 3)).astype(np.uint8)
    return [Sample(f"train-{n}", image[n], meta={"category": n % 3, **meta}) for n in range(count)]


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_is_read_and_draws(name: str, tmp_path: Path) -> None:
    model = opened(name, tmp_path / "model")
    for buffer in ("single", "frequent"):
        model.nets["matching"].get_buffer(buffer).copy_(torch.arange(3))
    found = figures(model, read_digits(model, samples(6), "there"))
    assert found["pictures"] == 6 and 0 <= found["error_many"] <= found["error"] <= 1
    assert found["information"] <= math.log(3)


def test_a_continuous_code_is_named_after_the_factor_that_it_follows(model: Model) -> None:
    model.nets["matching"].single.copy_(torch.arange(3))
    factors = np.random.RandomState(0).uniform(-1, 1, (40, 2))
    read = Reading(np.arange(40) % 3, np.stack([factors[:, 1] ** 3, -factors[:, 0]], 1), np.arange(40) % 3, factors)
    found = figures(model, read)
    assert [(one["code"], one["factor"]) for one in found["factors"]["best"]] == [(0, "width"), (1, "slant")]
    assert [round(one["spearman"], 6) for one in found["factors"]["best"]] == [1, 1]
    assert (found["error"], found["error_named"]) == (0, None)


def test_a_code_is_a_class_by_name_where_labels_were_used(model: Model) -> None:
    model.params["infogan"]["labelled"] = 0.1
    model.nets["matching"].single.copy_(torch.tensor([1, 2, 0]))
    code = np.arange(6) % 3
    found = figures(model, Reading(code, np.zeros((6, 2)), (code + 1) % 3, None))
    assert (found["error"], found["error_named"], found["factors"]) == (0, 1, None)


def test_factors_and_categories_are_read_and_what_is_missing_is_told(model: Model) -> None:
    read = read_digits(model, samples(5, factors=[0.5, 1.0]), "there")
    assert read.digit.tolist() == [0, 1, 2, 0, 1] and read.mean.shape == (5, 2)
    assert read.factors is not None and read.factors.tolist() == [[0.5, 1.0]] * 5
    with pytest.raises(UserError, match="stand for no class: its training digits had no categories"):
        figures(model, read)
    with pytest.raises(UserError, match="there: train-1 has no category"):
        read_digits(model, [samples(1)[0], Sample("train-1", samples(1)[0].image)], "there")


def test_the_information_is_that_of_what_is_drawn(model: Model) -> None:
    class Told:
        """A sampler whose pictures are its codes."""

        Settings, codes = model.module.Settings, staticmethod(model.module.codes)

        @staticmethod
        def sample(nets: object, joined: torch.Tensor) -> torch.Tensor:
            return joined

        @staticmethod
        def read(nets: object, joined: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
            return 50 * joined[:, 6:9], joined[:, 9:] + 0.1, None

    model.module = Told  # type: ignore[assignment]
    found = information(model)
    assert found["information"] == pytest.approx(math.log(3))
    assert found["information_continuous"] == pytest.approx(
        2 * (math.log(2) - math.log(2 * math.pi * math.e * 0.01) / 2), rel=1e-4
    )
