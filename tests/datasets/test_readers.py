"""Readers on files in the published layouts: names, splits, trainIds, and what they refuse."""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.classes import CITYSCAPES19
from pipeline.datasets import open_dataset
from pipeline.datasets.vistas import train_ids
from pipeline.files import UserError, encode_png
from pipeline.sample import encode_flow

Put = Callable[..., Path]
H, W = 8, 12


def plane(*values: int, dtype: type = np.uint8) -> np.ndarray:
    """Vertical stripes of these values."""
    return np.resize(np.repeat(np.array(values, dtype), -(-W // len(values))), (H, W)).astype(dtype)


def palette_png(indices: np.ndarray) -> bytes:
    picture = Image.fromarray(indices, "L")
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette([(7 * i) % 256 for i in range(768)])
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def camvid(put: Put, frames: int = 20, head: str = "CamVid/") -> None:
    for split, drive in (("train", "0001TP"), ("train", "0016E5"), ("val", "0016E5")):
        start = 0 if split == "train" else 100
        for frame in range(start, start + (frames if drive == "0016E5" else 2)):
            put(f"{head}{split}/{drive}_{frame}.png")
            put(f"{head}{split}annot/{drive}_{frame}.png", plane(0, 3, 11))


def test_camvid_splits_by_drive_and_takes_dev_from_the_end(put: Put, tmp_path: Path) -> None:
    camvid(put)
    data = open_dataset("camvid", tmp_path)
    assert data.classes == "camvid11"
    assert data.counts() == {"train": 18, "dev": 4, "val": 20}
    # 15 % of 20 is 3; of 2 it would be none, so one; in order of the frame's number, not of its name
    assert [item.key for item in data.items("dev")] == ["0001TP_1", "0016E5_17", "0016E5_18", "0016E5_19"]
    assert not {i.key for i in data.items("train")} & {i.key for i in data.items("dev")}
    sample = data.read(data.items("val")[0], {"image", "label"})
    assert sample.image is not None and sample.image.shape == (H, W, 3)
    assert sample.label is not None and sorted(np.unique(sample.label)) == [0, 3, 255]
    assert sample.meta["sequence"] == "0016E5" and sample.meta["size"] == [H, W] and len(sample.meta["digest"]) == 64
    assert open_dataset("camvid", tmp_path, dev_share=0.0).counts() == {"train": 22, "val": 20}


def test_camvid_lists_decide_and_their_gaps_are_listed(put: Put, tmp_path: Path) -> None:
    camvid(put, frames=4)
    lines = [f"/SegNet/CamVid/train/0016E5_{i}.png /SegNet/CamVid/trainannot/0016E5_{i}.png" for i in range(3)]
    put("CamVid/train.txt", "\n".join(lines).encode())
    assert [item.frame for item in open_dataset("camvid", tmp_path, dev_share=0.0).items("train")] == ["0", "1", "2"]
    put("CamVid/train.txt", "\n".join([*lines, "a/train/x.png b", "a/train/y.png b"]).encode())
    with pytest.raises(UserError) as error:
        open_dataset("camvid", tmp_path)
    assert "train/x.png stands in" in str(error.value) and "train/y.png stands in" in str(error.value)
    put("CamVid/train.txt", b"only_one_word\n")
    with pytest.raises(UserError, match="line 1: expected 'picture label'"):
        open_dataset("camvid", tmp_path)


def test_unknown_ids_are_named_with_the_file(put: Put, tmp_path: Path) -> None:
    camvid(put, frames=2)
    put("CamVid/valannot/0016E5_100.png", plane(0, 12, 77))
    data = open_dataset("camvid", tmp_path)
    with pytest.raises(UserError, match=r"0016E5_100\.png holds unknown ids: 12, 77 \(CamVid's run from 0 to 11\)"):
        data.read(data.items("val")[0], {"label"})


def cityscapes(put: Put, head: str = "") -> None:
    for split, city in (("train", "aachen"), ("val", "lindau"), ("test", "berlin")):
        for frame in range(3):
            stem = f"{city}/{city}_{0:06d}_{frame:06d}"
            put(f"{head}leftImg8bit/{split}/{stem}_leftImg8bit.png")
            put(f"{head}gtFine/{split}/{stem}_gtFine_labelIds.png", plane(7, 26, 3))
            put(f"{head}gtFine/{split}/{stem}_gtFine_labelTrainIds.png", plane(0, 13, 255))
            put(f"{head}gtFine/{split}/{stem}_gtFine_instanceIds.png", plane(7, 26001, 3, dtype=np.uint16))


def test_cityscapes_reads_ids_and_not_train_ids(put: Put, tmp_path: Path) -> None:
    cityscapes(put)
    data = open_dataset("cityscapes", tmp_path)
    assert data.counts() == {"train": 2, "dev": 1, "val": 3, "test": 3}
    sample = data.read(data.items("val")[1], {"image", "label", "instance"})
    assert sample.key == "lindau_000000_000001"
    assert sample.label is not None and sample.label[0].tolist() == [0] * 4 + [13] * 4 + [255] * 4
    assert sample.instance is not None and sample.instance.dtype == np.uint16 and sample.instance.max() == 26001
    with pytest.raises(UserError, match="has no label; ask for image"):
        data.read(data.items("test")[0], {"label"})  # the published test labels are all void


def test_cityscapes_in_its_two_published_zips(put: Put, tmp_path: Path) -> None:
    cityscapes(put, "unpacked/")
    (tmp_path / "zips").mkdir()
    for name in ("leftImg8bit", "gtFine"):
        with zipfile.ZipFile(tmp_path / "zips" / f"{name}_trainvaltest.zip", "w") as archive:
            for path in sorted((tmp_path / "unpacked" / name).rglob("*.png")):
                archive.write(path, path.relative_to(tmp_path / "unpacked"))
    zipped, plain = open_dataset("cityscapes", tmp_path / "zips"), open_dataset("cityscapes", tmp_path / "unpacked")
    assert [i.key for i in zipped.items()] == [i.key for i in plain.items()]
    for one, other in zip(zipped.items("val"), plain.items("val"), strict=True):
        a, b = zipped.read(one, {"image", "label"}), plain.read(other, {"image", "label"})
        assert np.array_equal(a.image, b.image) and np.array_equal(a.label, b.label) and a.meta == b.meta


def test_two_data_sets_in_one_folder_must_be_told_apart(put: Put, tmp_path: Path) -> None:
    cityscapes(put, "small/")
    cityscapes(put, "large/")
    with pytest.raises(UserError, match=r"several folders \('large', 'small'\); name one by the option 'inside'"):
        open_dataset("cityscapes", tmp_path)
    assert open_dataset("cityscapes", tmp_path, inside="small").counts()["val"] == 3


def test_unlabelled_target_pictures_are_enough(put: Put, tmp_path: Path) -> None:
    for frame in range(4):
        put(f"leftImg8bit/train/zurich/zurich_000000_{frame:06d}_leftImg8bit.png")
    data = open_dataset("cityscapes", tmp_path)
    assert data.check()["parts"] == {"image": 4}
    with pytest.raises(UserError, match="lacks files") as error:
        data.check(("image", "label"))
    assert len(re.findall("has no label", str(error.value))) == 4
    with pytest.raises(UserError, match=r"has no split 'val'; it has train \(3\), dev \(1\)"):
        data.items("val")


def test_labels_without_picture_are_counted(put: Put, tmp_path: Path) -> None:
    cityscapes(put)
    put("gtFine/val/ulm/ulm_000000_000000_gtFine_labelIds.png", plane(7))
    assert open_dataset("cityscapes", tmp_path).check(("label",), "val")["stray"] == 1


def test_kitti(put: Put, tmp_path: Path) -> None:
    for number in range(4):
        put(f"data_semantics/training/image_2/{number:06d}_10.png")
        put(f"data_semantics/training/semantic/{number:06d}_10.png", plane(7, 26))
        put(f"data_semantics/training/instance/{number:06d}_10.png", plane(7 * 256, 26 * 256 + 1, dtype=np.uint16))
        put(f"data_semantics/testing/image_2/{number:06d}_10.png")
    data = open_dataset("kitti", tmp_path)
    assert data.counts() == {"train": 3, "dev": 1, "test": 4}
    sample = data.read(data.items("dev")[0], {"label", "instance"})
    assert sample.label is not None and set(np.unique(sample.label)) == {0, 13}


VISTAS_12 = [
    "animal--bird", "construction--barrier--curb", "construction--barrier--wall", "construction--flat--road",
    "construction--flat--parking", "human--rider--other-rider", "marking--general", "object--traffic-light",
    "object--traffic-sign--back", "object--traffic-sign--front", "object--vehicle--on-rails", "void--unlabeled",
]  # fmt: skip
VISTAS_20 = [
    "construction--flat--road", "construction--flat--road-shoulder", "human--person--individual",
    "marking--discrete--crosswalk-zebra", "marking-only--continuous--dashed", "object--support--pole-group",
    "object--traffic-light--general-upright", "object--traffic-sign--direction-front", "object--traffic-sign--back",
    "void--static",
]  # fmt: skip


def config(names: list[str]) -> bytes:
    labels = [{"name": name, "readable": name.split("--")[-1], "instances": False, "evaluate": True} for name in names]
    return json.dumps({"labels": labels, "version": "x"}).encode()


def vistas(put: Put, middle: str, names: list[str]) -> None:
    for folder in ("training", "validation"):
        for key in ("_zz", "aB-1", "c"):
            put(f"{folder}/images/{key}{folder[0]}.jpg")
            labels = np.arange(H * W, dtype=np.uint8).reshape(H, W) % len(names)
            put(f"{folder}/{middle}labels/{key}{folder[0]}.png", palette_png(labels))
            put(f"{folder}/{middle}instances/{key}{folder[0]}.png", labels.astype(np.uint16) * 256)
    put("testing/images/t.jpg")


def named(names: list[str]) -> dict[str, str]:
    goals = [*CITYSCAPES19.names, *["void"] * 237]
    return {name: goals[goal] for name, goal in zip(names, train_ids(names), strict=False)}


def test_vistas_12_by_the_names_of_its_config(put: Put, tmp_path: Path) -> None:
    vistas(put, "", VISTAS_12)
    put("config.json", config(VISTAS_12))
    data = open_dataset("vistas", tmp_path)
    assert data.counts() == {"train": 2, "dev": 1, "val": 3, "test": 1}
    sample = data.read(data.items("val")[0], {"image", "label", "instance"})
    assert sample.label is not None
    assert sample.label.ravel()[:12].tolist() == [255, 1, 3, 0, 255, 12, 0, 6, 255, 7, 16, 255]


def test_vistas_20(put: Put, tmp_path: Path) -> None:
    vistas(put, "v2.0/", VISTAS_20)
    put("config_v2.0.json", config(VISTAS_20))
    data = open_dataset("vistas", tmp_path)
    sample = data.read(data.items("train")[0], {"label"})
    assert sample.label is not None
    assert sample.label.ravel()[:10].tolist() == [0, 0, 11, 0, 0, 255, 6, 7, 255, 255]
    assert named(VISTAS_20)["object--support--pole-group"] == "void"  # void in Cityscapes as well
    vistas(put, "v1.2/", VISTAS_12)
    put("config_v1.2.json", config(VISTAS_12))
    with pytest.raises(UserError, match="holds Vistas v1.2 and v2.0"):
        open_dataset("vistas", tmp_path)
    old = open_dataset("vistas", tmp_path, version="v1.2")
    sample = old.read(old.items("val")[0], {"label"})
    assert sample.label is not None and sample.label.ravel()[1] == 1


def test_vistas_refuses_a_wrong_config(put: Put, tmp_path: Path) -> None:
    vistas(put, "", VISTAS_12)
    with pytest.raises(UserError, match="list of classes"):
        open_dataset("vistas", tmp_path)
    for content, said in ((b"{}", "no list 'labels'"), (b"[", "no list 'labels'"), (config(["a"]), "names no road")):
        put("config.json", content)
        with pytest.raises(UserError, match=said):
            open_dataset("vistas", tmp_path)
    put("config.json", config(VISTAS_12[:4]))
    data = open_dataset("vistas", tmp_path)
    with pytest.raises(UserError, match=r"unknown ids: 4, 5, .*its config has 4 classes"):
        data.read(data.items("val")[0], {"label"})


def test_idd_lite(put: Put, tmp_path: Path) -> None:
    for drive, stem in (("0", "1"), ("0", "2"), ("7", "1"), ("12", "5")):
        put(f"idd20k_lite/leftImg8bit/train/{drive}/{stem}_image.jpg")
        put(f"idd20k_lite/gtFine/train/{drive}/{stem}_label.png", plane(0, 6, 255))
    data = open_dataset("idd_lite", tmp_path)
    assert data.classes == "idd_lite7"
    assert [(i.key, i.split) for i in data.items()] == [
        ("0_1", "train"), ("0_2", "dev"), ("7_1", "train"), ("12_5", "train")
    ]  # fmt: skip
    sample = data.read(data.items("train")[0], {"image", "label"})
    assert sample.label is not None and set(np.unique(sample.label)) == {0, 6, 255}


def test_whole_drives_become_val_where_there_is_none(put: Put, tmp_path: Path) -> None:
    for drive, stem in (("0", "1"), ("0", "2"), ("7", "1"), ("7", "2"), ("12", "5"), ("12", "6")):
        put(f"leftImg8bit/train/{drive}/{stem}_image.jpg")
    data = open_dataset("idd_lite", tmp_path, val_sequences=0.4)
    assert [(i.key, i.split) for i in data.items()] == [
        ("0_1", "train"), ("0_2", "dev"), ("7_1", "train"), ("7_2", "dev"), ("12_5", "val"), ("12_6", "val"),
    ]  # fmt: skip
    assert open_dataset("idd_lite", tmp_path, val_sequences=0.9).counts()["val"] == 4  # never all of train
    put("training/image_2/000000_10.png")
    with pytest.raises(UserError, match="has a train of 1 sequences, so none can be held out as val"):
        open_dataset("kitti", tmp_path, val_sequences=0.4)
    put("leftImg8bit/val/3/1_image.jpg")
    with pytest.raises(UserError, match=r"has a val \(1\) of its own.*leave the option 'val_sequences' at 0"):
        open_dataset("idd_lite", tmp_path, val_sequences=0.4)


def test_folder_of_plain_pictures(put: Put, tmp_path: Path) -> None:
    for name in ("walk.one/a b.png", "walk.one/c.jpg", "val/d.png", "RGB/0001.png"):
        put(name)
    put("labels/walk.one/a b.png", plane(0, 10, 255))
    data = open_dataset("folder", tmp_path, dev_share=0.0)
    assert [item.key for item in data.items()] == ["0001", "walk_one_a_b", "walk_one_c", "val_d"]
    assert all(re.fullmatch(r"[\w-]+", item.key) for item in data.items())
    assert data.check()["parts"] == {"image": 4, "label": 1}
    sample = data.read(data.items("train")[1], {"image", "label"})
    assert sample.label is not None and set(np.unique(sample.label)) == {0, 10, 255}
    with pytest.raises(UserError, match="option 'classes' is 'ade20k'; it should be one of cityscapes19"):
        open_dataset("folder", tmp_path, classes="ade20k")
    data = open_dataset("folder", tmp_path, classes="idd_lite7")
    item = next(i for i in data.items() if "label" in i.files)
    with pytest.raises(UserError, match="unknown ids: 10 .labels are trainIds of idd_lite7: 0 to 6"):
        data.read(item, {"label"})


def test_a_photograph_is_upright_where_nothing_is_labelled_and_as_stored_beside_labels(
    put: Put, tmp_path: Path
) -> None:
    picture, photo = Image.new("RGB", (16, 8)), io.BytesIO()
    (exif := picture.getexif())[274] = 6  # turned by a quarter
    picture.save(photo, "JPEG", exif=exif)
    put("photo.jpg", photo.getvalue())
    data = open_dataset("folder", tmp_path)
    assert data.read(data.items()[0]).image.shape[:2] == (16, 8)
    put("labels/photo.png", np.zeros((8, 16), np.uint8))
    data = open_dataset("folder", tmp_path)
    assert data.read(data.items()[0], ("image", "label")).image.shape[:2] == (8, 16)


def test_names_in_any_script_give_keys(put: Put, tmp_path: Path) -> None:
    for name in ("北京.png", "上海.png", "straße.png"):
        put(name)
    keys = [item.key for item in open_dataset("folder", tmp_path).items()]
    assert len(set(keys)) == 3 and all(key.isascii() for key in keys)


def test_folder_refuses_two_pictures_of_one_key(put: Put, tmp_path: Path) -> None:
    put("a b.png")
    put("a_b.png")
    with pytest.raises(UserError, match="pictures of one name"):
        open_dataset("folder", tmp_path)


def test_sequences_of_the_world(put: Put, tmp_path: Path) -> None:
    flow = np.full((H, W, 2), (1.5, -2.0), np.float32)
    for frame in range(3):
        head = "source/000004"
        put(f"{head}/RGB/{frame:06d}.png")
        put(f"{head}/GT/LABELS/{frame:06d}.png", np.dstack([plane(3, 22), plane(0, 5), plane(0)]).astype(np.uint16))
        put(f"{head}/Depth/{frame:06d}.png", np.repeat(plane(250, 65535, dtype=np.uint16)[..., None], 3, -1))
        if frame < 2:
            put(f"{head}/flow/{frame:06d}.png", encode_flow(flow, np.ones((H, W), bool)))
    put("drive/image_l/9.jpg")
    put("drive/image_l/10.jpg")
    data = open_dataset("sequences", tmp_path, dev_share=0.0)
    assert [(i.sequence, i.frame) for i in data.items()][:3] == [
        ("drive/image_l", "9"), ("drive/image_l", "10"), ("source/000004", "000000")
    ]  # fmt: skip
    sample = data.read(data.items()[2], {"image", "label", "instance", "depth", "flow"})
    assert sample.label is not None and (sample.label == 0).all()
    assert sample.depth is not None and sample.depth[0, 0] == 2.5 and np.isinf(sample.depth[0, -1])
    assert sample.flow is not None and sample.flow[0][0, 0].tolist() == [1.5, -2.0] and sample.flow[1].all()
    assert "flow" not in data.items()[4].files


def test_maps_of_other_sizes_are_refused(put: Put, tmp_path: Path) -> None:
    camvid(put, frames=2)
    put("CamVid/valannot/0016E5_100.png", np.zeros((H, W + 1), np.uint8))
    data = open_dataset("camvid", tmp_path)
    with pytest.raises(UserError, match="sizes of 0016E5_100 differ") as error:
        data.read(data.items("val")[0], {"image", "label"})
    assert f"is {W} x {H}" in str(error.value) and f"is {W + 1} x {H}" in str(error.value)


def test_label_files_of_the_wrong_kind_are_refused(put: Put, tmp_path: Path) -> None:
    camvid(put, frames=2)
    data = open_dataset("camvid", tmp_path)
    item = data.items("val")[0]
    for content, said in (
        (plane(0, dtype=np.uint16), "1 channel.s. of 16 bits; one of 8 bits"),
        (np.zeros((H, W, 3), np.uint8), "3 channel.s. of 8 bits; one of 8 bits"),
        (encode_png(plane(1, 2))[:-20], "cut short"),
        (palette_png(plane(1, 2))[:60], "cut short"),
        (b"GIF89a", "neither PNG nor JPEG"),
    ):
        put("CamVid/valannot/0016E5_100.png", content)
        with pytest.raises(UserError, match=said):
            data.read(item, {"label"})


def test_a_reader_is_small_to_send_and_reads_alike(put: Put, tmp_path: Path) -> None:
    camvid(put)
    data = open_dataset("camvid", tmp_path)
    assert len(pickle.dumps(data.read)) < 2000
    reader = pickle.loads(pickle.dumps(data.read))
    item = data.items("val")[0]
    assert np.array_equal(reader(item, {"label"}).label, data.read(item, {"label"}).label)
