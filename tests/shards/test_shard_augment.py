"""One window and one mirror for all maps; padding is no class; draws belong to positions."""

import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline.files import UserError
from pipeline.params import parse
from pipeline.shards.augment import MAPS, augment, crop, flip, jitter
from pipeline.shards.augment_settings import AugmentSettings
from pipeline.shards.batch import Batch
from pipeline.shards.feed import ShardFeed

HEIGHT, WIDTH = 20, 32
ALL = AugmentSettings(crop=[12, 20], flip=0.5, jitter=0.3, hue=0.1)


def ramp(n: int = 6, first: int = 0) -> Batch:
    """A batch whose maps all hold their pixel's own number, so that what moved where can be read off."""
    number = torch.arange(HEIGHT * WIDTH).reshape(1, 1, HEIGHT, WIDTH).repeat(n, 1, 1, 1)
    unit = number.float() / number.max() * 2 - 1
    valid = number % 3 > 0
    return Batch(
        "source",
        [f"a{i}" for i in range(n)],
        np.arange(first, first + n),
        image=unit.repeat(1, 3, 1, 1),
        paired=unit.repeat(1, 3, 1, 1),
        label=number[:, 0] % 19,
        instance=number[:, 0].clone(),
        depth=number.float(),
        flow=torch.cat([number, number + 0.5], 1).float(),
        flow_valid=valid,
        flow_back=torch.cat([number, number + 0.5], 1).float(),
        flow_back_valid=valid.clone(),
    )


def test_all_maps_get_the_same_window_and_mirror():
    done = augment(ramp(16), AugmentSettings(crop=[12, 20], flip=0.5), seed=3)
    where = done.instance  # the number of the pixel that came here
    assert where.shape == (16, 12, 20)
    assert len({tuple(w[0, [0, -1]].tolist()) for w in where}) > 8  # windows differ, some are mirrored
    assert torch.equal(done.label, where % 19)
    assert torch.equal(done.depth[:, 0], where.float())
    assert torch.equal(done.flow_valid[:, 0], where % 3 > 0) and torch.equal(done.flow_back_valid, done.flow_valid)
    np.testing.assert_array_equal(done.image[:, 0].numpy(), (where.float() / (HEIGHT * WIDTH - 1) * 2 - 1).numpy())
    assert torch.equal(done.paired, done.image)
    mirrored = where[:, 0, 0] > where[:, 0, -1]
    assert 0 < mirrored.sum() < 16
    sign = torch.where(mirrored, -1.0, 1.0)[:, None, None]
    for flow in (done.flow, done.flow_back):
        assert torch.equal(flow[:, 0], sign * where.float())  # u changes its sign with the mirror
        assert torch.equal(flow[:, 1], where + 0.5)  # v never does


def test_mirroring_a_moving_picture_mirrors_its_motion():
    before, after = torch.zeros(1, 3, 4, 10), torch.zeros(1, 3, 4, 10)
    before[..., 1, 2], after[..., 1, 5] = 1, 1  # a dot moves three pixels to the right
    flow = torch.zeros(1, 2, 4, 10)
    flow[0, 0, 1, 2] = 3
    batch = Batch("a", ["a"], np.array([0]), image=before, flow=flow)
    turned = flip(batch, np.array([True]))
    y, x = (turned.image[0, 0] == 1).nonzero()[0].tolist()
    end = flip(replace(batch, image=after), np.array([True])).image
    assert end[0, 0, y + int(turned.flow[0, 1, y, x]), x + int(turned.flow[0, 0, y, x])] == 1


def test_windows_reach_every_edge_and_no_further():
    corners = crop(ramp(2), 12, 20, np.array([[0.0, 0.0], [0.999999, 0.999999]])).instance
    assert corners[0, 0, 0] == 0 and corners[1, -1, -1] == HEIGHT * WIDTH - 1


def test_beyond_the_picture_nothing_is_claimed():
    batch = ramp(4)
    done = augment(batch, AugmentSettings(crop=[24, 40], flip=0.5, jitter=0.3), seed=0)
    new = torch.ones(24, 40, dtype=torch.bool)
    new[:HEIGHT, :WIDTH] = False
    assert torch.equal(done.inside, ~new.expand(4, 1, 24, 40))
    assert (done.label[:, new] == 255).all() and (done.instance[:, new] == 0).all()
    assert (
        (done.image[:, :, new] == 0).all()
        and (done.paired[:, :, new] == 0).all()
        and (done.depth[:, :, new] == torch.inf).all()
    )
    assert not done.flow_valid[:, :, new].any() and (done.flow[:, :, new] == 0).all()
    assert (done.label[:, ~new] < 19).all() and done.label.dtype == torch.int64
    assert augment(batch, AugmentSettings(crop=[HEIGHT, WIDTH]), seed=0).inside is None
    tall = augment(batch, AugmentSettings(crop=[24, 20]), seed=0)  # padded below, cut in width
    assert tall.image.shape[2:] == (24, 20) and torch.equal(tall.inside[0, 0].sum(0), torch.full((20,), HEIGHT))


