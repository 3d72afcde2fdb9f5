"""Label maps of anybody's: found under the names that they have, and read exactly or refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.files import UserError, encode_png
from pipeline.label_maps import instance_file, label_files, read_instance, read_label
from pipeline.label_spaces import id_table

SAME = id_table("cityscapes19", "cityscapes19")
IDS = np.array([[0, 1, 2], [13, 18, 3]], np.uint8)


def test_files_of_a_folder(tmp_path: Path):
    for name in ("a_labelIds.png", "a_labelTrainIds.png", "a_instanceIds.png", "a_color.png"):
        (tmp_path / name).write_bytes(encode_png(np.full((2, 2), 26001, np.uint16)))
    assert [path.name for path in label_files(tmp_path, "cityscapes35+void")] == ["a_labelIds.png"]
    assert [path.name for path in label_files(tmp_path, "cityscapes19")] == ["a_labelTrainIds.png"]
    assert len(label_files(tmp_path, "camvid11")) == 4
    (label,) = label_files(tmp_path, "cityscapes35")
    assert read_instance(instance_file(label, tmp_path, tmp_path)).tolist() == [[26001] * 2] * 2
    assert instance_file(tmp_path / "b/c.png", tmp_path, Path("other")) == Path("other/b/c.png")


@pytest.mark.parametrize("bits", [8, 4])
def test_a_palette_keeps_its_ids(tmp_path: Path, bits: int):
    ids = np.minimum(IDS, 2**bits - 1)
    picture = Image.fromarray(ids, "P")
    picture.putpalette([(7 * i) % 256 for i in range(3 * 2**bits)])
    picture.save(tmp_path / "a.png", bits=bits)
    assert read_label(tmp_path / "a.png", "cityscapes19", SAME).tolist() == ids.tolist()
    assert read_instance(tmp_path / "a.png").tolist() == ids.tolist()


@pytest.mark.parametrize("kind", ["1-bit", "rgb", "16-bit"])
def test_what_would_be_other_classes_is_refused(tmp_path: Path, kind: str):
    if kind == "1-bit":
        Image.fromarray(IDS > 1).save(tmp_path / "a.png")
    else:
        (tmp_path / "a.png").write_bytes(encode_png(np.dstack([IDS] * 3) if kind == "rgb" else IDS.astype(np.uint16)))
    with pytest.raises(UserError, match="a.png has .* one of 8 bits was expected"):
        read_label(tmp_path / "a.png", "cityscapes19", SAME)
