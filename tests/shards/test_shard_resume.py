"""A killed or starved run leaves nothing half-written, and the next one ends as if nothing had happened."""

import subprocess
from pathlib import Path

import pytest

from pipeline.cluster import ClusterSettings
from pipeline.files import UserError
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards
from tests.commands import ROOT, Ended, run_apart

SETTINGS = ShardSettings(samples_per_shard=3, image_format="png")
COUNT = 11
PROGRAM = """
import os, resource, signal, sys
from pathlib import Path
import numpy as np
from pipeline.files import UserError
from pipeline.sample import Sample
from pipeline.shards.settings import ShardSettings
from pipeline.shards.writer import write_shards

def make(i):
    print(i, flush=True)
    if mode == "kill" and i == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return Sample(f"a{i:03d}", image=np.random.default_rng(i).integers(0, 256, (24, 40, 3), dtype=np.uint8))

out, mode = Path(sys.argv[1]), sys.argv[2]
if mode == "starve":
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
try:
    write_shards(make, range(11), out, classes="cityscapes19", split="train",
                 settings=ShardSettings(samples_per_shard=3, image_format="png"), fingerprint=sys.argv[3])
except UserError as error:
    print(error)
    sys.exit(2)
"""


def run(out: Path, mode: str, fingerprint: str = "same") -> Ended:
    program = out.parent.with_name(f"{out.parent.name}-program.py")
    program.write_text(PROGRAM)
    return run_apart(ROOT, str(program), str(out), mode, fingerprint)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, folder_bytes):
    out = tmp_path_factory.mktemp("undisturbed") / "set"
    assert run(out, "go").code == 0
    return folder_bytes(out)


def test_killed_in_a_shard_it_goes_on_and_ends_alike(tmp_path, undisturbed, folder_bytes):
    out = tmp_path / "set"
    assert run(out, "kill").code == -9
    assert not out.exists()
    second = run(out, "go")
    assert second.code == 0, second.err
    assert second.out.split() == [str(i) for i in range(6, COUNT)]  # the first two shards were finished
    assert folder_bytes(out) == undisturbed
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_another_fingerprint_starts_afresh(tmp_path, undisturbed, folder_bytes):
    out = tmp_path / "set"
    run(out, "kill", "parameters of yesterday")
    second = run(out, "go", "parameters of today")
    assert second.out.split() == [str(i) for i in range(COUNT)]
    assert folder_bytes(out) == undisturbed


def test_a_finished_shard_that_was_damaged_since_is_made_again(tmp_path, undisturbed, folder_bytes):
    out = tmp_path / "set"
    run(out, "kill")
    shard = tmp_path / ".set.scratch" / "set" / "000001.tar"
    shard.write_bytes(shard.read_bytes()[:-100])
    assert run(out, "go").out.split() == [str(i) for i in range(3, COUNT)]
    assert folder_bytes(out) == undisturbed


def test_a_limit_on_file_size_is_one_sentence(tmp_path):
    stopped = run(tmp_path / "set", "starve")
    assert stopped.code == 2 and "the disk is full" in stopped.out.splitlines()[-1]
    assert not (tmp_path / "set").exists() and "Traceback" not in stopped.err


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_sentence_and_space_mends_it(make, tmp_path, workers, folder_bytes):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here; it needs the rights of root")
    kept = {"classes": "cityscapes19", "split": "train", "settings": SETTINGS, "fingerprint": "same"}
    try:
        with pytest.raises(UserError, match="the disk is full: .*set could not be written") as caught:
            write_shards(make, range(COUNT), disk / "set", cluster=ClusterSettings(workers=workers), **kept)
        assert "\n" not in str(caught.value)
        assert not (disk / "set").exists()
        assert not list(disk.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        write_shards(make, range(COUNT), disk / "set", cluster=ClusterSettings(workers=workers), **kept)
        write_shards(make, range(COUNT), tmp_path / "set", **kept)
        assert folder_bytes(disk / "set") == folder_bytes(tmp_path / "set")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_two_writers_of_one_set_do_not_mix(make, tmp_path):
    kept = {"classes": "cityscapes19", "split": "train", "settings": SETTINGS, "fingerprint": "same"}

    def meanwhile(i):
        with pytest.raises(UserError, match="another process is writing"):
            write_shards(make, range(COUNT), tmp_path / "set", **kept)
        return make(i)

    write_shards(meanwhile, [0], tmp_path / "set", **kept)


def test_a_folder_without_rights_is_a_sentence(make, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    kept = {"classes": "cityscapes19", "split": "train", "settings": SETTINGS}
    with pytest.raises(UserError, match="cannot be written"):
        write_shards(make, [0], tmp_path / "file" / "set", **kept)