def test_any_split_of_the_batch_gives_the_same_bits():
    whole = augment(ramp(6, first=30), ALL, seed=5)
    for cuts in ((0, 3, 6), (0, 1, 2, 3, 4, 5, 6)):
        pieces = [ramp(b - a, first=30 + a) for a, b in zip(cuts, cuts[1:], strict=False)]
        parts = [augment(piece, ALL, seed=5) for piece in pieces]
        for name in MAPS:
            if getattr(whole, name) is not None:
                assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name)), name


def test_what_is_drawn_depends_on_seed_domain_and_position():
    one = augment(ramp(4), ALL, seed=5)
    assert torch.equal(one.image, augment(ramp(4), ALL, seed=5).image)
    others = [augment(ramp(4), ALL, 6), augment(ramp(4, 4), ALL, 5), augment(replace(ramp(4), domain="target"), ALL, 5)]
    for other in others:
        assert not torch.equal(one.instance, other.instance)


def test_no_global_generator_is_used_or_touched():
    torch.manual_seed(0), np.random.seed(0), random.seed(0)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    first = augment(ramp(), ALL, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before[0]) and random.getstate() == before[2]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    torch.manual_seed(99)
    assert torch.equal(first.image, augment(ramp(), ALL, seed=1).image)


def test_the_old_batch_is_untouched_and_defaults_change_nothing():
    batch, fresh = ramp(), ramp()
    augment(batch, ALL, seed=1)
    done = augment(batch, AugmentSettings(), seed=1)
    for name in MAPS:
        if getattr(fresh, name) is not None:
            assert torch.equal(getattr(batch, name), getattr(fresh, name))
            assert torch.equal(getattr(done, name), getattr(fresh, name))


def test_jitter_is_the_published_photometric_one():
    image = torch.rand(2, 3, 8, 8) * 2 - 1
    same = jitter(image, np.ones((2, 3)), np.zeros(2))
    torch.testing.assert_close(same, image, rtol=0, atol=1e-6)
    dark = jitter(image, np.array([[0.5, 1, 1], [1, 1, 1]]), np.zeros(2))
    torch.testing.assert_close(dark[0], (image[0] + 1) / 2 - 1, rtol=0, atol=1e-6)
    torch.testing.assert_close(dark[1], image[1], rtol=0, atol=1e-6)
    gray = jitter(image, np.array([[1, 1, 0], [1, 1, 0]]), np.zeros(2))
    assert (gray.max(1).values - gray.min(1).values).max() < 1e-6
    red = torch.tensor([1.0, -1, -1])[None, :, None, None].expand(1, 3, 2, 2)
    turned = jitter(red, np.ones((1, 3)), np.array([1 / 3]))  # a third of the colour circle: green
    torch.testing.assert_close(turned[0, :, 0, 0], torch.tensor([-1.0, 1, -1]), rtol=0, atol=1e-5)


def test_jitter_touches_the_pictures_only_and_a_pair_alike():
    plain, done = ramp(), augment(ramp(), AugmentSettings(jitter=0.5, hue=0.2), seed=0)
    assert not torch.equal(plain.image, done.image) and done.image.abs().max() <= 1
    assert torch.equal(done.image, done.paired)
    for name in MAPS[2:-1]:
        assert torch.equal(getattr(plain, name), getattr(done, name))


def test_the_feed_is_the_same_for_any_number_of_ranks(opened):
    def fed(rank, world):
        fabric = SimpleNamespace(global_rank=rank, world_size=world, device=torch.device("cpu"))
        parts = {"source": ("image", "label"), "target": ("image",)}
        feed = ShardFeed({"source": opened, "target": opened}, parts, 4, 1, ALL, fabric)
        batches = feed.batches(5)
        return [next(batches) for _ in range(2)]

    for whole, *halves in zip(fed(0, 1), fed(0, 2), fed(1, 2), strict=True):
        assert torch.equal(whole.source.image, torch.cat([half.source.image for half in halves]))
        assert torch.equal(whole.source.label, torch.cat([half.source.label for half in halves]))
        assert torch.equal(whole.target.image, torch.cat([half.target.image for half in halves]))
        assert whole.target.label is None


@pytest.mark.parametrize("wrong", [{"crop": [128]}, {"crop": [0, 10]}, {"flip": 1.5}, {"jitter": 1.0}, {"flop": 0.5}])
def test_settings_refuse_nonsense(wrong):
    with pytest.raises(UserError, match="params.yaml: '?augment"):
        parse(AugmentSettings, wrong, "augment")
