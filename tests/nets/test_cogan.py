"""CoGAN: one code draws a picture of each domain, and a translation draws a picture's own code in the other domain."""

import pytest
import torch

from pipeline.engine.step import run_step
from pipeline.files import UserError
from pipeline.methods.cogan import exported, translate
from tests.engine import toy


def test_a_picture_is_translated_the_same_in_any_company():
    nets = exported(toy.params("cogan"), len(toy.CLASSES)).eval().double()
    pictures = torch.rand(3, 3, 37, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    with torch.inference_mode():
        together = translate(nets, pictures)
        alone = torch.cat([translate(nets, picture[None]) for picture in pictures])
    assert together.shape == pictures.shape
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-12)


def test_the_encoder_learns_what_the_generator_draws_and_the_generator_learns_nothing_from_it():
    method, batch = toy.build("cogan", {"train": {"lr": 2e-3}}), next(toy.Drawn("cogan").batches(0))
    optimizers, drawing = method.optimizers(), [p for name in ("G", "G_A") for p in method.nets[name].parameters()]
    before = [p.detach().clone() for p in drawing]
    for name in ("generator", "discriminator"):
        optimizers[name].param_groups[0]["lr"] = 0.0
    inversions = [float(run_step(method.step(batch), optimizers)["inversion"]) for _ in range(20)]
    assert inversions[-1] < 0.97 * inversions[0]
    assert all(torch.equal(a, b) for a, b in zip(before, drawing, strict=True))


def test_the_same_codes_are_drawn_for_the_same_places_in_the_training_order():
    method, pictures = toy.build("cogan"), torch.zeros(2, 3, 32, 48)
    first, again = method._codes(pictures, [3, 4]), method._codes(pictures[:1], [4])
    assert first.shape == (2, 4, 2, 3) and torch.equal(first[1:], again) and not torch.equal(first[0], first[1])


@pytest.mark.parametrize("crop", [[32, 40], [16, 32]])
def test_a_crop_that_cannot_be_drawn_is_a_sentence(crop):
    with pytest.raises(UserError, match="cogan draws multiples of 16 pixels, 32 or more; set crop so"):
        toy.build("cogan", {"train": {"crop": crop}})
