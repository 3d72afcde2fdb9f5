"""Judge pictures that a method draws from label maps it has not seen: python -m stages.generation spade 0

The labels of the split that is scored are drawn; a segmenter trained on the target's own labelled pictures (the oracle)
says how much of each label map it finds again ("FCN-score"), with what it finds in the real pictures beside it.
"""

from pathlib import Path

from pipeline.engine.settings import DeviceSettings
from pipeline.params import block, load
from stages.common import Arguments, parser, run
from stages.evaluate import EvaluateSettings
from stages.measure import MeasureSettings


def main(given: Arguments) -> None:
    from pipeline.engine.model import load_model
    from pipeline.files import atomic_dir, encode_png, write_atomic, write_json
    from pipeline.generation import gallery, judge
    from pipeline.metrics.paired import lpips_net
    from pipeline.nets.perceptual import feature_net
    from pipeline.shards.index import ShardSet
    from pipeline.styles import style_sheets

    params = load()
    measure, evaluate = block(params, "measure", MeasureSettings), block(params, "evaluate", EvaluateSettings)
    accelerator = block(params, "device", DeviceSettings).accelerator
    shards = ShardSet.open(f"data/shards/target_{evaluate.split}")
    model = load_model(f"models/translators/{given.translator}/{given.seed}", accelerator)
    oracle = load_model(f"models/segmenters/oracle/none/{given.seed}", accelerator)
    device = next(oracle.nets.parameters()).device
    net = feature_net(measure.network, measure.network_file).to(device)
    lpips = lpips_net(measure.lpips_alexnet).to(device) if measure.lpips_alexnet else None
    row = {"translator": given.translator, "seed": given.seed, "split": evaluate.split}
    with atomic_dir(Path(f"results/generation/{given.translator}/{given.seed}")) as folder:
        write_json(folder / "scores.json", row | judge(model, oracle, shards, net, lpips, measure.pictures))
        for key, picture in gallery(model, shards, evaluate.gallery):
            write_atomic(folder / "pictures" / f"{key}.png", encode_png(picture))
        for name, sheet in style_sheets(model, shards):
            write_atomic(folder / "styles" / f"{name}.png", encode_png(sheet))


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("translator")
    made.add_argument("seed", type=int)
    run(main, made)
