"""What this machine has, as far as it can be read: the first part of `make doctor`. Sizes are bytes."""

import configparser
import importlib.metadata as metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

GROUP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60  # version 1 writes a number like this where there is no limit


@dataclass(frozen=True)
class GPU:
    """One that torch sees. bf16: whether it computes in bfloat16 itself."""

    name: str
    memory: int
    free: int
    bf16: bool


@dataclass(frozen=True)
class Machine:
    """What decides whether a run fits. reflinks: whether DVC's cache shares its blocks with the working folder."""

    cores: float
    processor: str
    memory: int
    available: int  # of the machine's memory, or of what the control group leaves of it
    limit: int | None  # of the control group
    disk: int  # free, here
    cache: Path
    cache_disk: int  # free, where the cache is
    one_disk: bool
    reflinks: bool
    shared: int | None  # free in /dev/shm, through which the processes of several GPUs talk
    gpus: tuple[GPU, ...]
    torch: str  # its version and CUDA, or why it cannot be loaded
    torch_loads: bool


def look() -> Machine:
    """Read what there is; nothing is changed but for a probe of a few bytes beside DVC's cache, removed at once."""
    cores, limit = limits()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory, cache = psutil.virtual_memory(), cache_folder()
    beside = _existing(cache)
    shm = Path("/dev/shm")
    torch, loads, gpus = _torch()
    return Machine(
        cores=min(usable, cores) if cores else usable,
        processor=_processor(),
        memory=memory.total,
        available=min(memory.available, limit) if limit else memory.available,
        limit=limit,
        disk=shutil.disk_usage(".").free,
        cache=cache,
        cache_disk=shutil.disk_usage(beside).free,
        one_disk=beside.stat().st_dev == Path(".").stat().st_dev,
        reflinks=_reflinks(beside),
        shared=shutil.disk_usage(shm).free if shm.is_dir() else None,
        gpus=gpus,
        torch=torch,
        torch_loads=loads,
    )


def limits(group: Path = GROUP, groups: Path = GROUPS) -> tuple[float | None, int | None]:
    """(cores, memory) that the control groups of this process allow, None where they set no limit.

    The tightest counts, from the process's own group up to the root; in a container its own stands at the root.
    """
    cores, memory = [], []
    for line in group.read_text().splitlines() if group.is_file() else []:
        _, controllers, path = line.split(":", 2)
        base = groups / controllers  # version 2 names none
        own = base / path.lstrip("/")
        for folder in (own, *(above for above in own.parents if above.is_relative_to(base))):
            quota = _words(folder / "cpu.max") or _words(folder / "cpu.cfs_quota_us") + _words(
                folder / "cpu.cfs_period_us"
            )
            if len(quota) == 2 and quota[0].isdigit():
                cores.append(int(quota[0]) / int(quota[1]))
            most = _words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes")
            if most and most[0].isdigit() and int(most[0]) < UNLIMITED:
                memory.append(int(most[0]))
    return min(cores, default=None), min(memory, default=None)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _processor() -> str:
    """Its name, and which of the wide instructions it has that make torch fast."""
    told = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    named = re.search(r"^model name\s*: (.*)$", told, re.M)
    flags = set((re.search(r"^flags\s*: (.*)$", told, re.M) or re.match("()", ""))[1].split())  # type: ignore[index]
    wide = [name for flag, name in (("avx2", "AVX2"), ("avx512f", "AVX-512")) if flag in flags]
    without = ", no AVX-512" if flags and "avx512f" not in flags else ""
    return ", ".join([named[1] if named else platform.machine(), *wide]) + without


def _torch() -> tuple[str, bool, tuple[GPU, ...]]:
    """torch in words, whether it loads with its torchvision, and the GPUs that it sees."""
    from pipeline.files import UserError

    try:
        import torch

        from pipeline.engine.device import check_torchvision

        check_torchvision()
    except (ImportError, OSError, UserError) as error:
        return str(error).splitlines()[0], False, ()
    gpus = []
    for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        with torch.cuda.device(i):
            free, total = torch.cuda.mem_get_info(i)
            gpus.append(GPU(torch.cuda.get_device_name(i), total, free, torch.cuda.is_bf16_supported(False)))
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
    return f"torch {torch.__version__}, {built}", True, tuple(gpus)


