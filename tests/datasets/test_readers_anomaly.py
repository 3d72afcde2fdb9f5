"""Readers of what methods for anomalies and codes are given: UCSD's clips, IDX files and arrays in a .npz."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline.assemble import mark
from pipeline.datasets import open_dataset
from pipeline.datasets.ucsd_ped import disagreement
from pipeline.files import UserError, decode_image, picture_header
from pipeline.world.settings import Anomaly, WorldSettings
from pipeline.world.writers import write_part

Put = Callable[..., Path]
GREY = np.random.default_rng(0).integers(0, 256, (8, 12), dtype=np.uint8)
BAD = np.zeros((8, 12), np.uint8)
BAD[2:5, 3:7] = 255


def coded(ending: str, array: np.ndarray, *flags: int) -> bytes:
    return cv2.imencode(ending, array, flags)[1].tobytes()


def one_bit(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).convert("1").save(out, "PNG")
    return out.getvalue()


# -- UCSD's clips -------------------------------------------------------------------------------------------------


def ucsd(put: Put, head: str = "UCSDped2/", frames: int = 4, ending: str = ".tif") -> None:
    """Two training clips, and the test clips 1, 2 and 4; the first two have masks, abnormal from the third frame on."""
    for clip in ("Train/Train001", "Train/Train002", "Test/Test001", "Test/Test002", "Test/Test004"):
        for number in range(1, frames + 1):
            put(f"{head}{clip}/{number:03d}{ending}", coded(ending, GREY))
    for number in range(1, frames + 1):
        put(f"{head}Test/Test001_gt/{number:03d}.bmp", coded(".bmp", BAD if number > 2 else 0 * BAD))
        put(f"{head}Test/Test002_gt/frame{number:03d}.png", one_bit(BAD if number > 2 else 0 * BAD))


LIST = "% truth\r\nTestVideoFile = {};\r\n" + "\r\n".join(
    f"TestVideoFile{{end+1}}.gt_frame = {text}" for text in ("[3:4];", "[3, 4] % both", "[7:900];", "[1:2  4:4];")
)


def put_list(put: Put, text: str) -> Path:
    return put("UCSDped2/Test/UCSDped2.m", text.encode())


def abnormal(data: Any, clip: str) -> list[Any]:
    return [item.meta.get("abnormal") for item in data.items() if item.sequence == clip]


@pytest.mark.parametrize("ending", [".tif", ".jpg", ".png"])
def test_clips_with_masks_and_a_list(put: Put, tmp_path: Path, ending: str) -> None:
    ucsd(put, ending=ending)
    put_list(put, LIST)
    data = open_dataset("ucsd_ped", tmp_path)
    assert data.classes == "normal_abnormal" and data.counts() == {"train": 6, "dev": 2, "test": 12}
    assert [item.key for item in data.items("dev")] == ["Train001_004", "Train002_004"]
    assert abnormal(data, "Test001") == abnormal(data, "Test002") == [False, False, True, True]
    assert abnormal(data, "Test004") == [True, True, False, True]  # the fourth entry, though there is no Test003
    assert not any(abnormal(data, "Train002"))
    for item in [i for i in data.items("test") if "label" in i.files]:
        sample = data.read(item, ("image", "label"))
        assert sample.image.shape == (8, 12, 3) and (sample.image == sample.image[..., :1]).all()
        if ending != ".jpg":
            assert np.array_equal(sample.image[..., 0], GREY)
        assert np.array_equal(sample.label, (BAD > 0) * (int(item.frame) > 2)) and sample.label.dtype == np.uint8
        assert sample.meta["abnormal"] is (int(item.frame) > 2) and disagreement(sample) is None
        assert (sample.meta["sequence"], sample.meta["frame"]) == (item.key[:7], item.key[8:])


def test_clips_in_a_tar_are_those_in_a_folder(put: Put, tmp_path: Path) -> None:
    ucsd(put, "plain/")
    put("plain/Test/any.m", LIST.encode())
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "plain", "deep/er/UCSDped1")
    packed, plain = open_dataset("ucsd_ped", tmp_path / "a.tar"), open_dataset("ucsd_ped", tmp_path / "plain")
    assert [(i.key, i.split, i.meta) for i in packed.items()] == [(i.key, i.split, i.meta) for i in plain.items()]
    one, other = (data.read(data.items("test")[-5], ("image", "label")) for data in (packed, plain))
    assert np.array_equal(one.label, other.label) and one.label.any() and one.meta == other.meta


def test_without_a_list_the_masks_decide_and_are_not_decoded_before(put: Put, tmp_path: Path) -> None:
    ucsd(put)
    put("UCSDped2/Test/Test001_gt/002.bmp", b"damaged")
    data = open_dataset("ucsd_ped", tmp_path)
    assert abnormal(data, "Test001") == [None] * 4 and abnormal(data, "Train001") == [False] * 4
    sample = data.read(data.items("test")[2], ("label",))
    assert "abnormal" not in sample.meta and sample.label.any() and disagreement(sample) is None
    with pytest.raises(UserError, match=r"Test001_gt/002\.bmp is neither PNG nor JPEG"):
        data.read(data.items("test")[1], ("label",))


def test_missing_masks_are_listed_and_stray_ones_counted(put: Put, tmp_path: Path) -> None:
    ucsd(put)
    (tmp_path / "UCSDped2/Test/Test002_gt/frame003.png").unlink()
    put("UCSDped2/Test/Test002_gt/frame005.png", one_bit(BAD)), put("UCSDped2/Test/Test009_gt/1.bmp", b"")
    data = open_dataset("ucsd_ped", tmp_path)
    assert [name.split("/")[-2:] for name in data.stray] == [["Test002_gt", "frame005.png"], ["Test009_gt", "1.bmp"]]
    with pytest.raises(UserError) as caught:
        data.check(("image", "label"), "test")
    lines = str(caught.value).splitlines()[1:]
    assert ["Test002_003 has no label" in lines[0], len(lines)] == [True, 5]  # and the four of Test004


def test_masks_are_matched_by_number_also_where_names_run_the_other_way(put: Put, tmp_path: Path) -> None:
    for number, name in ((9, "a9"), (10, "a10"), (11, "a11")):
        put(f"Test/Test001/{number:04d}.png", coded(".png", GREY))
        put(f"Test/Test001_gt/{name}.png", coded(".png", (np.arange(96).reshape(8, 12) < number) * np.uint8(1)))
    data = open_dataset("ucsd_ped", tmp_path)
    assert [data.read(item, ("label",)).label.sum() for item in data.items("test")] == [9, 10, 11]
    put("Test/Test001/9.png", coded(".png", GREY)), put("Test/Test001/cover.png", coded(".png", GREY))
    with pytest.raises(UserError, match="matched by their numbers") as caught:
        open_dataset("ucsd_ped", tmp_path)
    assert "are both number 9 of Test001" in str(caught.value) and "cover.png has no number" in str(caught.value)


def test_a_list_counts_from_one_where_names_begin_with_zero(put: Put, tmp_path: Path) -> None:
    for number in range(4):
        put(f"UCSDped2/Test/Test001/{number:03d}.png", coded(".png", GREY))
    put_list(put, "TestVideoFile{end+1}.gt_frame = [2:4];")
    assert abnormal(open_dataset("ucsd_ped", tmp_path), "Test001") == [False, True, True, True]


@pytest.mark.parametrize("text", ["[3:]", "3:4", "[4:3]", "[0:3]", "[3:4:5]", "[3;4]", "[12345678901]", "[1:2] extra"])
def test_a_line_that_cannot_be_read_is_named(put: Put, tmp_path: Path, text: str) -> None:
    ucsd(put)
    put_list(put, f"TestVideoFile = {{}};\n\nTestVideoFile{{end+1}}.gt_frame = {text};\nclc\n")
    with pytest.raises(UserError, match=r"UCSDped2\.m line 3: TestVideoFile") as caught:
        open_dataset("ucsd_ped", tmp_path)
    assert "UCSDped2.m line 4: clc" in str(caught.value)


def test_a_list_of_other_clips_is_refused(put: Put, tmp_path: Path) -> None:
    ucsd(put)
    put_list(put, "\n".join(LIST.splitlines()[:5]))
    with pytest.raises(UserError, match=r"(?s)UCSDped2\.m is not the list .*Test004 has no entry.* the last in line 5"):
        open_dataset("ucsd_ped", tmp_path)
    put_list(put, LIST.replace("[3:4]", "[3:5]"))
    with pytest.raises(UserError, match="line 3 is for Test001 and names frame 5; the last there is 4"):
        open_dataset("ucsd_ped", tmp_path)
    put("UCSDped2/Test/other.m", LIST.encode())
    with pytest.raises(UserError, match="take one of them away"):
        open_dataset("ucsd_ped", tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (coded(".bmp", BAD // 2), r"002\.bmp holds the values 0, 127; a mask has two: 0 and 255, or 0 and 1"),
        (coded(".png", BAD // 255 + np.flip(BAD)), "holds the values 0, 1, 255"),
        (coded(".bmp", np.repeat(BAD[..., None], 3, -1)), "has 3 channels; a mask has one"),
        (coded(".bmp", BAD)[:-1], "the BMP is cut short"),
    ],
    ids=["grey", "three values", "colour", "cut"],
)
def test_masks_of_other_values_are_refused_with_their_names(put, tmp_path, content: bytes, said: str) -> None:
    ucsd(put)
    put("UCSDped2/Test/Test001_gt/002.bmp", content)
    data = open_dataset("ucsd_ped", tmp_path)
    with pytest.raises(UserError, match=said):
        data.read(data.items("test")[1], ("label",))


def test_where_list_and_mask_disagree(put: Put, tmp_path: Path) -> None:
    ucsd(put)
    put_list(put, LIST.replace("[3:4]", "[2:3]"))
    data = open_dataset("ucsd_ped", tmp_path)
    said = [disagreement(data.read(item, ("label",))) for item in data.items("test")[:4]]
    assert said[0] is said[2] is None
    assert "Test001_002 is abnormal in the list" in said[1] and "its mask marks no pixel" in said[1]
    assert "Test001_004 is normal in the list" in said[3] and "its mask marks pixels" in said[3]


def test_ped1_and_ped2_side_by_side_must_be_told_apart(put: Put, tmp_path: Path) -> None:
    ucsd(put, "UCSDped1/"), ucsd(put, "UCSDped2/")
    with pytest.raises(UserError, match=r"several folders \('UCSDped1', 'UCSDped2'\); name one by the option 'inside'"):
        open_dataset("ucsd_ped", tmp_path)
    assert open_dataset("ucsd_ped", tmp_path, inside="UCSDped1").counts()["test"] == 12


def test_a_test_clip_of_the_world_comes_back(tmp_path: Path) -> None:
    write_part("anomaly", tmp_path, WorldSettings(size=(32, 64), anomaly=Anomaly(train=0, test=1, length=8)))
    data = open_dataset("ucsd_ped", tmp_path)
    data.check(("image", "label"), "test")
    samples = [data.read(item, ("image", "label")) for item in data.items("test")]
    assert data.counts() == {"test": 8} and not data.stray and {disagreement(sample) for sample in samples} == {None}
    abnormal = [sample.meta["abnormal"] for sample in samples]
    assert abnormal == sorted(abnormal) and not abnormal[0] and abnormal[-1]


# -- TIFF and BMP -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [coded(".tif", GREY), coded(".tif", GREY, 259, 1), coded(".bmp", GREY)])
def test_a_tiff_or_bmp_is_whole_or_refused(data: bytes) -> None:
    assert picture_header(data, "a") == (8, 12, 8, 1) and np.array_equal(decode_image(data, "a", kind="gray"), GREY)
    for length in range(4, len(data), 3):
        with pytest.raises(UserError, match=r"a\.tif.* cut short"):
            decode_image(data[:length], "a.tif")


def tiff(*tags: tuple[int, int], following: int = 0) -> bytes:
    """A TIFF of one strip of eight bytes behind its header, with these tags besides or instead."""
    plain = {256: 4, 257: 2, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: 8} | dict(tags)
    entries = [struct.pack(">HHII", tag, 4, 1, value) for tag, value in sorted(plain.items())]
    return (
        b"MM\0*"
        + struct.pack(">I", 16)
        + bytes(range(8))
        + struct.pack(">H", len(plain))
        + b"".join(entries)
        + (struct.pack(">I", following))
    )


def test_a_tiff_is_bounded_before_it_is_decoded() -> None:
    assert decode_image(tiff(), "a", kind="gray").tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    for data, said in (
        (tiff((256, 40_000), (257, 40_000)), "40000 x 40000 pixels, more than the 100,000,000 that are decoded"),
        (tiff((256, 0)), "is 0 x 2 pixels"),
        (tiff((279, 80_000)), "cut short"),
        (tiff((258, 32)), "no plain TIFF"),
        (tiff((274, 6)), "no plain TIFF"),  # lies on its side
        (tiff(following=16), "no plain TIFF"),  # a second picture
        (coded(".tif", GREY.astype(np.float32)), "no plain TIFF"),
        (coded(".bmp", GREY)[:14] + struct.pack("<IiiHHI", 40, 40_000, 40_000, 1, 8, 0) + bytes(99), "cut short"),
        (coded(".bmp", GREY)[:14] + struct.pack("<IiiHHI", 40, 12, 8, 1, 8, 1) + bytes(99), "BMP of a kind"),
    ):
        with pytest.raises(UserError, match=said):
            decode_image(data, "a")


# -- IDX ----------------------------------------------------------------------------------------------------------


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


DIGITS = np.random.default_rng(1).integers(0, 256, (20, 5, 4), dtype=np.uint8)
CLASSES = np.arange(20, dtype=np.uint8) + 7  # beyond 9, as EMNIST's


def mnist(put: Put, train: str = "train-images-idx3-ubyte", pack: Callable[[bytes], bytes] = bytes) -> None:
    put(train, pack(idx(DIGITS)))
    put(train.replace("images", "labels").replace("idx3", "idx1"), pack(idx(CLASSES)))


def test_idx_plain_packed_and_with_a_dot(put: Put, tmp_path: Path) -> None:
    mnist(put, "a/train-images-idx3-ubyte")
    mnist(put, "b/train-images.idx3-ubyte.gz", gzip.compress)
    put("b/t10k-images.idx3-ubyte.gz", idx(DIGITS[:3]))  # somebody unpacked it and left its name
    for root in ("a", "b"):
        data = open_dataset("idx", tmp_path / root)
        assert [item.frame for item in data.items("dev")] == ["00017", "00018", "00019"]
        assert data.classes == "digits10" and len(pickle.dumps(data.read)) < 2000
        item = pickle.loads(pickle.dumps(data.items("dev")[1]))
        sample = pickle.loads(pickle.dumps(data.read))(item)
        assert np.array_equal(sample.image, np.repeat(DIGITS[18][..., None], 3, -1)) and sample.image.flags.writeable
        assert sample.meta["category"] == 25 and sample.meta["size"] == [5, 4] and sample.key == "train_00018"
    assert data.counts() == {"train": 17, "dev": 3, "test": 3} and "category" not in data.items("test")[0].meta
    assert len(mark(data.items())) == 64  # which asks for the paths, times and lengths of their files


def test_idx_that_lies_packed_and_unpacked_is_taken_once(put: Put, tmp_path: Path) -> None:
    mnist(put), mnist(put, "train-images-idx3-ubyte.gz", gzip.compress)
    assert open_dataset("idx", tmp_path, dev_share=0.0).counts() == {"train": 20}
    put("train-images.idx3-ubyte", idx(DIGITS))
    with pytest.raises(UserError, match="are the same part; take one away"):
        open_dataset("idx", tmp_path)
    (tmp_path / "train-images.idx3-ubyte").unlink()
    mnist(put, "fashion/train-images-idx3-ubyte")
    with pytest.raises(UserError, match=r"several folders \('', 'fashion'\); name one by the option 'inside'"):
        open_dataset("idx", tmp_path)
    assert open_dataset("idx", tmp_path, inside="fashion").counts()["train"] == 17


REFUSED = {  # packed when the test runs: a gzip holds the second at which it was made
    "short": (lambda: idx(DIGITS)[:-1], "promises 400 values .20 x 5 x 4. and holds only 399"),
    "long": (lambda: idx(DIGITS) + b"x", "promises 400 values .* and holds more"),
    "head": (lambda: idx(DIGITS)[:9], "is no IDX file of pictures"),
    "labels": (lambda: idx(CLASSES), "holds labels, its name says pictures; are two files swapped"),
    "png": (lambda: b"\x89PNG", "it does not begin with 0x00000803"),
    "cut gzip": (lambda: gzip.compress(idx(DIGITS))[:-9], "cannot be unpacked"),
    "wrong checksum": (lambda: gzip.compress(idx(DIGITS))[:-8] + bytes(8), "cannot be unpacked .CRC"),
    "bomb": (lambda: gzip.compress(idx(DIGITS) + bytes(10_000_000)), "promises 400 values .* and holds more"),
    "huge": (lambda: gzip.compress(struct.pack(">4I", 0x803, 60_000, 28_000, 28_000)), "47,040,000,000,000 bytes"),
    "empty": (lambda: struct.pack(">4I", 0x803, 0, 28, 28), "promises 0 bytes"),
}


@pytest.mark.parametrize(("data", "said"), REFUSED.values(), ids=REFUSED)
def test_idx_files_that_are_refused(put: Put, tmp_path: Path, data: Callable[[], bytes], said: str) -> None:
    mnist(put)
    put("train-images-idx3-ubyte", data())
    with pytest.raises(UserError, match=said):
        open_dataset("idx", tmp_path)


def test_idx_files_that_do_not_belong_together_are_listed(put: Put, tmp_path: Path) -> None:
    mnist(put)
    put("t10k-images-idx3-ubyte", idx(DIGITS[:3, 1:]))
    put("t10k-labels-idx1-ubyte", idx(CLASSES[:4]))
    put("train-labels-idx1-ubyte", idx(DIGITS))
    with pytest.raises(UserError) as caught:
        open_dataset("idx", tmp_path)
    said = str(caught.value)
    assert "t10k-labels-idx1-ubyte has 4 labels" in said and "t10k-images-idx3-ubyte 3 pictures" in said
    assert "several sizes: 4 x 4, 4 x 5" in said and "holds pictures, its name says labels" in said


def test_a_file_that_changes_while_it_is_read(put: Put, tmp_path: Path) -> None:
    mnist(put)
    data = open_dataset("idx", tmp_path)
    put("train-images-idx3-ubyte", idx(DIGITS[:5])).touch()
    with pytest.raises(UserError, match="was changed while it was in use; start again"):
        data.read(data.items("dev")[0])
    (tmp_path / "train-images-idx3-ubyte").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        data.read(data.items("dev")[0])


# -- npz ----------------------------------------------------------------------------------------------------------


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_npz_in_grey_with_masks(tmp_path: Path) -> None:
    masks = (DIGITS > 128).astype(np.uint8)
    file = npz(
        tmp_path / "a.npz", train_images=DIGITS, train_labels=CLASSES[:, None], test_labels=CLASSES,
        val_images=DIGITS[:4, ..., None], val_labels=CLASSES[:4] - np.int64(9), val_masks=masks[:4] * 255,
    )  # fmt: skip
    for root in (tmp_path, file):
        data = open_dataset("npz", root)
        assert data.counts() == {"train": 17, "dev": 3, "val": 4} and data.classes == "normal_abnormal"
        assert list(data.stray) == [f"{file}:test_labels"]
    assert [item.meta["category"] for item in data.items("val")] == [-2, -1, 0, 1]
    item = pickle.loads(pickle.dumps(data.items("val")[2]))
    sample = pickle.loads(pickle.dumps(data.read))(item, ("image", "label"))
    assert np.array_equal(sample.image, np.repeat(DIGITS[2][..., None], 3, -1)) and len(pickle.dumps(data.read)) < 2000
    assert np.array_equal(sample.label, masks[2]) and sample.meta["category"] == 0
    assert "label" not in data.items("train")[0].files and len(mark(data.items())) == 64
    with pytest.raises(UserError, match=r"sizes of|val_00000 has no depth"):
        data.read(data.items("val")[0], ("depth",))


@pytest.mark.parametrize("kind", [np.float16, ">f8"])
def test_npz_with_factors(tmp_path: Path, kind: Any) -> None:
    factors = np.linspace(-1, 1, 8).reshape(4, 2).astype(kind)
    file = npz(tmp_path / "a.npz", train_images=DIGITS, test_images=DIGITS[:4], test_factors=factors)
    data = open_dataset("npz", tmp_path)
    assert [item.meta["factors"] for item in data.items("test")] == factors.tolist()
    assert "factors" not in data.items("train")[0].meta and len(mark(data.items())) == 64
    assert json.loads(json.dumps(data.read(data.items("test")[1]).meta))["factors"] == factors[1].tolist()
    factors[2, 1] = np.nan
    npz(file, train_images=DIGITS, test_images=DIGITS[:4], test_factors=factors)
    with pytest.raises(
        UserError, match=r"a\.npz:test_factors\[2\] holds nan; factors are finite numbers, save it again"
    ):
        open_dataset("npz", tmp_path)


def test_npz_in_colour_inside_a_tar(tmp_path: Path) -> None:
    colours = np.random.default_rng(2).integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    npz(tmp_path / "a.npz", test_images=np.asfortranarray(colours), test_masks=DIGITS[:6])
    with tarfile.open(tmp_path / "b.tar", "w") as archive:
        archive.add(tmp_path / "a.npz", "path/a.npz")
    data = open_dataset("npz", tmp_path / "b.tar")
    assert np.array_equal(data.read(data.items("test")[5]).image, colours[5])
    with pytest.raises(UserError, match=r"path/a\.npz:test_masks\[0\] holds the values .*; a mask has two"):
        data.read(data.items("test")[0], ("label",))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"train_images": DIGITS / 255}, r"train_images is float64 \(20, 5, 4\); expected uint8 \(N, H, W\)"),
        ({"train_images": DIGITS[0]}, r"train_images is uint8 \(5, 4\); expected"),
        ({"train_images": DIGITS[..., None].repeat(4, -1)}, r"train_images is uint8 \(20, 5, 4, 4\); expected"),
        ({"train_images": DIGITS[:0]}, r"train_images is uint8 \(0, 5, 4\); expected"),
        ({"train_images": np.array([DIGITS, None], object)}, r"train_images is object \(2,\); expected"),
        ({"train_labels": np.array([1, "a"] * 10, object)}, r"train_labels is object \(20,\); expected integers"),
        ({"train_labels": CLASSES / 2}, r"train_labels is float64 \(20,\); expected integers"),
        ({"train_labels": np.zeros((20, 14), int)}, r"train_labels is int64 \(20, 14\); expected integers"),
        ({"train_labels": CLASSES[:7]}, "train_labels has 7 rows, but train_images 20 pictures"),
        ({"train_masks": DIGITS[:, 1:]}, "train_masks is uint8 .20, 4, 4., but the pictures .* have another size"),
        ({"train_masks": DIGITS > 9}, r"train_masks is bool \(20, 5, 4\); expected uint8"),
        ({"train_factors": np.zeros(20)}, r"train_factors is float64 \(20,\); expected floating \(N, J\)"),
        ({"train_factors": np.zeros((20, 2), int)}, r"train_factors is int64 \(20, 2\); expected floating"),
        ({"train_factors": np.zeros((20, 0))}, r"train_factors is float64 \(20, 0\); expected floating"),
        ({"train_factors": np.zeros((19, 2))}, "train_factors has 19 rows, but train_images 20 pictures"),
        ({"val_images": DIGITS[:, 1:]}, r"(?s)train_images has pictures of 5 x 4 x 1.*val_images .* of 4 x 4 x 1"),
    ],
)
def test_arrays_that_are_refused(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    file = npz(tmp_path / "a.npz", **{"train_images": DIGITS} | arrays)
    with pytest.raises(UserError, match=said) as caught:
        open_dataset("npz", tmp_path)
    assert str(caught.value).startswith(f"{file} holds arrays that do not do; save them again:")


def member(path: Path, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train_images.npy", data)
    return path


def test_npz_files_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = io.BytesIO()
    np.save(whole, DIGITS)
    longer = whole.getvalue().replace(b"(20, 5, 4)", b"(90, 5, 4)")
    for data, said in (
        (whole.getvalue()[:-1], r"train_images has another length in the file than uint8 \(20, 5, 4\) needs"),
        (longer, r"another length in the file than uint8 \(90, 5, 4\) needs"),  # nothing of that size is made
        (pickle.dumps(DIGITS), "cannot be unpacked .*magic string"),
        (b"", "cannot be unpacked"),
    ):
        member(tmp_path / "a.npz", data)
        with pytest.raises(UserError, match=said):
            open_dataset("npz", tmp_path)
    npz(tmp_path / "a.npz", x=DIGITS)
    with pytest.raises(UserError, match=r"expected one \.npz with arrays named train_images.*found x\.npy"):
        open_dataset("npz", tmp_path)
    (tmp_path / "a.npz").write_bytes(member(tmp_path / "a.npz", whole.getvalue()).read_bytes()[:-30])
    with pytest.raises(UserError, match="cannot be unpacked .*is it a whole .npz"):
        open_dataset("npz", tmp_path)
    member(tmp_path / "a.npz", whole.getvalue())
    monkeypatch.setattr("pipeline.datasets.npz.MAX_BYTES", 400)
    with pytest.raises(UserError, match=r"a\.npz:train_images\.npy has 528 bytes, more than the 400 that are read"):
        open_dataset("npz", tmp_path)
    npz(tmp_path / "b.npz", train_images=DIGITS)
    with pytest.raises(UserError, match=r"several data sets \(a\.npz, b\.npz\); give the path of one"):
        open_dataset("npz", tmp_path)
