"""What the page says before its numbers: how they were made, and what they show."""

from typing import Any

from pipeline.report import words
from pipeline.report.compare import ONE_SEED
from pipeline.report.results import NONE, SOURCE_ONLY, Results
from pipeline.report.tables import Gap, Summary, Table


def protocol(params: dict[str, Any], results: Results, table: Table, sets: dict[str, dict[str, Any]]) -> list[str]:
    """What was done, in sentences; `sets` holds the set.json of each shard set."""
    first, classes = table[0], table[0]["iou"]
    judged = sum(value is not None for value in classes.values())
    several = len(results.seeds) > 1
    seeds = (
        f"± is the standard deviation over {len(results.seeds)} seeds" if several else "one seed, so no spread is known"
    )
    learning = ""
    if "source" in sets and "target_train" in sets:
        learning = (
            f"Source: {words.count(sets['source']['pictures'], 'labelled picture')} of {_name(params, 'source')}; "
            f"target: {words.count(sets['target_train']['pictures'], 'picture')} of {_name(params, 'target')}, whose "
            "labels no method sees but those set apart."
        )
    judging = (
        f"Judged on {words.count(first['pictures'], 'picture')} of {first['dataset']}, split {first['split']}, by "
        f"the mean IoU of protocol {first['protocol']} ({words.count(len(classes), 'class')}, {judged} of them "
        f"occur); {seeds}."
    )
    trained = [f"{x} {_kimg(next(iter(runs.values())))}" for x, runs in results.training.items()]
    trained += dict.fromkeys(f"segmenter {run.segmenter} {_kimg(run.curves)}" for run in results.runs)
    budget = (
        f"Pictures seen in training: {words.listing(trained)}. Every row trains its segmenter afresh, with the same "
        f"crops, mirrors and budget{_but_for(params, results)}."
    )
    return [sentence for sentence in (learning, judging, budget) if sentence]


def findings(summaries: list[Summary], marks: Gap) -> list[str]:
    """What the table says, in sentences."""
    return [sentence for sentence in (_best(summaries, marks), _split(marks)) if sentence]


def _best(summaries: list[Summary], marks: Gap) -> str:
    start = (NONE, SOURCE_ONLY)
    rivals = [s for s in summaries if not s.apart and (s.translator, s.segmenter) != start]
    ranked = [s for s in rivals if s.mean["miou"] is not None]
    if not ranked or marks.none is None:
        return ""
    best = max(ranked, key=lambda s: s.mean["miou"] or 0.0)
    surplus, known = (best.mean["miou"] or 0.0) - marks.none, f" ({ONE_SEED})" if best.seeds == 1 else ""
    if surplus <= 0:
        return f"No other ranked cell is above source-only{known}."
    gain = words.points(surplus)
    share = "" if best.gap_closed is None else f", {100 * best.gap_closed:.0f} % of the gap to the oracle"
    reached = words.percent(best.mean["miou"], best.spread["miou"])
    return (
        f"Best of the ranked cells: {best.name} with {reached} % mIoU, {gain} points against source-only{share}{known}."
    )


def _split(marks: Gap) -> str:
    width, middle = marks.width(), marks.middle()
    if width is None:
        return "The gap is not known: it takes source_only on untranslated pictures, and an oracle that is above it."
    look = marks.closed(middle)
    if look is None:
        return f"The gap between source-only and the oracle is {100 * width:.1f} points."
    return (
        f"Of the gap of {100 * width:.1f} points, appearance explains {100 * look:.0f} % (what a perfect translation "
        f"closes) and layout {100 * (1 - look):.0f} %."
    )


def _but_for(params: dict[str, Any], results: Results) -> str:
    """`, but for cbst (steps 200)`: segmenters whose block changes the block segment by `train`, as far as there are any."""
    names = dict.fromkeys(run.segmenter for run in results.runs)
    changed = {name: (params.get(name) or {}).get("train") or {} for name in names}
    said = [f"{name} ({', '.join(f'{k} {v}' for k, v in own.items())})" for name, own in changed.items() if own]
    return f", but for {words.listing(said)}" if said else ""


def _kimg(curves: dict[str, Any]) -> str:
    """`1,600`: pictures that a training saw."""
    if not curves["curves"]:
        return words.MISSING
    return f"{round(1000 * curves['curves'][-1]['kimg']):,}"


def _name(params: dict[str, Any], side: str) -> str:
    return str((params.get(side) or {}).get("name", side))
