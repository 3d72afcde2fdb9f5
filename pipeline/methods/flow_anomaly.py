"""Anomalies in video by two translators, frame -> optical flow and flow -> frame (Ravanbakhsh, Nabi, Sangineto, Marcenaro,
Regazzoni, Sebe; ICIP 2017, arXiv 1708.09644).

Two pix2pix are trained on normal clips alone. Where somebody moves as nobody did there, the flow that is drawn from the
frame is wrong; where something looks as nothing did there, the frame that is drawn from its flow is. Flow is a picture of
three planes, u, v and magnitude, scaled by one constant: a scale of each frame's own would take the speed away, which is
what tells a bicycle. As published but for the feature network, which is a parameter, and for the constants by which the two
differences are divided: of held-out normal clips, so that a score is known when its frame is (the paper takes the maxima
of the clip that is judged, its future included; `stages.score` gives that figure too, under its own name). Three additions,
which 1 switches off: differences are averaged over a `window` of pixels and scores over a `memory` of frames, and what is
usual is told for each of `places` x `places` parts of the frame, as a fixed camera sees more motion in some than in others.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Optimizer

from pipeline.engine.settings import Count, Rate, TrainSettings, Weight, check_crop
from pipeline.engine.step import Update
from pipeline.farneback import FlowSettings
from pipeline.methods import pix2pix
from pipeline.methods.pix2pix import UNUSED, Pix2pix, generator
from pipeline.methods.pix2pix_pairs import CHANNELS
from pipeline.nets.calibration import Calibration, recent
from pipeline.nets.perceptual import empty_feature_net, feature_net
from pipeline.nets.resnet_generator import pad_to_multiple
from pipeline.shards.feed import ShardSource
from pipeline.shards.loader import in_order

__all__ = ["ABILITY", "BLOCKS", "DOMAINS", "HELD_OUT", "MODELS", "UNUSED", "USES_TARGET_LABELS", "build", "exported"]

ABILITY = "scorer"
USES_TARGET_LABELS = False
DOMAINS = {"clips": ("image", "flow")}
HELD_OUT = {"clips_held_out": ("image", "flow", "meta")}
BLOCKS = ("train", "flow", "flow_anomaly")
BATCH = 8  # frames that are judged together
MODELS = {"flow": FlowSettings}
CONSTANTS, USUAL = ("threshold", "height", "width"), ("semantic", "flow")
SHARED = 1 / 3  # of what is usual at a place, the mean over all places: few held-out frames pass some of them


class Settings(pix2pix.Settings):
    """Nets and weights of both pix2pix, and how their differences become a score; the paper's as defaults."""

    flow_scale: Rate = 10.0  # pixels a frame that become 1; longer vectors are cut off
    features: Literal["alexnet", "lite0", "vgg19"] = "alexnet"
    features_file: str | None = None
    feature_layer: Annotated[int, Field(ge=0, le=4)] = 4  # of its five maps, shallow to deep; alexnet's 4 is conv5
    flow_weight: Weight = 2.0  # lambda of the fusion: A = N_S + lambda N_O
    window: Count = 1  # pixels a side over which both differences are averaged; odd
    places: Count = 1  # a side: parts of the frame of which each has a unit of its own
    memory: Count = 1  # frames, this one and those before it, over which a score is averaged


def encode(flow: Tensor, scale: float) -> Tensor:
    """Flow N2HW in pixels -> N3HW in [-1, 1]: u and v in units of `scale`, and their magnitude from -1 (none) to 1."""
    magnitude = 2 * flow.norm(dim=1, keepdim=True) / scale - 1
    return torch.cat([flow / scale, magnitude], 1).clamp(-1, 1)


