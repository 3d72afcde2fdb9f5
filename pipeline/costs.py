"""What a stage took. Costs differ from run to run, so they stand in files of their own that only the report reads."""

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import write_json


@dataclass
class Cost:
    """Seconds are summed over restarts; `waited` are those in which the device waited for data."""

    seconds: float = 0.0
    waited: float = 0.0
    restarts: int = 0
    peak_mb: float = 0.0


def process_peak_mb() -> float:
    """Peak memory of this process so far, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e3 if os.uname().sysname == "Linux" else 1e6)


def write_cost(path: Path, stage: str, name: str, seed: int, cost: Cost, device: str, images: int) -> None:
    """What a stage took; it differs from run to run, so nothing but the report depends on it."""
    write_json(
        path,
        {
            "stage": stage,
            "method": name,
            "seed": seed,
            "seconds": round(cost.seconds, 2),
            "peak_mb": round(cost.peak_mb, 1),
            "device": device,
            "images_per_second": round(images / cost.seconds, 2) if cost.seconds else None,
            "data_wait_share": round(cost.waited / cost.seconds, 3) if cost.seconds else None,
            "restarts": cost.restarts,
        },
    )
