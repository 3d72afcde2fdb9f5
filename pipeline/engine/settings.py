"""Parameters of training and of the device, without importing torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.engine.schedules import Schedule
from pipeline.params import Parameters

Count = Annotated[int, Field(gt=0)]
Side = Annotated[int, Field(gt=0, le=65_536)]  # pixels
Depth = Annotated[int, Field(gt=0, le=100)]  # layers: nobody means more, and making them takes time
Rate = Annotated[float, Field(gt=0, le=1e6)]
Weight = Annotated[float, Field(ge=0)]


class DeviceSettings(Parameters):
    """Where training runs. precision "auto" is bf16-mixed on a GPU that has bfloat16, 32-true elsewhere."""

    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Count = 1
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0  # CPU threads, 0 for all cores; results differ in the last bits


class RunSettings(Parameters):
    """What every training shares. Units: steps of one global batch; a rate is Adam's learning rate."""

    steps: Count
    batch: Count
    crop: Annotated[list[Side], Field(min_length=2, max_length=2)]  # height, width in pixels
    flip: Annotated[float, Field(ge=0, le=1)] = 0.5
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.0  # strength of photometric jitter, 0 for none
    lr: Rate
    schedule: Schedule = "linear"
    clip: Weight = 0.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    tick: Count = 20  # steps between rows of the curves

    @model_validator(mode="after")
    def _whole_ticks(self) -> "RunSettings":
        if self.steps % self.tick:
            raise ValueError(f"tick ({self.tick}) should divide steps ({self.steps}), so that every row is a full tick")
        return self


class TrainSettings(RunSettings):
    """Training of translators. alpha, beta, gamma, delta: SPIGAN's weights (Lee et al. 2019, eq. 1 and section 4)."""

    alpha: Weight = 1.0  # adversarial
    beta: Weight = 0.5  # task
    gamma: Weight = 0.1  # privileged information
    delta: Weight = 0.33  # perceptual
    joined: bool = False  # real and drawn pictures pass D as one batch: the same losses, at another speed


class MethodSettings(Parameters):
    """Base of a method's own block. `train` holds what differs from the block `train` (of a segmenter: `segment`) for
    this method alone, such as fewer steps where each costs more, so that methods can be given equal times."""

    train: dict[str, Any] = {}


def check_crop(params: dict[str, Any], name: str, multiple: int, least: int = 2) -> list[str]:
    """A sentence where the crop of the method with the block `name` does not fit its nets: both sides are multiples of
    `multiple`, `least` of them at least (two where residual blocks reflect a border)."""
    crop = params["train"]["crop"]
    if all(side % multiple == 0 and side >= least * multiple for side in crop):
        return []
    lowest = f" of at least {least * multiple} pixels" if least > 1 else ""
    return [
        f"params.yaml: both sides of the crop of {name} should be multiples of {multiple}{lowest}, not {crop}; "
        f"set train.crop, or {name}.train.crop"
    ]


class NetSettings(Parameters):
    """The net of the segmenters that are scored: what its weights depend on."""

    net: Literal["small", "fcn8s", "fcn8s_same", "deeplab_v2"] = "small"
    width: Count = 32
    aspp: Literal["all", "first_two"] = "all"  # deeplab_v2: dilated convolutions that are summed
    batch_norm: Literal["frozen", "batch"] = "frozen"  # deeplab_v2: statistics in training; frozen: the file's
    align_corners: bool = True  # deeplab_v2: of the enlargement of its scores


class SegmentSettings(RunSettings, NetSettings):
    """Training of the segmenters that are scored: one budget for every arm."""

    optimizer: Literal["adamw", "sgd"] = "adamw"  # sgd: momentum 0.9, and ten times the rate for deeplab_v2's heads
    weight_decay: Weight = 0.0
    snapshots: Count = 20  # steps between the last ten of an adversarial segmenter, which are scored too
    vgg16: str | None = None  # file of torchvision's VGG16 weights, for fcn8s
    resnet101: str | None = None  # file of Caffe's ResNet-101 weights, for deeplab_v2
