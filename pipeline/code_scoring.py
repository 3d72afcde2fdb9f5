"""What the codes of a trained sampler are worth: its categorical code as a classifier, the information of what it draws,
and which continuous code follows which known factor.

A code is matched to a class by the training pictures and their labels, which is stored with the model; the pictures that
are scored have no say in it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from pipeline.engine.model import Model
from pipeline.files import UserError
from pipeline.losses_codes import categorical_information, uniform_information
from pipeline.matching import NONE, crossed
from pipeline.metrics import correlation
from pipeline.sample import Sample
from pipeline.shards.batch import collate

BATCH = 256
DRAWN = 2000  # pictures whose codes are read again
DRAWN_SEED = 1  # of the stream of these codes
FACTORS = ("slant", "width")  # names of the factors of the drawn digits


@dataclass(frozen=True)
class Reading:
    """What a model tells of N pictures, and what is known of them."""

    code: np.ndarray  # int64 (N,), the likeliest category
    mean: np.ndarray  # float64 (N, J), the continuous codes
    digit: np.ndarray  # int64 (N,)
    factors: np.ndarray | None  # float64 (N, F)


def read_digits(model: Model, samples: Iterable[Sample], where: str) -> Reading:
    """Samples (image, meta) in batches. Raises UserError where one has no category, naming `where` it comes from."""
    device, found = next(model.nets.parameters()).device, []
    digits: list[int] = []
    factors: list[list[float]] = []
    stream = iter(samples)
    while group := list(islice(stream, BATCH)):
        for sample in group:
            if "category" not in sample.meta:
                raise UserError(f"{where}: {sample.key} has no category, so nothing can be scored; bring its labels")
            digits.append(sample.meta["category"])
            factors += [sample.meta["factors"]] if "factors" in sample.meta else []
        with torch.inference_mode():
            image = collate(group, "digits", np.arange(len(group)), device).image
            logits, mean, _ = model.module.read(model.nets, image)
        found.append((logits.argmax(1).cpu().numpy(), mean.double().cpu().numpy()))
    code, means = (np.concatenate(one) for one in zip(*found, strict=True))
    known = np.array(factors, np.float64) if len(factors) == len(digits) else None
    return Reading(code, means, np.array(digits, np.int64), known)


def figures(model: Model, read: Reading) -> dict[str, Any]:
    """Shares of pictures that are told wrong, the information in nats, and correlations.

    error: one class for one code. error_many: each code's most frequent class, so that codes may share one. error_named:
    code c is class c, of a model that learnt from labels alone. confusion: a row a class, a column what it was told as (one for one),
    the last one none. codes: a row a code, a column a class.
    """
    own, matching = _settings(model), _matching(model)
    single, frequent = (one.cpu().numpy() for one in (matching.single, matching.frequent))
    if (single == NONE).all():
        raise UserError(
            f"the codes of this {model.name} stand for no class: its training digits had no categories; train it on some"
        )
    told, classes = single[read.code], int(max(read.digit.max(), single.max())) + 1
    named = float((read.code != read.digit).mean()) if own.labelled else None
    return {
        "pictures": len(read.digit),
        "categories": own.categories,
        "labelled": own.labelled,
        "error": float((told != read.digit).mean()),
        "error_many": float((frequent[read.code] != read.digit).mean()),
        "error_named": named,
        **information(model),
        "matching": single.tolist(),
        "confusion": crossed(read.digit, np.where(told == NONE, classes, told), (classes, classes + 1)).tolist(),
        "codes": crossed(read.code, read.digit, (own.categories, classes)).tolist(),
        "factors": None if read.factors is None else _followed(read.mean, read.factors),
    }


def information(model: Model) -> dict[str, float]:
    """The bound of the information of codes and picture, in nats, over pictures that are drawn here.

    Of the categorical code at most the logarithm of its categories. Of the continuous ones: of normal distributions whose
    variance is constant and the best one.
    """
    own, module, like = _settings(model), model.module, next(model.nets.parameters())
    drawn = module.codes(own, DRAWN_SEED, np.arange(DRAWN), like)
    with torch.inference_mode():
        read = [module.read(model.nets, module.sample(model.nets, part)) for part in drawn.joined.split(BATCH)]
    logits, mean = (torch.cat([one[n] for one in read]) for n in (0, 1))
    squared = (mean - drawn.continuous).square().mean(0)
    return {
        "information": float(categorical_information(logits, drawn.category)),
        "information_continuous": float(uniform_information(squared)),
    }


def _matching(model: Model) -> Any:
    return model.nets["matching"]


def _settings(model: Model) -> Any:
    return model.module.Settings(**model.params["infogan"])


def _followed(mean: np.ndarray, factors: np.ndarray) -> dict[str, Any]:
    """|correlation| of every continuous code (rows) with every factor (columns), and the pairs that fit best."""
    count = factors.shape[1]
    names = FACTORS if count == len(FACTORS) else tuple(f"factor {n}" for n in range(1, count + 1))
    tables = {"pearson": correlation.pearson(mean, factors), "spearman": correlation.spearman(mean, factors)}
    best = [
        {"code": code, "factor": names[n], **{kind: float(table[code, n]) for kind, table in tables.items()}}
        for code, n in correlation.assigned(tables["spearman"])
    ]
    return {"names": list(names), "best": best, **{kind: table.tolist() for kind, table in tables.items()}}
