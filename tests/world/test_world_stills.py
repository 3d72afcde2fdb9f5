"""Scans and digits of the world: lesions of known extent, factors of known size."""

import numpy as np
import pytest

from pipeline.files import UserError
from pipeline.world import digits, scans
from pipeline.world.scans import scan


def test_a_scan_is_a_function_of_seed_and_index() -> None:
    one, mask = scan(0, 7, True)
    scan(3, 8, True)
    again, same = scan(0, 7, True)
    assert np.array_equal(one, again) and np.array_equal(mask, same)
    assert (one.dtype, one.shape, mask.dtype, mask.shape) == (np.uint8, (64, 64), np.uint8, (64, 64))
    assert all((one != other).mean() > 0.5 for other in (scan(1, 7, True)[0], scan(0, 8, True)[0]))


def test_a_healthy_scan_shows_the_retina_and_marks_nothing() -> None:
    pictures, masks = map(np.stack, zip(*(scan(0, index, False) for index in range(20)), strict=True))
    assert not masks.any()
    brightest = pictures.mean((0, 2)).argmax()  # the row of the pigment epithelium, below the middle
    assert 36 < brightest < 52 and pictures[:, :12].mean() < 30 < 40 < pictures[:, -8:].mean() < 150


def test_masks_mark_what_differs_from_the_same_scan_without_lesions() -> None:
    for index in range(40):
        (ill, mask), (well, _) = scan(5, index, True), scan(5, index, False)
        change = np.abs(ill.astype(int) - well)
        assert mask.sum() >= scans.SMALLEST // 2 and mask.mean() < 0.3
        # speckle multiplies the change by some 0.6 to 1.5, so that it may hide half of a change or show more of it
        assert change[mask == 0].max() < 255 * scans.NOTICEABLE * 1.7
        assert np.median(change[mask == 1]) > 255 * scans.NOTICEABLE


def test_lesions_are_neither_trivial_nor_hidden() -> None:
    healthy = np.stack([scan(0, i, False)[0] for i in range(100)]).reshape(100, -1) / 255
    tested = np.stack([scan(0, 1000 + i, i % 2 == 1)[0] for i in range(80)]).reshape(80, -1) / 255
    mean = healthy.mean(0)
    directions = np.linalg.svd(healthy - mean, full_matrices=False)[2][:20]
    rest = tested - mean - (tested - mean) @ directions.T @ directions
    scores = (rest**2).mean(1)
    area = (scores[1::2, None] > scores[None, ::2]).mean()
    assert 0.55 < area < 0.95


@pytest.fixture(scope="module")
def drawn() -> dict[str, digits.Split]:
    return {split: digits.copies(0, count, split) for split, count in (("train", 1), ("test", 2))}


def test_no_original_of_a_test_digit_is_in_train(drawn: dict[str, digits.Split]) -> None:
    known = digits.originals()[0]
    trained = len(known) - digits.TESTS
    assert len(drawn["train"][0]) == trained and len(drawn["test"][0]) == 2 * digits.TESTS
    for split, first, count in (("train", 0, 1), ("test", trained, 2)):
        pictures, classes, factors = drawn[split]
        for row in (0, 1, 2, len(pictures) - 1):  # copies of an original follow one another
            original = first + row // count
            assert np.array_equal(pictures[row], digits.draw(known[original], *factors[row]))
            assert classes[row] == digits.originals()[1][original]
    assert not {one.tobytes() for one in known[trained:]} & {one.tobytes() for one in known[:trained]}


def test_digits_have_the_slant_and_width_that_stand_beside_them(drawn: dict[str, digits.Split]) -> None:
    pictures, _, factors = drawn["test"]
    weight = pictures / pictures.sum((1, 2), keepdims=True)
    x, y = np.arange(28) - 13.5, np.arange(28)[:, None] - 13.5
    assert np.abs((weight * x).sum((1, 2))).max() < 0.3 and np.abs((weight * y).sum((1, 2))).max() < 0.3
    upright = (weight * y**2).sum((1, 2))
    slant = -(weight * x * y).sum((1, 2)) / upright
    width = np.sqrt((weight * x**2).sum((1, 2)) / upright - slant**2)
    assert np.corrcoef(slant, factors[:, 0])[0, 1] > 0.85
    ratio, wanted = (np.log(a[::2] / a[1::2]) for a in (width, factors[:, 1]))  # two copies, so that the hand's is gone
    assert np.corrcoef(ratio, wanted)[0, 1] > 0.95


def test_more_copies_leave_the_first_ones_as_they_are(drawn: dict[str, digits.Split]) -> None:
    pictures, classes, factors = digits.copies(0, 1, "test")
    assert np.array_equal(pictures, drawn["test"][0][::2]) and np.array_equal(factors, drawn["test"][2][::2])
    assert not np.array_equal(factors, digits.copies(1, 1, "test")[2])


def test_without_scikit_learn_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="scikit-learn's digits, and that package is not there; install it"):
        digits.originals()
