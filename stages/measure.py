"""Judge a translator's pictures without a segmenter of their own: python -m stages.measure spigan 0

Distances to the target's pictures, and label preservation: what a frozen source segmenter sees in them.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline.engine.settings import DeviceSettings
from pipeline.params import Parameters, block, load
from stages.common import Arguments, parser, run


class MeasureSettings(Parameters):
    """The network whose descriptors are compared stands in the metric's name, with the number of pictures."""

    network: Literal["lite0", "vgg19", "inception"] = "lite0"
    network_file: str | None = None
    lpips_alexnet: str | None = None  # torchvision's AlexNet weights; LPIPS is left out without
    pictures: Annotated[int, Field(ge=2)] = 300  # at most, of either side


def main(given: Arguments) -> None:
    from pipeline.engine.model import load_model
    from pipeline.files import write_json
    from pipeline.judging import distances, preservation
    from pipeline.nets.perceptual import feature_net
    from pipeline.shards.index import ShardSet

    params = load()
    settings = block(params, "measure", MeasureSettings)
    source, target = ShardSet.open("data/shards/source"), ShardSet.open("data/shards/target_train")
    translated = ShardSet.open(f"data/translated/{given.translator}/{given.seed}")
    accelerator = block(params, "device", DeviceSettings).accelerator
    judge = load_model(f"models/segmenters/source_only/none/{given.seed}", accelerator)
    net = feature_net(settings.network, settings.network_file).to(next(judge.nets.parameters()).device)
    row = {
        "translator": given.translator,
        "seed": given.seed,
        "pictures": len(translated),
        "distances": distances(translated, target, net, settings.pictures),
        "label_preservation": preservation(judge, source, translated, settings.pictures),
    }
    write_json(Path(f"results/measure/{given.translator}/{given.seed}.json"), row)


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("translator")
    made.add_argument("seed", type=int)
    run(main, made)
