"""Learning-rate schedules: a factor of the base rate, a pure function of the step."""

from typing import Literal

Schedule = Literal["constant", "linear", "linear_as_published", "poly"]
EPOCHS = 200  # of the published CycleGAN and pix2pix, half of them at the full rate


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """The factor at step 0 .. steps - 1.

    constant: 1. linear: 1 for the first half, then straight down, reaching 0 only after the last step: with a step
    an epoch SPADE's published table. linear_as_published: CycleGAN's and pix2pix's code, with `steps` as its 200 epochs:
    the rate falls from the epoch before the half on, and is exactly 0 in the whole last epoch. poly:
    (1 - step/steps)^0.9, as DeepLab.
    """
    done = step / steps
    match schedule:
        case "constant":
            return 1.0
        case "linear":
            return min(1.0, 2.0 * (1.0 - done))
        case "linear_as_published":
            epoch = EPOCHS * step // steps + 1
            return min(1.0, (EPOCHS - epoch) / (EPOCHS // 2 + 1))
        case "poly":
            return (1.0 - done) ** 0.9
