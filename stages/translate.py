"""Translate the whole synthetic set, as a stage, or any folder of pictures or of label maps with a trained model:

python -m stages.translate spigan 0
python -m stages.translate --model models/translators/spigan/0 --images PATH --out PATH
python -m stages.translate --model models/translators/spade/0 --labels PATH [--instances PATH] [--style PICTURE] --out PATH
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.engine.settings import DeviceSettings
from pipeline.files import UserError, problems
from pipeline.params import block, load
from pipeline.shards.settings import ShardSettings
from stages.common import Arguments, check_out, parser, run

FOLDERS = {"image": "images", "label": "labels", "instance": "instances"}  # the option that names a part's folder
CHOICES = ("classes", "style")
PICTURES = (".png", ".jpg", ".jpeg")

Inputs = tuple[list[Path], Callable[[Path], Any]]


def main(given: Arguments) -> None:
    if given.model:
        translate_folder(given)
    elif given.method is None or given.seed is None:
        raise UserError("name a method and a seed (in the graph), or --model, --images and --out (your own pictures)")
    else:
        translate_source(given.method, given.seed, load())


def translate_source(name: str, seed: int, params: dict[str, Any]) -> None:
    """The stage: every sample of the source through the translator, into shards with the same keys."""
    from pipeline.cluster import cluster_of
    from pipeline.costs import Cost, process_peak_mb, write_cost
    from pipeline.methods import method_module
    from pipeline.provenance import fingerprint
    from pipeline.ranks import ONE
    from pipeline.shards.index import ShardSet
    from pipeline.shards.writer import write_shards
    from pipeline.translation import rival

    make: Any
    draw: Any
    device, shared = "cpu", ONE
    module, source, began = method_module(name), ShardSet.open("data/shards/source"), time.monotonic()
    own = {block_name: params[block_name] for block_name in module.BLOCKS}
    if module.ABILITY == "translator":
        from pipeline.engine.model import load_model
        from pipeline.label_spaces import id_table
        from pipeline.sharing import launch_ranks

        given = block(params, "device", DeviceSettings)
        shared = launch_ranks(given)
        model = load_model(f"models/translators/{name}/{seed}", given.accelerator)
        device = _device(model).type
        ids = id_table(source.classes, model.classes.name)
        make, draw, inputs = source.read, partial(_through_net, model, ids), [source.digest, model.fingerprint, device]
    elif module.ABILITY == "rival":
        make, draw, inputs = rival(name, module, own, seed, source), _as_it_is, [source.digest]
    else:
        raise UserError(f"method '{name}' is a {module.ABILITY}, not a translator")
    settings = block(params, "shard", ShardSettings)
    mark = fingerprint([name, seed, own, settings.model_dump()], inputs)
    out = Path(f"data/translated/{name}/{seed}")
    write_shards(
        make, range(len(source)), out, classes=source.classes, split="train", settings=settings, fingerprint=mark,
        cluster=cluster_of(params), draw=draw, ranks=shared,
    )  # fmt: skip
    if shared.rank:
        return
    cost = Cost(seconds=time.monotonic() - began, peak_mb=process_peak_mb())
    write_cost(
        Path(f"results/costs/translate/{name}/{seed}.json"),
        f"translate_{name}@{seed}",
        name,
        seed,
        cost,
        device,
        len(source),
    )


def _as_it_is(sample: Any) -> Any:
    return sample


def _through_net(model: Any, ids: Any, sample: Any) -> Any:
    """A sample with a new picture. The model sees labels in its own ids (`ids`: from the source's to those of the data set
    that it was trained on); the sample keeps its own."""
    from pipeline.translation import drawn

    seen = sample if sample.label is None else replace(sample, label=ids[sample.label])
    return replace(sample, image=drawn(model, seen))


def _device(model: Any) -> Any:
    return next(model.nets.parameters()).device


def translate_folder(given: Arguments) -> None:
    """Any folder of pictures or label maps, of any size and aspect; one output PNG each, under the same name."""
    from pipeline.engine.model import load_model
    from pipeline.files import encode_png, progress, read_image, write_atomic
    from pipeline.translation import drawn, style_code

    if not given.out or not (given.images or given.labels):
        raise UserError(
            "--model needs --images (a folder of pictures) and --out (a folder to write); "
            "a model that draws from labels needs --labels (a folder of label maps) in place of --images"
        )
    check_out(given.out, folder=True)
    model = load_model(given.model)
    if model.module.ABILITY != "translator":
        raise UserError(f"{given.model} is a {model.module.ABILITY} ({model.name}); it cannot translate pictures")
    _check_needs(model, given)
    _check_goal(given)
    root, out = Path(given.images or given.labels), Path(given.out)
    paths, read = (_pictures if given.images else partial(_label_maps, model, given))(root)
    _check_names(paths, root)
    z = style_code(model, read_image(given.style, upright=True)) if given.style else None
    bad = []
    for path in progress(paths, f"translate {root.name}"):
        try:
            picture = drawn(model, read(path), z)
        except UserError as error:
            bad.append(str(error))
            continue
        write_atomic((out / path.relative_to(root)).with_suffix(".png"), encode_png(picture))
    if bad:
        raise problems(f"{len(bad)} of {len(paths)} pictures could not be translated; the others are in {out}:", bad)
    print(f"{len(paths)} pictures in {out}")


def _pictures(root: Path) -> Inputs:
    """The pictures of a folder, and how to read one."""
    from pipeline.files import read_image, walk
    from pipeline.sample import Sample

    if not root.is_dir():
        raise UserError(f"{root} is not a folder of pictures")
    paths = sorted(place / name for place, names in walk(root) for name in names if name.lower().endswith(PICTURES))
    if not paths:
        raise UserError(f"{root} holds no PNG or JPEG pictures")
    return paths, lambda path: Sample(path.stem, image=read_image(path, upright=True))


def _label_maps(model: Any, given: Arguments, root: Path) -> Inputs:
    """The label maps of a folder, and how to read one with its instances, in the ids that the model draws from."""
    from pipeline.label_maps import instance_file, label_files, read_instance, read_label
    from pipeline.label_spaces import id_table
    from pipeline.sample import Sample

    instances = Path(given.instances) if given.instances else None
    for folder in (root, instances):
        if folder and not folder.is_dir():
            raise UserError(f"{folder} is not a folder of {'label' if folder is root else 'instance'} maps")
    classes = given.classes or model.classes.name
    table = id_table(classes, model.classes.name)
    paths = label_files(root, classes)
    if not paths:
        raise UserError(f"{root} holds no PNG label maps")

    def read(path: Path) -> Sample:
        label = read_label(path, classes, table)
        if instances is None:
            return Sample(path.stem, label=label)
        instance = read_instance(file := instance_file(path, root, instances))
        if instance.shape != label.shape:
            raise UserError(f"{file} has another size than {path}")
        return Sample(path.stem, label=label, instance=instance)

    return paths, read


def _check_goal(given: Arguments) -> None:
    """Pictures that are written must not replace those that are read."""
    for option in FOLDERS.values():
        folder = getattr(given, option)
        if folder and Path(given.out).resolve().is_relative_to(Path(folder).resolve()):
            raise UserError(
                f"--out {given.out} lies in --{option} {folder}, which is never written to; name another folder"
            )


def _check_names(paths: list[Path], root: Path) -> None:
    """Two pictures must not become one file."""
    uses = Counter(path.with_suffix("") for path in paths)
    twice = [str(path.relative_to(root)) for path in paths if uses[path.with_suffix("")] > 1]
    if twice:
        raise problems(f"{root}: pictures that differ in their ending alone would become one PNG; rename them:", twice)


def _check_needs(model: Any, given: Arguments) -> None:
    """A model says what it reads, and what else it needs; anything else is refused, so that nothing is silently ignored."""
    from pipeline.translation import reads, takes_style

    given_to = [part for part in reads(model) if not part.endswith("?") or part[:-1] in model.optional]
    parts = {FOLDERS[part.rstrip("?")]: not part.endswith("?") for part in given_to}
    if "labels" in parts:
        parts["classes"] = False
    if takes_style(model):
        parts["style"] = False
    for name, needed in parts.items():
        if needed and getattr(given, name) is None:
            raise UserError(f"a {model.name} model needs --{name}")
    for name in (*FOLDERS.values(), *CHOICES):
        if name not in parts and getattr(given, name) is not None:
            raise UserError(f"a {model.name} model does not use --{name}; leave it out")


if __name__ == "__main__":
    made = parser(__doc__)
    made.add_argument("method", nargs="?", help="a translator, in the graph")
    made.add_argument("seed", nargs="?", type=int)
    made.add_argument("--model", help="model directory of a translator")
    made.add_argument("--images", help="folder of pictures")
    made.add_argument("--out", help="folder to write")
    made.add_argument("--labels", help="folder of label maps (PNG), for models that draw from them")
    made.add_argument("--instances", help="folder of instance maps, where there are some")
    made.add_argument("--classes", help="class table of the label maps' ids, if not the model's own")
    made.add_argument("--style", help="a reference picture, for models that take a style")
    run(main, made)
