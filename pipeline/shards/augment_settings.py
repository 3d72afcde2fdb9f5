"""The parameters of augmentation; apart from `settings` because they change training, never the shards."""

from typing import Annotated

from pydantic import Field

from pipeline.params import Parameters

Pixels = Annotated[int, Field(ge=1)]


class AugmentSettings(Parameters):
    """What is drawn anew for every position of the training order; the defaults change nothing."""

    crop: Annotated[list[Pixels], Field(min_length=2, max_length=2)] | None = None  # [height, width] in pixels
    flip: float = Field(default=0.0, ge=0, le=1)  # probability of a mirrored picture
    jitter: float = Field(default=0.0, ge=0, lt=1)  # brightness, contrast, saturation x [1 - jitter, 1 + jitter]
    hue: float = Field(default=0.0, ge=0, le=0.5)  # hue shifted by up to this part of the colour circle
