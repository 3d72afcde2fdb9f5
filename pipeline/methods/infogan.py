"""InfoGAN: codes that mean something (Chen, Duan, Houthooft, Schulman, Sutskever, Abbeel; NIPS 2016, arXiv 1606.03657).

G draws from noise, a categorical code and some continuous ones. Q, a second head on the discriminator's trunk, reads the
codes from the picture; what it can tell is a lower bound of the mutual information of codes and picture (equation 5), and
both sides maximise it. As in openai/InfoGAN it is subtracted from both losses, and Q's parameters belong to D's optimizer,
so that the shared trunk learns from it, too.

Not as published: each category is drawn equally often, one draw feeds the updates of both sides, and two additions that 0
switches off. `invariance` has Q tell a real picture as it tells the same one turned, shifted and scaled a little, and all
pictures together as all categories (the mutual information of Ji, Henriques, Vedaldi; ICCV 2019): without it two digits may
share a code. For the first `head_start` of the steps trunk and Q learn nothing else. `labelled` is a share of the real pictures
whose categories Q is told.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.engine.settings import Count, MethodSettings, Rate, TrainSettings, Weight
from pipeline.engine.step import Update, mean_over_ranks
from pipeline.files import UserError
from pipeline.losses import vanilla
from pipeline.losses_codes import categorical_information, gaussian_nll, pair_information, uniform_information
from pipeline.matching import crossed, frequent, matched
from pipeline.methods import cyclegan
from pipeline.methods.cyclegan import adam
from pipeline.nets.calibration import Matching, measure_norms
from pipeline.nets.infogan import (
    PLANS,
    InfoDHead,
    InfoGenerator,
    InfoQHead,
    InfoTrunk,
    begin_at,
    begin_undecided,
)
from pipeline.nets.init import init_normal
from pipeline.nets.synchronised import shared_mean
from pipeline.shards.batch import collate
from pipeline.shards.feed import ShardSource
from pipeline.shards.loader import in_order
from pipeline.shards.order import locate, uniforms

ABILITY = "sampler"
USES_TARGET_LABELS = False
DOMAINS = {"digits": ("image",)}
HELD_OUT = {"digits": ("image", "meta")}
BLOCKS = ("train", "infogan")
UNUSED = (*cyclegan.UNUSED, "train.joined")
MEMORY = 0.9  # of how often categories were told together: a batch is too small to say whether all are used alike
BATCH = 256  # pictures that are read together
MEASURED = 10 * BATCH  # pictures that the norms' statistics are measured on
UNKNOWN = -100  # the category of a picture that is not labelled: cross entropy leaves it out
Share = Annotated[float, Field(ge=0, le=1)]
Told = tuple[Tensor, Tensor, Tensor]  # what Q says: logits N categories, means and log variances N continuous


class Settings(MethodSettings):
    """Codes, nets and weights; the paper's for MNIST as defaults. G's rate is train.lr."""

    noise: Count = 62  # numbers that mean nothing, uniform in [-1, 1]
    categories: Annotated[int, Field(ge=2)] = 10  # of the categorical code
    continuous: Count = 2  # codes, uniform in [-1, 1]
    width: Count = 64
    brightness: Annotated[float, Field(gt=0, lt=1)] = 0.5  # of G's first pictures; 0.5 is grey
    discriminator_lr: Rate = 0.0002  # of trunk, D and Q
    categorical_weight: Weight = 1.0  # of what is told of the categorical code
    continuous_weight: Weight = 1.0
    head_start: Share = 0.0  # share of the steps, the first, in which Q and the trunk learn from real pictures alone
    warmup: Share = 0.0  # share of the steps, the next, in which both weights grow from 0
    variance: Literal["fixed", "learned"] = "fixed"  # of Q's normal distributions: 1, or between e^-6 and e^2
    labelled: Share = 0.0  # of the real pictures whose categories are used
    labelled_weight: Weight = 1.0
    invariance: Weight = 0.0
    balance: Annotated[float, Field(ge=1)] = (
        1.5  # of all pictures' categories beside their certainty; 1: mutual information
    )
    slant: Weight = 0.4  # of the other picture of `invariance`, at most: pixels sideways a pixel up
    turn: Weight = 10.0  # degrees
    shift: Weight = 2.0  # pixels
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1  # share


@dataclass(frozen=True)
class Codes:
    """Drawn codes of N pictures."""

    category: Tensor  # int64 N
    continuous: Tensor  # N J in [-1, 1]
    joined: Tensor  # what G takes: noise, category as one-hot, continuous codes


def codes(own: Settings, seed: int, positions: np.ndarray, like: Tensor) -> Codes:
    """The codes of places in the training order, on the device and of the type of `like`.

    In every run of as many places as there are categories each is drawn once, so that no batch lacks one.
    """
    drawn = torch.from_numpy(2 * uniforms(seed, "infogan/codes", positions, own.noise + own.continuous) - 1).to(like)
    noise, continuous = drawn.split([own.noise, own.continuous], 1)
    category = torch.from_numpy(locate(seed, own.categories, positions, "infogan/category")).to(like.device)
    return Codes(category, continuous, join(own, noise, category, continuous))


def join(own: Settings, noise: Tensor, category: Tensor, continuous: Tensor) -> Tensor:
    """What G takes, N noise + categories + continuous, of the three kinds of numbers."""
    return torch.cat([noise, F.one_hot(category, own.categories).to(noise), continuous], 1)


class InfoGAN:
    """G, and D and Q on one trunk. Without `informed` the control: G is told nothing of the codes, and Q only reads them."""

    def __init__(self, train: TrainSettings, own: Settings, seed: int, informed: bool = True) -> None:
        self.train, self.own, self.seed, self.informed = train, own, seed, informed
        size, width, random = train.crop[0], own.width, torch.Generator().manual_seed(seed)
        G, Q = _generator(own, size), _reader(own, size)
        self.nets = nn.ModuleDict({"G": G, "trunk": InfoTrunk(size, width=width), "D": InfoDHead(size, width), "Q": Q})
        init_normal(self.nets, random)
        begin_at(G, own.brightness)
        begin_undecided(Q, random)
        self.frozen = nn.ModuleDict({"matching": Matching(own.categories)})
        self.joint = torch.zeros(own.categories, own.categories)
        self.begun = round(own.head_start * train.steps) if informed else 0

    def optimizers(self) -> dict[str, Optimizer]:
        G, trunk, D, Q = self._nets()
        rate = self.own.discriminator_lr
        made: dict[str, Optimizer] = {"generator": adam(self.train, G)}
        if self.informed:
            return made | {"discriminator": adam(self.train, trunk, D, Q, lr=rate)}
        return made | {
            "discriminator": adam(self.train, trunk, D, lr=rate),
            "reader": adam(self.train, Q, lr=rate),
        }

    def step(self, batch: Any) -> Iterator[Update]:
        G, trunk, D, Q = self._nets()
        real, positions = batch.digits.image[:, :1], batch.digits.positions
        n = int(positions[0]) // self.train.batch
        if n < self.begun:
            yield from self._head_start(batch.digits, n)
            return
        drawn, grown = codes(self.own, self.seed, positions, real), self._grown(n)
        fake = G(drawn.joined)
        seen_real, seen_fake = trunk(real), trunk(fake)
        judged = {"D": vanilla(D(seen_real), True) + vanilla(D(seen_fake), False)}
        read = {f"{name}_Q": loss for name, loss in self._unread(Q(seen_fake), drawn, grown).items()}
        if self.informed:
            yield Update("discriminator", judged | read | self._told_of_real(batch.digits, seen_real, n))
        else:
            yield Update("discriminator", judged)
            yield Update("reader", read)
        seen_fake = trunk(fake)
        told = Q(seen_fake)
        yield Update("generator", _bounds(told, drawn), due=False)  # for the curves
        read = {f"{name}_G": loss for name, loss in self._unread(told, drawn, grown).items()} if self.informed else {}
        yield Update("generator", {"gan": vanilla(D(seen_fake), True)} | read)

    def _head_start(self, digits: Any, n: int) -> Iterator[Update]:
        """What Q tells of real pictures, and 0 for all that is not due yet."""
        zero = digits.image.new_zeros(())
        told = self._told_of_real(digits, self.nets["trunk"](digits.image[:, :1]), n)
        yield Update("discriminator", dict.fromkeys(("D", "category_Q", "continuous_Q"), zero) | told)
        drawn = ("information", "information_continuous", "gan", "category_G", "continuous_G")
        yield Update("generator", dict.fromkeys(drawn, zero), due=False)

    def _grown(self, n: int) -> float:
        """The share of the information's weights at step n."""
        warm = self.own.warmup * self.train.steps
        return min(1.0, (n + 1 - self.begun) / warm) if warm else 1.0

    def _unread(self, told: Told, drawn: Codes, grown: float) -> dict[str, Tensor]:
        """What Q does not tell of the codes: the bound of the information but for its sign and the codes' entropy."""
        own, (logits, mean, log_variance) = self.own, told
        spread = log_variance if own.variance == "learned" else None
        return {
            "category": grown * own.categorical_weight * F.cross_entropy(logits, drawn.category),
            "continuous": grown * own.continuous_weight * gaussian_nll(drawn.continuous, mean, spread),
        }

    def _told_of_real(self, digits: Any, seen: Tensor, n: int) -> dict[str, Tensor]:
        """The losses of what Q tells of real pictures, whose features are `seen`, at step n."""
        own, trunk, Q = self.own, self.nets["trunk"], self.nets["Q"]
        if not (own.labelled or own.invariance):
            return {}
        logits, found = Q(seen)[0], {}
        if own.labelled:
            goal = labels(digits, own)
            lost = F.cross_entropy(logits, goal, ignore_index=UNKNOWN, reduction="sum")
            found["labelled"] = own.labelled_weight * lost / (own.labelled * len(digits))  # the expected count: no bias
        if own.invariance:
            other = warped(digits.image[:, :1], own, uniforms(self.seed, "infogan/warp", digits.positions, 5))
            one, two = logits.softmax(1), Q(trunk(other))[0].softmax(1)
            joint = shared_mean(
                (one[:, :, None] * two[:, None]).mean(0)
            )  # no product of matrices: float32 in bf16, too
            kept = min(MEMORY, n / (n + 1))
            self.joint = kept * self.joint.to(joint) + (1 - kept) * joint.detach()
            usual = self.joint + joint - joint.detach()  # the value of the last batches, the whole slope of this one
            found["invariance"] = -own.invariance * pair_information(usual, own.balance)
        return found

    def _nets(self) -> tuple[nn.Module, ...]:
        return tuple(self.nets[name] for name in ("G", "trunk", "D", "Q"))

    def state(self) -> dict[str, Any]:
        return {"joint": self.joint}

    def load_state(self, state: dict[str, Any]) -> None:
        self.joint = state["joint"]


