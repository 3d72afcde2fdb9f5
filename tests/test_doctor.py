"""`make doctor`: what would fail is told before it does, and nothing is told that is not so."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import doctor, machine, presets
from pipeline.engine.settings import DeviceSettings
from pipeline.machine import GPU, Machine
from pipeline.params import read_yaml
from tests.commands import ROOT

ROOMY = Machine(
    cores=2, processor="a processor", memory=16 * 10**9, available=8 * 10**9, limit=None, disk=10**12,
    cache=Path(".dvc/cache"), cache_disk=10**12, one_disk=True, reflinks=False, shared=None, gpus=(),
    torch="torch, built without CUDA", torch_loads=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def default():
    return read_yaml(ROOT / "presets/default.yaml")


@pytest.fixture
def params(default, tmp_path, monkeypatch):
    """The smallest graph, in a folder of its own: one segmenter on untranslated pictures."""
    (tmp_path / "presets").symlink_to(ROOT / "presets")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIM2STREET_DATA", raising=False)
    monkeypatch.setattr(doctor, "_tools", lambda: iter(()))
    given = copy.deepcopy(default)
    for kind in presets.SWITCHED:
        given[kind] = dict.fromkeys(given[kind], [])
    given["translators"]["none"], given["cells"]["source_only"], given["exactness"] = [0], ["none"], []
    given["simulate"], given["sequences"] = ["source", "target"], []
    return given


def sentences(params, found=ROOMY):
    return doctor.failures(params, found)[0]


def test_nothing_fails_on_a_roomy_machine_without_a_gpu(params):
    assert sentences(params) == []


def test_too_little_disk_is_told_with_what_is_needed_and_what_is_there(params):
    params["world"] |= {"source": 60_000, "size": [512, 1024]}
    (told,) = sentences(params, replace(ROOMY, disk=10**9))
    assert "will be written here, twice with DVC's cache, and 1.0 GB are free; make room" in told
    assert sentences(params) == []


def test_what_lies_there_of_an_earlier_run_needs_no_new_room(params):
    disk = doctor.disk_of(params, {})
    Path("data/shards").mkdir(parents=True)
    with open("data/shards/old.tar", "wb") as file:
        file.truncate(int(disk.all))
    assert list(doctor._room(params, disk, replace(ROOMY, disk=0))) == []


def test_shards_and_models_are_counted_for_every_seed(params):
    once = doctor.disk_of(params, {"source_only": (10**6, 10**6)})
    params["translators"]["none"], params["seeds"] = [0, 1, 2], [0, 1, 2]
    thrice = doctor.disk_of(params, {"source_only": (10**6, 10**6)})
    assert thrice.translated == 3 * once.translated and thrice.models == 3 * once.models == 12e6
    assert thrice.shards == once.shards


def test_too_little_memory_names_the_method(params):
    (told,) = sentences(params, replace(ROOMY, available=10**8))
    assert told.startswith("source_only takes at least 859 MB of memory in training, and 100 MB are free")


def test_missing_data_are_told_with_the_command_that_brings_them(params):
    params["target"] |= {"name": "camvid", "layout": "camvid"}
    (told,) = sentences(params)
    assert "there is no data/raw/camvid; make data NAME=camvid FROM=path brings it" in told
    assert doctor.disk_of(params, {}).unknown == ["camvid"]


def test_data_of_another_layout_are_told(params):
    params["target"] |= {"name": "camvid", "layout": "camvid"}
    Path("data/raw/camvid").mkdir(parents=True)
    Path("data/raw/camvid/notes.png").write_bytes(b"no picture")
    (told,) = sentences(params)
    assert "data/raw/camvid is not in the expected layout" in told


def test_wrong_parameters_are_told_and_the_cost_is_not(params):
    params["train"]["gama"] = 1.0
    told, disk, held = doctor.failures(params, ROOMY)
    assert told == ["params.yaml: 'train.gama' is unknown; did you mean 'train.gamma'?"]
    assert doctor.cost(params, disk, held, ROOMY) == {"its cost": "not known while what is named below is wrong"}


@pytest.mark.parametrize(
    ("device", "gpus", "said"),
    [
        ({"accelerator": "cuda"}, 0, "torch sees no CUDA device"),
        ({"devices": 4}, 2, "device.devices is 4, but torch sees 2"),
        ({"precision": "bf16-mixed"}, 1, "which this GPU does not compute"),
        ({"accelerator": "cpu", "precision": "bf16-mixed"}, 1, None),
        ({}, 0, None),
    ],
)
def test_a_device_that_is_not_there(device, gpus, said):
    found = replace(ROOMY, gpus=(GPU("an old one", 10**10, 10**10, bf16=False),) * gpus)
    told = list(doctor._device(DeviceSettings(**device), found))
    assert (said in told[0]) if said else told == []


def test_own_parameters_are_told_with_the_nearest_preset(monkeypatch):
    monkeypatch.setattr(presets, "nearest", lambda _: ("tiny", ["train.gamma"]))
    monkeypatch.chdir(ROOT)
    lines = doctor.which({"train": {"gamma": 0.25}})
    assert lines["preset"] == "own; nearest is tiny, but for train.gamma 0.25"
    assert "(tiny) Cost: a few minutes" in lines["its head"] and "Score to expect" in lines["its head"]


@pytest.mark.parametrize(
    ("told", "files", "limits"),
    [
        ("0::/a/b", {"a/b/memory.max": "max", "a/memory.max": "2000", "a/cpu.max": "150000 100000"}, (1.5, 2000)),
        ("0::/", {"memory.max": "max", "cpu.max": "max 100000"}, (None, None)),
        ("4:memory:/j\n1:cpu:/j", {"memory/j/memory.limit_in_bytes": "3000", "cpu/j/cpu.cfs_quota_us": "-1"}, (None, 3000)),
        ("4:memory:/j", {"memory/memory.limit_in_bytes": "9223372036854771712"}, (None, None)),
        ("0::/gone", {}, (None, None)),
    ],
)  # fmt: skip
def test_limits_of_control_groups(tmp_path, told, files, limits):
    (tmp_path / "cgroup").write_text(told)
    for name, text in files.items():
        (tmp_path / "groups" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / name).write_text(text)
    assert machine.limits(tmp_path / "cgroup", tmp_path / "groups") == limits


def test_versions_that_differ_from_the_lock_are_named(tmp_path):
    (tmp_path / "in").write_text("numpy\npytest\nno-such-package # why\n")
    (tmp_path / "lock").write_text("numpy==0.1 ; python_version > '3'\nnumpy==9 ; python_version < '3'\n")
    count, differing = machine.versions(str(tmp_path / "in"), str(tmp_path / "lock"))
    assert count == 3 and len(differing) == 2
    assert differing[0].startswith("numpy ") and differing[0].endswith(", not 0.1")
    assert differing[1] == "no-such-package missing, not any"


@pytest.mark.parametrize(("change", "code"), [({}, 0), ({"device": {"accelerator": "cuda"}}, 1)])
def test_the_page_and_its_exit_status(params, monkeypatch, capsys, change, code):
    monkeypatch.setattr(doctor, "load", lambda: params | change)
    monkeypatch.setattr(machine, "look", lambda: ROOMY)
    monkeypatch.setattr(presets, "nearest", lambda _: ("default", []))
    assert doctor.main() == code
    out = capsys.readouterr().out
    assert all(title in out for title in ("this machine", "params.yaml", "what would fail"))
    assert ("nothing that can be seen from here" in out) == (code == 0)
    assert "Cost: about 18 minutes" in out and "time        not known" in out


def test_this_machine_is_read_whatever_it_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = machine.look()
    assert found.cores > 0 and found.memory >= found.available > 0 and found.disk > 0
    assert all(machine.describe(found).values()) and list(tmp_path.iterdir()) == []


def test_times_of_earlier_runs_are_those_of_the_same_method(params):
    Path("results/costs/segment/source_only").mkdir(parents=True)
    Path("results/costs/segment/source_only/0.json").write_text(
        '{"method": "source_only", "images_per_second": 10.0, "peak_mb": 1200.0, "device": "cpu, 2 threads"}'
    )
    memory, time = doctor._earlier(params, ["source_only", "oracle"])
    assert memory == "measured here: 1.2 GB; "
    minutes = params["segment"]["steps"] * params["segment"]["batch"] / 10 / 60
    assert time == f"measured here, on cpu, 2 threads: {minutes:.1f} minutes for 1 of the trainings; not known: oracle"
