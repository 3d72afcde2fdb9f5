"""Judge a translator that learned from aligned pairs on the held-out ones: python -m stages.evaluate_pairs pix2pix_pairs 0

Beside the scores stand sheets of input, output and truth: some pairs evenly over the set, and the worst by L1.
"""

from pathlib import Path

from pipeline.engine.settings import DeviceSettings
from pipeline.params import block, load
from stages.common import Arguments, parser, run
from stages.evaluate import EvaluateSettings
from stages.measure import MeasureSettings


def main(given: Arguments) -> None:
    from pipeline.engine.model import load_model
    from pipeline.files import UserError, atomic_dir, encode_png, write_atomic, write_json
    from pipeline.judging import spread_out
    from pipeline.methods import is_paired
    from pipeline.metrics.paired import lpips_net
    from pipeline.nets.perceptual import feature_net
    from pipeline.pairs import judge, sheet, triple
    from pipeline.shards.index import ShardSet

    params, name, seed = load(), given.translator, given.seed
    if not is_paired(name):
        raise UserError(f"method '{name}' does not learn from pairs, so it cannot be judged on them")
    measure, count = block(params, "measure", MeasureSettings), block(params, "evaluate", EvaluateSettings).gallery
    shards = ShardSet.open("data/shards/pairs_val")
    model = load_model(f"models/translators/{name}/{seed}", block(params, "device", DeviceSettings).accelerator)
    device = next(model.nets.parameters()).device
    net = feature_net(measure.network, measure.network_file).to(device)
    lpips = lpips_net(measure.lpips_alexnet).to(device) if measure.lpips_alexnet else None
    scores = judge(model, shards, net, lpips, measure.pictures)
    worst = [shards.keys.index(key) for key, _ in scores["by_picture"][:count]]
    with atomic_dir(Path(f"results/pairs/{name}/{seed}")) as folder:
        write_json(folder / "scores.json", {"translator": name, "seed": seed, "split": shards.split, **scores})
        for title, places in (("some", spread_out(len(shards), count)), ("worst", worst)):
            if count:
                rows = [triple(model, shards, i) for i in places]
                write_atomic(folder / "pictures" / f"{title}.png", encode_png(sheet(rows)))


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("translator")
    made.add_argument("seed", type=int)
    run(main, made)
