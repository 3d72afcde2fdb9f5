"""The parameters of a shard set."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.params import Parameters


class ShardSettings(Parameters):
    """How a set of samples is stored."""

    samples_per_shard: int = Field(default=200, ge=1)  # a killed run loses at most the shard it was writing
    image_format: Literal["jpg", "png"] = "jpg"  # png is lossless, 3 to 4 times as large and half as fast to read
    quality: int = Field(default=95, ge=1, le=100)  # of JPEG
    height: int | None = Field(default=None, ge=1)  # pixels; None keeps every picture's own size
    width: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.height is None) != (self.width is None):
            raise ValueError("height and width are given together, or both left null to keep the pictures' size")
        return self
