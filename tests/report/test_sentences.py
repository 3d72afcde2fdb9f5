"""What the page says before its numbers is what the numbers allow."""

import pytest

from pipeline.report.sentences import findings
from pipeline.report.tables import Gap, Summary


def cell(miou: float, seeds: int, translator: str = "fourier", segmenter: str = "source_only") -> Summary:
    spread = 0.01 if seeds > 1 else None
    return Summary(translator, segmenter, False, seeds, {"miou": miou}, {"miou": spread}, {}, None, None)


@pytest.mark.parametrize("perfect", [0.2, 0.7])
def test_a_perfect_translation_outside_the_marks_splits_nothing(perfect: float) -> None:
    assert findings([], Gap(0.3, perfect, 0.6)) == ["The gap between source-only and the oracle is 30.0 points."]
    assert "appearance explains 33 %" in findings([], Gap(0.3, 0.4, 0.6))[0]


def test_no_winner_where_none_is_above_source_only_and_one_seed_is_said() -> None:
    marks = Gap(0.3, None, None)
    assert findings([cell(0.25, 2)], marks)[0] == "No other ranked cell is above source-only."
    assert findings([cell(0.3, 1)], marks)[0].endswith("above source-only (one seed: no spread known).")
    assert findings([cell(0.35, 1)], marks)[0].endswith("+5.0 points against source-only (one seed: no spread known).")
    assert findings([cell(0.35, 2)], marks)[0].endswith("35.0 ± 1.0 % mIoU, +5.0 points against source-only.")


def test_an_adapted_segmenter_on_untranslated_pictures_may_win() -> None:
    start, adapted = cell(0.3, 2, "none"), cell(0.4, 2, "none", "adaptsegnet")
    assert findings([start, cell(0.35, 2), adapted], Gap(0.3, None, None))[0].startswith(
        "Best of the ranked cells: none + adaptsegnet with 40.0"
    )
    assert "Best" not in findings([start], Gap(0.3, None, None))[0]  # the start is no rival of itself
