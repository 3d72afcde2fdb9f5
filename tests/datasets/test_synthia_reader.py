"""SYNTHIA: what cannot be seen must be declared, and what can be seen must agree with it."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import open_dataset
from pipeline.files import UserError, encode_png

Put = Callable[..., Path]
H, W = 8, 12
RAND = {"table": "rand_cityscapes", "labels": "raw16"}


def stripes(*values: int, dtype: type = np.uint8) -> np.ndarray:
    return np.resize(np.repeat(np.array(values, dtype), -(-W // len(values))), (H, W)).astype(dtype)


def raw(classes: np.ndarray, instances: int = 0) -> np.ndarray:
    return np.dstack([classes, np.full(classes.shape, instances), np.zeros(classes.shape)]).astype(np.uint16)


def one(put: Put, label: np.ndarray | bytes, folder: str = "GT/LABELS") -> None:
    put("RGB/0000000.png")
    put(f"{folder}/0000000.png", label)


def read(tmp_path: Path, **options: str) -> np.ndarray:
    data = open_dataset("synthia", tmp_path, dev_share=0.0, **options)
    label = data.read(data.items()[0], {"label"}).label
    assert label is not None
    return label


def test_table_and_labels_must_be_declared(put: Put, tmp_path: Path) -> None:
    one(put, raw(stripes(3)))
    with pytest.raises(UserError) as error:
        open_dataset("synthia", tmp_path)
    assert "option 'table' is missing" in str(error.value) and "id 12 is motorcycle" in str(error.value)
    assert "option 'labels' is missing" in str(error.value)
    with pytest.raises(UserError, match="option 'labels' is 'raw'; it should be 'raw16', 'parsed_ids' or 'train_ids'"):
        open_dataset("synthia", tmp_path, table="seqs", labels="raw")


def test_class_is_red_and_instance_is_green(put: Put, tmp_path: Path) -> None:
    one(put, raw(stripes(8, 12), instances=976))
    put("Depth/0000000.png", np.repeat(stripes(191, 65535, dtype=np.uint16)[..., None], 3, -1))
    data = open_dataset("synthia", tmp_path, **RAND, dev_share=0.0)
    sample = data.read(data.items()[0], {"image", "label", "instance", "depth"})
    assert sample.key == "0000000" and sample.label is not None and sample.instance is not None
    assert sorted(np.unique(sample.label)) == [13, 17]  # car, motorcycle
    assert (sample.instance == 976).all()
    assert sample.depth is not None and sample.depth.dtype == np.float32
    assert sample.depth[0, 0] == np.float32(1.91) and np.isinf(sample.depth[0, -1])


@pytest.mark.parametrize(("table", "lane", "void"), [("rand_cityscapes", 22, 13), ("seqs", 12, 14)])
def test_lanemarking_is_road_or_void(put: Put, tmp_path: Path, table: str, lane: int, void: int) -> None:
    one(put, raw(stripes(lane, void, 3)))
    assert read(tmp_path, table=table, labels="raw16").reshape(-1)[[0, 4, 8]].tolist() == [0, 255, 0]
    label = read(tmp_path, table=table, labels="raw16", lanemarking="void")
    assert label.reshape(-1)[[0, 4, 8]].tolist() == [255, 255, 0]


def test_all_three_kinds_of_label_files_agree(put: Put, tmp_path: Path) -> None:
    ids = np.resize(np.arange(23), (H, W))
    put("RGB/0000000.png")
    put("GT/LABELS/0000000.png", raw(ids))
    put("parsed_LABELS/0000000.png", ids.astype(np.uint8))
    first = read(tmp_path, **RAND)
    assert np.array_equal(read(tmp_path, table="rand_cityscapes", labels="parsed_ids"), first)
    put("synthia_mapped_to_cityscapes/0000000.png", first)
    assert np.array_equal(read(tmp_path, table="rand_cityscapes", labels="train_ids"), first)
    put("mine/0000000.png", ids.astype(np.uint8))
    mine = read(tmp_path, table="rand_cityscapes", labels="parsed_ids", label_folder="mine")
    assert np.array_equal(mine, first)
    data = open_dataset("synthia", tmp_path, table="rand_cityscapes", labels="parsed_ids")
    assert "instance" not in data.items()[0].files  # these files do not hold it


def test_train_ids_beside_the_raw_ones(put: Put, tmp_path: Path) -> None:
    one(put, raw(stripes(3)))
    put("GT/LABELS/0000000_labelTrainIds.png", stripes(0, 18))
    assert set(np.unique(read(tmp_path, table="rand_cityscapes", labels="train_ids"))) == {0, 18}
    assert set(np.unique(read(tmp_path, **RAND))) == {0}


CONTRADICTIONS = [
    ("raw16", stripes(3), "is 8-bit, but labels: raw16 means 16-bit; declare parsed_ids or train_ids"),
    ("raw16", stripes(3, dtype=np.uint16), "has 1 channel"),
    ("parsed_ids", raw(stripes(3)), "is 16-bit, but labels: parsed_ids means 8-bit; declare labels: raw16"),
    ("train_ids", raw(stripes(3)), "is 16-bit, but labels: train_ids means 8-bit"),
    ("train_ids", stripes(0, 21), r"unknown ids: 21 \(19 to 22 are SYNTHIA's own ids: declare labels: parsed_ids"),
    ("parsed_ids", stripes(0, 255), r"unknown ids: 255 \(255 is the void of trainIds: declare labels: train_ids"),
    ("raw16", raw(stripes(3, 23, 200)), r"0000000.png holds unknown ids: 23, 200"),
    ("raw16", raw(stripes(3))[..., ::-1], "somebody swapped its channels"),
    ("raw16", np.full((H, W, 3), 70, np.uint8), "wall and lanemarking share one colour"),
    ("parsed_ids", np.full((H, W, 3), 70, np.uint8), "wall and lanemarking share one colour"),
]


@pytest.mark.parametrize(("kind", "content", "said"), CONTRADICTIONS)
def test_a_file_that_contradicts_its_declaration_is_the_error(
    put: Put, tmp_path: Path, kind: str, content: np.ndarray, said: str
) -> None:
    one(put, content)
    with pytest.raises(UserError, match=said) as error:
        read(tmp_path, table="rand_cityscapes", labels=kind)
    assert "0000000.png" in str(error.value) and "\n" not in str(error.value)


def test_a_file_of_the_other_table_is_noticed_where_it_can_be(put: Put, tmp_path: Path) -> None:
    one(put, raw(stripes(3, 17, 21)))
    with pytest.raises(UserError, match=r"unknown ids: 17, 21 \(ids 16 to 22 belong to table: rand_cityscapes"):
        read(tmp_path, table="seqs", labels="raw16")


def test_colour_labels_alone_are_refused_with_the_reason(put: Put, tmp_path: Path) -> None:
    one(put, np.full((H, W, 3), 70, np.uint8), "GT/COLOR")
    with pytest.raises(UserError, match="lie in GT/LABELS, found GT/COLOR, RGB .GT/COLOR will not do: wall and"):
        open_dataset("synthia", tmp_path, **RAND)
    with pytest.raises(UserError, match="is refused as a label: it is 8-bit colour"):
        read(tmp_path, **RAND, label_folder="GT/COLOR")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.zeros((H, W), np.uint8), "1 channel.s. of 8 bits; depth has one or three of 16 bits"),
        (
            np.dstack([stripes(1, 2, 3, dtype=np.uint16), *[stripes(1, dtype=np.uint16)] * 2]),
            "its three channels differ",
        ),
    ],
)
def test_what_is_no_depth_is_refused(put: Put, tmp_path: Path, content: np.ndarray, said: str) -> None:
    one(put, raw(stripes(3)))
    put("Depth/0000000.png", content)
    data = open_dataset("synthia", tmp_path, **RAND)
    with pytest.raises(UserError, match=said):
        data.read(data.items()[0], {"depth"})


def test_sequences_keep_their_names_and_cameras(put: Put, tmp_path: Path) -> None:
    for sequence in ("SYNTHIA-SEQS-01-SPRING", "SYNTHIA-SEQS-02-FALL"):
        for frame in range(4):
            put(f"{sequence}/RGB/Stereo_Left/Omni_F/{frame:06d}.png")
            put(f"{sequence}/GT/LABELS/Stereo_Left/Omni_F/{frame:06d}.png", raw(stripes(12)))
    data = open_dataset("synthia", tmp_path, table="seqs", labels="raw16")
    assert data.counts() == {"train": 6, "dev": 2}
    item = data.items("dev")[1]
    assert item.key == "SYNTHIA-SEQS-02-FALL_Stereo_Left_Omni_F_000003"
    assert item.sequence == "SYNTHIA-SEQS-02-FALL/Stereo_Left/Omni_F"
    only = open_dataset("synthia", tmp_path, table="seqs", labels="raw16", inside="SYNTHIA-SEQS-01-SPRING")
    assert only.items()[0].key == "Stereo_Left_Omni_F_000000"


def enormous_png(bits: int, colour: int) -> bytes:
    """The header of 40,000 x 40,000 pixels, and an end: 100 bytes that would unpack to gigabytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, bits, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(
    ("part", "name", "content", "options"),
    [
        ("image", "RGB", enormous_png(8, 2), RAND),
        ("label", "GT/LABELS", enormous_png(16, 2), RAND),
        ("label", "GT/LABELS", enormous_png(8, 0), {"table": "seqs", "labels": "parsed_ids"}),
        ("label", "GT/LABELS", enormous_png(8, 3), {"table": "seqs", "labels": "parsed_ids"}),  # with a palette
        ("depth", "Depth", enormous_png(16, 0), RAND),
    ],
)
def test_enormous_pictures_are_refused_unread(
    put: Put, tmp_path: Path, part: str, name: str, content: bytes, options: dict[str, str]
) -> None:
    one(put, raw(stripes(3)))
    put(f"{name}/0000000.png", content)
    data = open_dataset("synthia", tmp_path, **options)
    with pytest.raises(UserError, match="is 40000 x 40000 pixels, more than the 100,000,000"):
        data.read(data.items()[0], {part})


def test_a_picture_cut_short_is_named(put: Put, tmp_path: Path) -> None:
    one(put, raw(stripes(3)))
    put("RGB/0000000.png", encode_png(np.random.default_rng(0).integers(0, 255, (H, W, 3), np.uint8))[:-40])
    data = open_dataset("synthia", tmp_path, **RAND)
    with pytest.raises(UserError, match=r"RGB/0000000\.png: the PNG is cut short"):
        data.read(data.items()[0], {"image"})
