"""CUT's nets: sizes, blurs, taps, patch places and first weights, beyond what the parity fixtures pin."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.losses import patch_nce
from pipeline.nets.cut import (
    LAYERS,
    BlurDown,
    BlurUp,
    CutDiscriminator,
    CutGenerator,
    PatchProjector,
    init_xavier,
    patch_places,
)
from pipeline.nets.patchgan import PatchGAN

POSITIONS = np.array([11, 12, 40])


def generator(blocks: int = 5) -> CutGenerator:
    net = CutGenerator(width=8, blocks=blocks)
    init_xavier(net, torch.Generator().manual_seed(0), gain=1.0)
    return net


def test_the_published_filters():
    row = torch.tensor([1.0, 2, 1])
    assert torch.equal(BlurDown(5).filt, (row[:, None] * row / 16).expand(5, 1, 3, 3))
    row = torch.tensor([1.0, 3, 3, 1])
    assert torch.equal(BlurUp(5).filt, (row[:, None] * row / 16).expand(5, 1, 4, 4))


@pytest.mark.parametrize("layer", [BlurDown(2), BlurUp(2)])
def test_blurs_keep_a_flat_map_flat_up_to_the_border(layer):
    assert torch.allclose(layer(torch.full((1, 2, 9, 12), 0.7)), torch.tensor(0.7))


def test_blurs_halve_and_double():
    x = torch.rand(1, 2, 8, 12)
    assert BlurDown(2)(x).shape == (1, 2, 4, 6)
    assert BlurUp(2)(x).shape == (1, 2, 16, 24)
    assert BlurDown(2)(torch.rand(1, 2, 7, 9)).shape == (1, 2, 4, 5)


def test_a_shifted_stripe_changes_the_mean_less_than_with_strides():
    """Why the blurs are there: thin things neither vanish nor double when they move by a pixel."""

    def spread(down: nn.Module) -> float:
        means = []
        for shift in range(2):
            x = torch.zeros(1, 1, 16, 16)
            x[..., 6 + shift] = 1
            means.append(down(x).mean().item())
        return abs(means[0] - means[1])

    assert spread(BlurDown(1)) < 1e-6 < 0.05 < spread(nn.MaxPool2d(1, 2))


def test_generator_keeps_the_size_and_the_range():
    picture = generator()(torch.rand(2, 3, 32, 48) * 2 - 1)
    assert picture.shape == (2, 3, 32, 48)
    assert picture.abs().max() <= 1


def test_features_are_those_of_the_translation():
    net, image = generator(), torch.rand(2, 3, 32, 48)
    picture, maps = net.with_features(image)
    alone = net.features(image)
    assert torch.equal(picture, net(image))
    assert all(torch.equal(a, b) for a, b in zip(maps, alone, strict=True))
    assert [x.shape[1] for x in maps] == net.channels(LAYERS) == [3, 16, 32, 32, 32]


@pytest.mark.parametrize("layers", [(0, 17), (4, 0), (5,), (-1,), (4, 4)])
def test_layers_without_features_are_refused(layers):
    with pytest.raises(ValueError, match="choose"):
        generator().channels(layers)  # 17 is the first of the decoder, 5 a norm that a ReLU overwrites


def test_discriminator_scores_the_patches_that_the_patchgan_scores():
    scores = CutDiscriminator(width=8)(torch.rand(2, 3, 64, 96))
    assert scores.shape == PatchGAN(width=8)(torch.rand(2, 3, 64, 96)).shape


def test_places_belong_to_the_picture():
    maps = [torch.zeros(3, 3, 20, 30), torch.zeros(3, 8, 4, 5)]
    places = patch_places(maps, 64, 7, "nce", POSITIONS)
    assert [tuple(p.shape) for p in places] == [(3, 64), (3, 20)]
    for p, x in zip(places, maps, strict=True):
        assert all(len(set(row)) == len(row) for row in p.tolist())
        assert p.min() >= 0 and p.max() < x[0, 0].numel()
    alone = patch_places([x[1:2] for x in maps], 64, 7, "nce", POSITIONS[1:2])
    assert all(torch.equal(a[0], p[1]) for a, p in zip(alone, places, strict=True))
    for seed, stream in ((8, "nce"), (7, "identity")):
        assert not torch.equal(patch_places(maps, 64, seed, stream, POSITIONS)[0], places[0])
    counts = np.bincount(np.concatenate([patch_places(maps, 64, s, "nce", POSITIONS)[0] for s in range(150)], None))
    assert counts.min() > 0 and counts.max() < 2.2 * counts.mean()  # no place is left out, none is favoured


def test_projected_patches_have_length_one_and_stay_with_their_picture():
    net, image = generator(), torch.rand(3, 3, 32, 48)
    project = PatchProjector(net.channels(), 16)
    maps = net.features(image)
    places = patch_places(maps, 10, 0, "nce", POSITIONS)
    rows = project(maps, places)
    assert [tuple(r.shape) for r in rows] == [(3, 10, 16)] * 5
    assert all(torch.allclose(r.norm(dim=2), torch.tensor(1.0), atol=1e-4) for r in rows)
    one = project([x[1:2] for x in maps], [p[1:2] for p in places])
    assert all(torch.allclose(a[0], r[1], atol=1e-5) for a, r in zip(one, rows, strict=True))


def test_the_loss_falls_when_patches_find_their_own():
    net, project = generator(), PatchProjector([3, 16, 32, 32, 32], 16)
    init_xavier(project, torch.Generator().manual_seed(1), gain=1.0)
    image = torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(2))
    optimizer = torch.optim.Adam([*net.parameters(), *project.parameters()], 2e-3)
    places = patch_places(net.features(image), 32, 0, "nce", POSITIONS[:2])
    losses = []
    for _ in range(12):
        fake, maps = net.with_features(image)
        pairs = zip(project(net.features(fake), places), project(maps, places), strict=True)
        loss = torch.stack([patch_nce(queries, keys) for queries, keys in pairs]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * math.log(32) < losses[0]  # log 32 is what patches that are all alike cost


def test_keys_get_no_gradient():
    queries, keys = (torch.rand(2, 4, 8).requires_grad_() for _ in range(2))
    patch_nce(queries, keys).backward()
    assert queries.grad is not None and queries.grad.any()
    assert keys.grad is None


def test_first_weights_depend_on_the_given_stream_alone():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed + 17)  # the global stream must not matter
        nets = nn.ModuleList([CutGenerator(8, 1), CutDiscriminator(width=8), PatchProjector([3, 16])])
        init_xavier(nets, torch.Generator().manual_seed(5))
        assert torch.equal(nets.get_buffer("0.model.7.filt"), BlurDown(16).filt)
        return torch.cat([p.detach().flatten() for p in nets.parameters()])

    assert torch.equal(weights(0), weights(1))
    layer = nn.Conv2d(64, 128, 3)
    init_xavier(layer, torch.Generator().manual_seed(5))
    assert layer.weight.std().item() == pytest.approx(0.02 * (2 / (9 * 64 + 9 * 128)) ** 0.5, rel=0.02)
    assert not layer.bias.any()
