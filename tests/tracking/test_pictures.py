"""Pictures that belong together stand side by side, from whatever is on the disk."""

from pathlib import Path

import numpy as np

from pipeline import files
from pipeline.classes import CITYSCAPES19
from pipeline.sample import Sample
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards
from pipeline.tracking.outputs import Output
from pipeline.tracking.pictures import pictures

EVALUATED = Output("evaluate", {"segmenter": "source_only", "translator": "spigan", "seed": 0})
TRANSLATED = Output("translate", {"translator": "spigan", "seed": 0})


def shards(folder: str, shade: int) -> None:
    def one(i: int) -> Sample:
        image, label = np.full((16, 32, 3), shade + i, np.uint8), np.full((16, 32), 10, np.uint8)
        return Sample(f"street_{i}", image=image, label=label)

    settings = ShardSettings(image_format="png")
    write_shards(one, range(6), Path(folder), classes="cityscapes19", split="val", settings=settings)


def predictions() -> None:
    folder = Path("results/evaluate/source_only/spigan/0")
    names = list(CITYSCAPES19.names)
    files.write_json(folder / "scores.json", {"split": "val", "classes": names, "miou": 0.5})
    files.write_atomic(folder / "predictions/street_2.png", files.encode_png(np.zeros((16, 32), np.uint8)))


def shown(data: bytes) -> list[list[int]]:
    """Mean colour of each picture in a row."""
    picture = files.decode_image(data, "picture", kind="rgb")
    parts = np.split(picture, picture.shape[1] // 32, axis=1)
    return [part.mean((0, 1)).round().astype(int).tolist() for part in parts]


def near(found: list[list[int]], wanted: list[list[int]]) -> None:
    np.testing.assert_allclose(found, wanted, atol=4)  # the row is a JPEG


def test_a_prediction_between_its_picture_and_the_truth(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shards("data/shards/target_val", 100)
    predictions()
    (name, data), *others = pictures(EVALUATED).items()
    assert name == "street_2.jpg" and not others
    road, sky = ([int(value) for value in CITYSCAPES19.colours[i]] for i in (0, 10))
    near(shown(data), [[102] * 3, road, sky])


def test_a_prediction_stands_alone_where_the_shards_were_not_fetched(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    predictions()
    near(shown(pictures(EVALUATED)["street_2.jpg"]), [list(CITYSCAPES19.colours[0])])


def test_a_translation_beside_its_source(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shards("data/translated/spigan/0", 200)
    assert pictures(TRANSLATED) == {}
    shards("data/shards/source", 100)
    found = pictures(TRANSLATED)
    assert len(found) == 4
    near(shown(found["street_0.jpg"]), [[100] * 3, [200] * 3])