class FlowAnomaly:
    """Both pix2pix (G and D of each) with the losses of Isola et al. 2017, eq. 1 to 4; neither sees the other."""

    def __init__(self, train: TrainSettings, own: Settings, seed: int) -> None:
        def to_flow(batch: Any) -> tuple[Tensor, Tensor]:
            return batch.clips.image, encode(batch.clips.flow, own.flow_scale)

        def to_frame(batch: Any) -> tuple[Tensor, Tensor]:
            return encode(batch.clips.flow, own.flow_scale), batch.clips.image

        self.halves = {
            name: Pix2pix(train, own, CHANNELS, pair, 2 * seed + n)
            for n, (name, pair) in enumerate({"flow": to_flow, "frame": to_frame}.items())
        }
        drawn = {f"{net}_{name}": half.nets[net] for name, half in self.halves.items() for net in ("G", "D")}
        self.features = feature_net(own.features, own.features_file)
        self.nets = nn.ModuleDict(drawn)
        self.frozen = nn.ModuleDict({"features": self.features, "calibration": _calibration(own)})

    def optimizers(self) -> dict[str, Optimizer]:
        return {f"{role}_{name}": o for name, half in self.halves.items() for role, o in half.optimizers().items()}

    def step(self, batch: Any) -> Iterator[Update]:
        for name, half in self.halves.items():
            for update in half.step(batch):
                losses = {f"{loss}_{name}": value for loss, value in update.losses.items()}
                yield Update(f"{update.name}_{name}", losses, update.due)

    def state(self) -> dict[str, Any]:
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing but nets and optimizers is state."""


def build(params: dict[str, Any], classes: int, seed: int) -> FlowAnomaly:
    return FlowAnomaly(TrainSettings(**params["train"]), Settings(**params["flow_anomaly"]), seed)


def exported(params: dict[str, Any], classes: int) -> nn.ModuleDict:
    own = Settings(**params["flow_anomaly"])
    nets: dict[str, nn.Module] = {f"G_{name}": generator(own, CHANNELS) for name in ("flow", "frame")}
    return nn.ModuleDict({**nets, "features": empty_feature_net(own.features), "calibration": _calibration(own)})


def _calibration(own: Settings) -> Calibration:
    return Calibration(CONSTANTS, USUAL, own.places)


def draw(nets: nn.ModuleDict, params: dict[str, Any], clips: Any) -> tuple[Tensor, Tensor, Tensor]:
    """The flow as a picture, the flow that is drawn from the frame, the frame that is drawn from the flow: N3HW each."""
    given, flow = clips.image, encode(clips.flow, Settings(**params["flow_anomaly"]).flow_scale)
    return flow, _translated(nets["G_flow"], given), _translated(nets["G_frame"], flow)


def _translated(G: Any, given: Tensor) -> Tensor:
    padded, crop = pad_to_multiple(given, G.multiple, least=1)
    return crop(G(padded))


def differences(nets: nn.ModuleDict, params: dict[str, Any], clips: Any) -> dict[str, Tensor]:
    """What the normal clips do not explain, NHW at the frames' size, averaged over the window.

    flow: |O - G_flow(F)|, the mean of its three planes. semantic: |phi(F) - phi(G_frame(O))|, the mean over the
    channels of the feature network's map, enlarged.
    """
    own, features = Settings(**params["flow_anomaly"]), nets["features"]
    flow, drawn_flow, drawn_frame = draw(nets, params, clips)
    ours, theirs = (features(picture)[own.feature_layer] for picture in (clips.image, drawn_frame))
    semantic = (ours - theirs).abs().mean(1, keepdim=True)
    enlarged = F.interpolate(semantic, clips.image.shape[-2:], mode="bilinear", align_corners=False)
    maps = torch.cat([enlarged, (flow - drawn_flow).abs().mean(1, keepdim=True)], 1)
    smooth = F.avg_pool2d(maps, own.window, 1, own.window // 2, count_include_pad=False)
    return {"semantic": smooth[:, 0], "flow": smooth[:, 1]}


def fusion(nets: nn.ModuleDict, params: dict[str, Any]) -> dict[str, Any]:
    """What `metrics.detection.fuse` is told: the units of both differences, (H, W) each, and lambda."""
    usual: Any = nets["calibration"]
    whole = (int(usual.height), int(usual.width))
    maps = F.interpolate(torch.stack([usual.semantic, usual.flow])[None], whole, mode="bilinear", align_corners=False)
    semantic, flow = maps[0].double().cpu().numpy()
    return {"maxima": (semantic, flow), "weight": Settings(**params["flow_anomaly"]).flow_weight}


def memory(params: dict[str, Any]) -> int:
    """Over how many frames, this one and those before it, a score is averaged."""
    return Settings(**params["flow_anomaly"]).memory


@torch.no_grad()
def calibrate(nets: nn.ModuleDict, params: dict[str, Any], sets: dict[str, ShardSource]) -> None:
    """Of the held-out normal clips: the mean over their frames of each difference's maximum, at each place, and the score
    that one frame in a hundred exceeds, which is the threshold of an alarm."""
    held_out, device = sets["clips_held_out"], next(nets.parameters()).device
    batches = in_order(held_out, BATCH, parts=DOMAINS["clips"], device=device)
    found = [differences(nets, params, batch) for batch in batches]
    maps = {name: torch.cat([one[name] for one in found]) for name in USUAL}
    height, width = maps["flow"].shape[1:]
    calibration, places = cast(Calibration, nets["calibration"]), Settings(**params["flow_anomaly"]).places
    usual = {name: _usual(one, places) for name, one in maps.items()}
    calibration.set(usual | {"threshold": 0.0, "height": height, "width": width})
    told = fusion(nets, params)
    by_semantic, by_flow = (maps[name].cpu().numpy() / one for name, one in zip(USUAL, told["maxima"], strict=True))
    scores = (by_semantic + told["weight"] * by_flow).max((1, 2))
    clips = [str(held_out.read(i, ("meta",)).meta["sequence"]) for i in range(len(held_out))]
    calibration.get_buffer("threshold").fill_(float(np.quantile(recent(scores, clips, memory(params)), 0.99)))


def _usual(maps: Tensor, places: int) -> Tensor:
    """The mean over frames of the maxima of maps (T, H, W) in each of (places, places) parts, drawn towards their mean."""
    own = F.adaptive_max_pool2d(maps[:, None], places).mean(0)[0]
    return (1 - SHARED) * own + SHARED * own.mean()


def size(model: Any) -> tuple[int, int]:
    """(height, width) of the frames that it was trained on, which its flow's pixels belong to."""
    return int(model.nets["calibration"].height), int(model.nets["calibration"].width)


def describe(model: Any) -> dict[str, Any]:
    """What a result says of its model: the feature network, the frames' size, and the threshold of an alarm."""
    own = Settings(**model.params["flow_anomaly"])
    threshold = float(model.nets["calibration"].threshold)
    return {"features": f"{own.features}[{own.feature_layer}]", "size": list(size(model)), "threshold": threshold}


def check(params: dict[str, Any]) -> list[str]:
    """What contradicts itself in the parameters, a sentence each."""
    own = params["flow_anomaly"]
    found = check_crop(params, "flow_anomaly", 2 ** own["levels"], least=1)
    if own["window"] % 2 == 0:
        found.append(f"params.yaml: flow_anomaly.window should be odd, not {own['window']}, so that it has a middle")
    return found