def driver() -> str | None:
    """Version of NVIDIA's driver, None where there is none."""
    told = Path("/proc/driver/nvidia/version")
    found = re.search(r"\d+\.\d+(\.\d+)?", told.read_text()) if told.is_file() else None
    return found[0] if found else None


def cache_folder() -> Path:
    """Where DVC keeps what the stages made: cache.dir of its settings, local ones first."""
    for name in ("config.local", "config"):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read(Path(".dvc") / name)
        if parser.has_option("cache", "dir"):
            return Path(".dvc") / Path(parser["cache"]["dir"]).expanduser()
    return Path(".dvc/cache")


def _existing(path: Path) -> Path:
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())


def _reflinks(folder: Path) -> bool:
    """Whether a file here may share its blocks with one in `folder`, as DVC would have it."""
    from dvc_objects.fs.system import reflink

    try:
        with tempfile.TemporaryDirectory(dir=folder) as there, tempfile.NamedTemporaryFile(dir=".") as here:
            here.write(b"probe")
            here.flush()
            reflink(here.name, f"{there}/probe")
    except OSError:
        return False
    return True


def versions(asked: str = "requirements.in", locked: str = "constraints.txt") -> tuple[int, list[str]]:
    """(how many direct dependencies there are, "NAME VERSION, not LOCKED" of those that differ from the lock)."""
    lock, names = dict(_requirements(locked)), [name for name, _ in _requirements(asked)]
    differing = []
    for name in names:
        have, wanted = version(name), lock.get(name, "")
        if have is None or wanted and have.partition("+")[0] != wanted:
            differing.append(f"{name} {have or 'missing'}, not {wanted or 'any'}")
    return len(names), differing


def version(name: str) -> str | None:
    """Of an installed distribution, None without it."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _requirements(file: str) -> Iterator[tuple[str, str]]:
    """(name, pinned version or "") of the lines that hold on this Python and system."""
    from packaging.requirements import Requirement

    for line in Path(file).read_text().splitlines() if Path(file).is_file() else []:
        text = line.partition("#")[0].strip()
        if text and ((one := Requirement(text)).marker is None or one.marker.evaluate()):
            yield one.name, str(one.specifier).removeprefix("==")


def gb(size: float) -> str:
    """Bytes in words."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def describe(machine: Machine) -> dict[str, str]:
    """The machine, a line to a thing."""
    group = f"; its control group allows {gb(machine.limit)}" if machine.limit else ""
    elsewhere = "" if machine.one_disk else f", {gb(machine.cache_disk)} free there"
    kept = "shares blocks with them" if machine.reflinks else "keeps a second copy of what stages write"
    driven = f"; NVIDIA's driver is {driver()}" if driver() else ""
    gpus = "; ".join(f"{gpu.name}, {gb(gpu.memory)}, {gb(gpu.free)} free" for gpu in machine.gpus)
    if len(machine.gpus) > 1 and machine.shared is not None:
        gpus += f"; {gb(machine.shared)} of shared memory between their processes"
    count, differing = versions()
    return {
        "cores": f"{machine.cores:g} usable; {machine.processor}",
        "memory": f"{gb(machine.memory)}, {gb(machine.available)} available{group}",
        "disk": f"{gb(machine.disk)} free here; DVC's cache ({machine.cache}{elsewhere}) {kept}",
        "GPU": f"{gpus or 'none that torch sees'}{driven}; {machine.torch}",
        "Python": f"{platform.python_version()} ({sys.executable})",
        "packages": f"{count - len(differing)} of {count} as in constraints.txt"
        + "".join(f"; {text}" for text in differing),
    }
