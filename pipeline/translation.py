"""Translating the whole synthetic set: new pictures under the old keys, with the old labels, instances and depth."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pipeline.classes import IGNORE
from pipeline.files import UserError, read_image
from pipeline.sample import Sample
from pipeline.shards.index import ShardSet
from pipeline.shards.order import uniforms
from pipeline.shards.resize import picture_size, resize

Translate = Callable[[int], Sample]


def handed_on(source: ShardSet, i: int) -> Sample:
    """none: the sample as it is."""
    return source.read(i)


def rendered(source: ShardSet, perfect: Path, i: int) -> Sample:
    """perfect_translation: the same scene in the target's look, from the folder that the simulator wrote, scaled as the
    source's shards are."""
    sample = source.read(i)
    picture, size = read_image(perfect / "RGB" / f"{sample.key}.png"), picture_size(sample)
    if list(picture.shape[:2]) != list(sample.meta.get("original_size", size)):
        raise UserError(f"{perfect}/RGB/{sample.key}.png has another size than its source; simulate both again")
    return replace(sample, image=resize(Sample(sample.key, picture), *size).image)


def matched(
    source: ShardSet, target: ShardSet, module: ModuleType, params: dict[str, Any], seed: int, i: int
) -> Sample:
    """A rival of a few lines: the sample towards a random target picture, drawn for its place in the set."""
    sample = source.read(i)
    draw = uniforms(seed, f"reference/{module.__name__}", np.array([i]), 1)[0, 0]
    reference = target.read(int(draw * len(target)), ("image",)).image
    return _with(sample, module.translate_picture(sample.image, reference, params))


def _with(sample: Sample, picture: np.ndarray) -> Sample:
    sample.image = picture
    return sample


def rival(name: str, module: ModuleType, params: dict[str, Any], seed: int, source: ShardSet) -> Translate:
    """The function that makes translated sample i, for translators without training; works in any process."""
    if name == "none":
        return partial(handed_on, source)
    if name == "perfect_translation":
        return partial(rendered, source, Path("data/raw/world_perfect"))
    target = ShardSet.open("data/shards/target_train")
    return partial(matched, source, target, module, params, seed)


def drawn(model: Any, sample: Sample, z: Any = None) -> np.ndarray:
    """What a trained translator makes of a sample, from the parts that it `reads`: uint8 (H, W, 3).

    z: a code (1, z_dim) that gives the style, for a model that `takes_style`; its own choice without.
    """
    import torch

    with torch.inference_mode():
        parts = drawn_from(model, sample)
        if z is None:
            return to_picture(model.module.translate(model.nets, *parts)[0])
        return to_picture(model.module.drawn_with(model.nets, *parts, z)[0])


def takes_style(model: Any) -> bool:
    """Whether a reference picture can give a translator's style: it was trained with an encoder and keeps it."""
    return "E" in model.nets and hasattr(model.module, "style_of")


def style_code(model: Any, picture: np.ndarray) -> Any:
    """The code (1, z_dim) of a reference picture uint8 (H, W, 3)."""
    import torch

    with torch.inference_mode():
        return model.module.style_of(model.nets, to_tensor(picture, next(model.nets.parameters()).device))


def drawn_from(model: Any, sample: Sample) -> list[Any]:
    """The parts of a sample that a translator `reads`, as batches of one on its device.

    None for a part that may be absent ("instance?") where the sample lacks it, or the model was trained without it.
    """
    wanted = reads(model)
    known = [name for name in wanted if not name.endswith("?") or name[:-1] in model.optional]
    return [_part(model, sample, name) if name in known else None for name in wanted]


def reads(model: Any) -> tuple[str, ...]:
    """Parts of a sample that a translator draws from: READS of its method, or what an imported net was made to read."""
    return tuple(model.params.get("imported", {}).get("reads", getattr(model.module, "READS", ("image",))))


def _part(model: Any, sample: Sample, name: str) -> Any:
    import torch

    plane, device = getattr(sample, name.rstrip("?")), next(model.nets.parameters()).device
    if plane is None and name.endswith("?"):
        return None
    if plane is None:
        raise UserError(f"sample '{sample.key}' has no {name}, which this translator draws from")
    if name == "label" and ((plane >= len(model.classes)) & (plane != IGNORE)).any():
        raise UserError(
            f"sample '{sample.key}' has ids that are none of {model.classes.name}, which {model.name} draws from"
        )
    return to_tensor(plane, device) if name == "image" else torch.from_numpy(plane.astype(np.int64))[None].to(device)


def to_picture(image: Any) -> np.ndarray:
    """One picture tensor 3HW in [-1, 1] -> uint8 (H, W, 3), rounded."""
    scaled = (image.detach().float().clamp(-1, 1) + 1) * 127.5
    return scaled.round().byte().permute(1, 2, 0).cpu().numpy()


def to_tensor(picture: np.ndarray, device: Any = "cpu") -> Any:
    """uint8 (H, W, 3) -> one picture tensor 13HW in [-1, 1]."""
    import torch

    return torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
