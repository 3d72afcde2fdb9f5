"""SimGAN's and CUT's nets and losses against the published code's values, in float64 (sharp) and in float32."""

import json

import numpy as np
import pytest
import torch

from pipeline.losses import patch_nce
from pipeline.nets.cut import CutDiscriminator, CutGenerator, PatchProjector
from pipeline.nets.simgan import LocalDiscriminator, Refiner, local_adversarial, self_regularisation
from tests.parity import fill
from tests.parity.fixture import FLOAT64_RTOL, HERE, Fixture

LOSSES = json.loads((HERE / "losses.json").read_text())
KEYS = json.loads((HERE / "published_keys_cyclegan_cut.json").read_text())["nets"]
PRECISIONS = [(torch.float32, 1e-6), (torch.float64, 1e-10)]  # as losses.json says


class Rows(LocalDiscriminator):
    """Logits as the published code lays them out: (N h w, 2)."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image).permute(0, 2, 3, 1).flatten(0, 2)


NETS = {
    "simgan_refiner": lambda: Refiner(channels=1, width=64, blocks=4),
    "simgan_discriminator": lambda: Rows(channels=1),
    "cut_generator": lambda: CutGenerator(width=8, blocks=6),
    "cut_discriminator": lambda: CutDiscriminator(layers=3, width=8),
}


@pytest.mark.parametrize("name", NETS)
def test_nets(name):
    """`pytest -rP` shows the largest differences found."""
    fixture = Fixture(name)
    fixture.record.setdefault("zero_gradients", None)  # nets without a norm have none
    fixture.check(fixture.fill(NETS[name]()))
    print(name, fixture.found)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("cut_G", CutGenerator),
        ("cut_D", CutDiscriminator),
        ("cut_F", lambda: PatchProjector(CutGenerator().channels())),
    ],
)
def test_published_keys_and_shapes_of_cut(name, build):
    with torch.device("meta"):
        net = build()
    assert [[key, list(value.shape)] for key, value in net.state_dict().items()] == KEYS[name]["state"]
    assert sum(p.numel() for p in net.parameters()) == KEYS[name]["parameters"]


def test_features_and_projected_patches_of_cut():
    stored = json.loads((HERE / "cut_patches.json").read_text())
    net, project = CutGenerator(width=8, blocks=6), PatchProjector(stored["channels"], 24)
    with torch.no_grad():
        for key, value in [*net.state_dict().items(), *project.state_dict().items()]:
            if not key.endswith("filt"):
                value.copy_(torch.from_numpy(fill.weight(key, value.shape)))
    image = torch.from_numpy(fill.array("input:cut_patches", stored["shape"])).double()
    picture, maps = net.double().with_features(image, stored["layers"])
    assert net.channels(stored["layers"]) == stored["channels"]
    places = [torch.arange(0, x.shape[2] * x.shape[3], 7)[:16].expand(2, -1) for x in maps]
    got = {"picture": picture}
    got |= {f"map:{n}": x for n, x in enumerate(maps)}
    got |= {f"patches:{n}": rows for n, rows in enumerate(project.double()(maps, places))}
    expected = {"picture": stored["picture"]}
    for kind, values in (("map", stored["maps"]), ("patches", stored["patches"])):
        expected |= {f"{kind}:{n}": probe for n, probe in enumerate(values)}
    assert got.keys() == expected.keys()
    for name, probe in expected.items():
        seen = fill.probe(name, got[name].detach().numpy())
        assert seen == pytest.approx(probe, abs=FLOAT64_RTOL * probe[0]), name


def given(name: str, shape: tuple[int, ...], dtype: torch.dtype, low: float = -1, high: float = 1) -> torch.Tensor:
    return torch.from_numpy(fill.array(name, shape, low, high)).to(dtype)


def close(loss: torch.Tensor, leaf: torch.Tensor, name: str, stored: dict, rtol: float) -> None:
    """Value, and gradient of `leaf`."""
    loss.backward()
    assert leaf.grad is not None
    probe = stored["gradient"][name]
    assert loss.item() == pytest.approx(stored["value"], rel=rtol)
    assert fill.probe(f"grad:{name}", leaf.grad.numpy()) == pytest.approx(tuple(probe), abs=rtol * probe[0])


@pytest.mark.parametrize(("dtype", "rtol"), PRECISIONS)
@pytest.mark.parametrize(("case", "pictures"), [("negatives_same_picture", 2), ("negatives_whole_batch", 1)])
def test_patch_nce(case, pictures, dtype, rtol):
    queries, keys = (given(f"loss:nce_{name}", (32, 32), dtype) for name in "qk")
    queries.requires_grad_()
    rows = [x / (x.norm(dim=1, keepdim=True) + 1e-7) for x in (queries, keys)]
    loss = patch_nce(*(x.unflatten(0, (pictures, -1)) for x in rows))
    close(loss, queries, "loss:nce_q", LOSSES["patch_nce"][case], rtol)


@pytest.mark.parametrize(("dtype", "rtol"), PRECISIONS)
@pytest.mark.parametrize("real", [True, False])
def test_local_adversarial_loss(real, dtype, rtol):
    rows = given("loss:simgan_logits", (378, 2), dtype, -2, 2).requires_grad_()
    logits = rows.unflatten(0, (3, 9, 14)).permute(0, 3, 1, 2)
    stored = LOSSES["simgan"][f"cross_entropy_mean_label{int(real)}"]
    close(local_adversarial(logits, real, "mean"), rows, "loss:simgan_logits", stored, rtol)
    total = local_adversarial(logits, real, "sum").item()
    assert total == pytest.approx(378 * stored["value"], rel=rtol)


@pytest.mark.parametrize(("dtype", "rtol"), PRECISIONS)
def test_self_regularisation(dtype, rtol):
    refined, synthetic = (given(f"loss:simgan_{name}", (3, 1, 35, 55), dtype) for name in ("refined", "synthetic"))
    stored = LOSSES["simgan"]["self_regularisation"]
    got = {how: self_regularisation(refined, synthetic, how).item() for how in ("mean", "sum")}
    assert got["mean"] == pytest.approx(stored["mean_l1"], rel=rtol)
    assert got["sum"] == pytest.approx(stored["sum_l1"], rel=rtol)
    assert np.isfinite(list(got.values())).all()