def _bounds(told: Told, drawn: Codes) -> dict[str, Tensor]:
    """The information of both kinds of codes in nats, for the curves; that of continuous ones for the best one variance."""
    logits, mean, _ = told
    squared = mean_over_ranks((mean - drawn.continuous).square().mean(0))
    information = categorical_information(logits, drawn.category)
    return {"information": information, "information_continuous": uniform_information(squared)}


def warped(image: Tensor, own: Settings, drawn: np.ndarray) -> Tensor:
    """Pictures N1HW slanted, turned, scaled and shifted by at most what `own` says; what was outside is black.

    drawn: (N, 5) in [0, 1).
    """
    slant, turn, scale, *shift = torch.from_numpy(2 * drawn.T - 1).to(image)
    angle, lean = turn * math.radians(own.turn), own.slant * slant
    cos, sin = ((1 + own.scale * scale) * part for part in (angle.cos(), angle.sin()))
    x, y = (2 * own.shift * part / image.shape[-1] for part in shift)
    places = torch.stack([torch.stack([cos, lean * cos - sin, x], 1), torch.stack([sin, lean * sin + cos, y], 1)], 1)
    grid = F.affine_grid(places, list(image.shape), align_corners=False)
    return F.grid_sample(image + 1, grid, align_corners=False) - 1


