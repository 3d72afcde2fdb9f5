"""Map SYNTHIA's labels to Cityscapes trainIds; in the graph without arguments, or alone on your own SYNTHIA:

python -m stages.fix_labels --root SYNTHIA --out fixed --table rand_cityscapes --labels raw16
"""

from pathlib import Path

from pipeline.cluster import ClusterSettings, cluster_of
from pipeline.datasets.settings import SourceSettings
from pipeline.files import UserError
from pipeline.params import block, load
from stages.common import Arguments, parser, run

OUT = Path("data/fixed/source")


def main(given: Arguments) -> None:
    from pipeline.labels import fix_labels
    from pipeline.params import parse

    if given.root:
        if not given.table or not given.labels:
            raise UserError("--root needs --table and --labels: which ids these are cannot be seen in a file")
        chosen = {
            name: getattr(given, name) for name in ("table", "labels", "lanemarking", "depth", "label_folder", "inside")
        }
        root, out, settings = Path(given.root), Path(given.out or "fixed"), parse(SourceSettings, chosen, "source")
        cluster = ClusterSettings()
    else:
        params = load()
        settings, cluster = block(params, "source", SourceSettings), cluster_of(params)
        root, out = Path("data/raw") / settings.name, OUT
    if given.workers:
        cluster = ClusterSettings(workers=max(1, given.workers))
    report = fix_labels(root, out, settings, cluster)
    what = "label maps" if any(report["pixels"].values()) else "pictures without labels"
    print(f"{report['pictures']} {what} in {out}; see {out / 'report.json'} and {out / 'sheet.jpg'}")


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("--root", help="folder or archive in a SYNTHIA layout (default: the source of params.yaml)")
    made.add_argument("--out", help="folder to write (default: fixed)")
    made.add_argument(
        "--table",
        choices=["rand_cityscapes", "seqs"],
        help="whose ids: 12 is motorcycle in one, lane marking in the other",
    )
    made.add_argument("--labels", choices=["raw16", "parsed_ids", "train_ids"], help="which label files you have")
    made.add_argument("--lanemarking", choices=["road", "void"], default="road")
    made.add_argument("--depth", choices=["centimetres", "none"], default="centimetres")
    made.add_argument("--label-folder", default="", help="beside RGB, where labels lie in no published folder")
    made.add_argument("--inside", default="", help="folder inside the root, where that holds several data sets")
    made.add_argument(
        "--workers", type=int, help="processes on this machine (default: 2, in the graph cluster.workers)"
    )
    run(main, made)
