"""Learning-rate schedules: a factor of the base rate, a pure function of the step."""

from typing import Literal

Schedule = Literal["constant", "linear", "poly"]


def factor(schedule: Schedule, step: int, steps: int) -> float:
    """The factor at step 0 .. steps - 1.

    constant: 1. linear: 1 for the first half, then straight down, reaching 0 only after the last step (the published
    CycleGAN code trains its last epoch with rate 0; this does not). poly: (1 - step/steps)^0.9, as DeepLab.
    """
    done = step / steps
    match schedule:
        case "constant":
            return 1.0
        case "linear":
            return min(1.0, 2.0 * (1.0 - done))
        case "poly":
            return (1.0 - done) ** 0.9