# -- labels -------------------------------------------------------------------------------------------------------


def is_labelled(key: str, share: float) -> bool:
    """Whether the category of the picture of this key may be used: by its name alone, in any run."""
    return int.from_bytes(hashlib.sha256(f"labelled/{key}".encode()).digest()[:8], "big") < share * 2**64


def labels(digits: Any, own: Settings) -> Tensor:
    """The categories of a batch, int64 N, -100 where a picture is not among the labelled ones.

    Raises UserError where the set has none, or one that is no number of a code.
    """
    if digits.category is None:
        raise UserError(
            "infogan.labelled needs pictures with categories, and data/shards/digits_train has none; set it to 0"
        )
    chosen = torch.tensor([is_labelled(key, own.labelled) for key in digits.keys], device=digits.category.device)
    known = torch.where(chosen, digits.category, UNKNOWN)
    if len(wrong := known[chosen & ((known < 0) | (known >= own.categories))]):
        raise UserError(
            f"a labelled picture is of category {int(wrong[0])}, but infogan.categories is {own.categories}; set it higher"
        )
    return known


# -- the trained nets ---------------------------------------------------------------------------------------------


def build(params: dict[str, Any], classes: int, seed: int) -> InfoGAN:
    return InfoGAN(TrainSettings(**params["train"]), Settings(**params["infogan"]), seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    own, size = Settings(**params["infogan"]), params["train"]["crop"][0]
    nets = {"G": _generator(own, size), "trunk": InfoTrunk(size, width=own.width), "Q": _reader(own, size)}
    return nn.ModuleDict({**nets, "matching": Matching(own.categories)})


def _generator(own: Settings, size: int) -> InfoGenerator:
    return InfoGenerator(size, own.noise + own.categories + own.continuous, width=own.width)


def _reader(own: Settings, size: int) -> InfoQHead:
    return InfoQHead(size, own.categories, own.continuous, own.width)


def sample(nets: nn.ModuleDict, joined: Tensor) -> Tensor:
    """Pictures N1HW in [-1, 1] of codes as `join` makes them."""
    return nets["G"](joined)


def read(nets: nn.ModuleDict, image: Tensor) -> Told:
    """What Q tells of pictures, N H W of one plane or of three that are equal, of the size that it was trained on."""
    return nets["Q"](nets["trunk"](image[:, :1]))


def domains(params: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The parts that a training with these parameters reads: without `labelled` it sees no category."""
    return {"digits": ("image", "meta") if params["infogan"].get("labelled") else ("image",)}


@torch.no_grad()
def calibrate(nets: nn.ModuleDict, params: dict[str, Any], sets: dict[str, ShardSource]) -> None:
    """From the training digits: the statistics of all norms, then the classes of the codes, if the digits have categories."""
    own, digits, like = Settings(**params["infogan"]), sets["digits"], next(nets.parameters())
    places = np.unique(np.linspace(0, len(digits) - 1, MEASURED).astype(int))  # all over a set that may be sorted
    pictures = collate([digits.read(int(i), ("image",)) for i in places], "digits", places, like.device).image
    assert pictures is not None
    joined = codes(own, 0, np.arange(MEASURED), like).joined
    measure_norms(nets["G"], lambda: [sample(nets, part) for part in joined.split(BATCH)])
    for name in ("trunk", "Q"):
        measure_norms(nets[name], lambda: [read(nets, part) for part in pictures.split(BATCH)])
    found, known = [], []
    for batch in in_order(digits, BATCH, parts=HELD_OUT["digits"], device=like.device):
        assert batch.image is not None
        if batch.category is None:
            return
        found.append(read(nets, batch.image)[0].argmax(1))
        known.append(batch.category)
    told, true = (torch.cat(one).cpu().numpy() for one in (found, known))
    table = crossed(told, true, (own.categories, int(true.max()) + 1))
    matching: Any = nets["matching"]
    matching.single.copy_(torch.from_numpy(matched(table)))
    matching.frequent.copy_(torch.from_numpy(frequent(table)))


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    crop, own, found = params["train"]["crop"], params["infogan"], []
    if crop[0] != crop[1] or crop[0] not in PLANS:
        found.append(
            f"params.yaml: infogan draws squares of 28 or 32 pixels, not {crop}; set infogan.train.crop and digits.size"
        )
    if own.get("head_start") and not (own["invariance"] or own["labelled"]):
        found.append("params.yaml: infogan.head_start has nothing to learn without invariance or labelled; set it to 0")
    return found
