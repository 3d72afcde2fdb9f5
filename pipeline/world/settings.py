"""What a user may set about the simulated data sets: the `world` block of params.yaml."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

Count = Annotated[int, Field(strict=True, ge=0, le=100_000)]
Positive = Annotated[int, Field(strict=True, ge=1)]


class Sequences(BaseModel):
    """Drives with exact optical flow, for each of the two domains."""

    model_config = ConfigDict(extra="forbid")

    count: Count = 4  # drives a domain
    length: Annotated[int, Field(strict=True, ge=2, le=1000)] = 8  # frames a drive


class Anomaly(BaseModel):
    """Clips of a fixed camera: normal ones for training; in the tests three kinds of abnormal ones take turns."""

    model_config = ConfigDict(extra="forbid")

    train: Annotated[int, Field(strict=True, ge=0, le=999)] = 4  # clips
    test: Annotated[int, Field(strict=True, ge=0, le=999)] = 6
    length: Annotated[int, Field(strict=True, ge=2, le=999)] = 40  # frames a clip


class Scans(BaseModel):
    """Sections of retinas: train holds healthy ones, and some more with lesions for choosing settings."""

    model_config = ConfigDict(extra="forbid")

    train: Annotated[int, Field(strict=True, ge=1, le=20_000)] = 1000  # healthy
    abnormal: Annotated[int, Field(strict=True, ge=0, le=20_000)] = 200  # in train, among the healthy ones
    test: Annotated[int, Field(strict=True, ge=2, le=20_000)] = 400  # half of them healthy


class Digits(BaseModel):
    """Digits drawn with a known slant and width."""

    model_config = ConfigDict(extra="forbid")

    copies: Annotated[int, Field(strict=True, ge=1, le=50)] = 4  # of each original: 1,547 in train, 250 in test


class WorldSettings(BaseModel):
    """Which frames of which world are written; the world's own knobs stand in knobs.py."""

    model_config = ConfigDict(extra="forbid")

    seed: Annotated[int, Field(strict=True, ge=0)] = 0  # another seed is another world of the same kind
    size: tuple[Positive, Positive] = (128, 256)  # height, width in pixels; both divisible by 8
    source: Count = 300  # labelled synthetic frames (as many again in the target's look: the part `perfect`)
    target_train: Count = 300
    target_val: Count = 60
    sequences: Sequences = Sequences()
    night: Count = 20  # pairs of day and night
    anomaly: Anomaly = Anomaly()
    scans: Scans = Scans()
    digits: Digits = Digits()

    @field_validator("size")
    @classmethod
    def _divisible(cls, size: tuple[int, int]) -> tuple[int, int]:
        if any(side % 8 or side < 32 for side in size):
            raise ValueError(f"height and width must be at least 32 and divisible by 8, not {list(size)}")
        return size
