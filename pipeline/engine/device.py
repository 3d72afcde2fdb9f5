"""Lightning Fabric for devices and precision; a torch and torchvision that do not match are named in a sentence."""

import os

import torch
from lightning_fabric import Fabric

from pipeline.engine.settings import DeviceSettings
from pipeline.files import UserError


def check_torchvision() -> None:
    """torchvision beside a torch of another build installs without complaint and dies in its operators."""
    import importlib.metadata as metadata

    try:
        import torchvision  # noqa: F401
        from torchvision.ops import nms  # noqa: F401

        torch.ops.torchvision.nms  # noqa: B018
    except (RuntimeError, AttributeError, ImportError, OSError) as error:
        have = {name: metadata.version(name) for name in ("torch", "torchvision")}
        raise UserError(
            f"torchvision {have['torchvision']} does not match torch {have['torch']} ({str(error).splitlines()[0]}); "
            "install both from one index in one command, as `make setup` does"
        ) from None


def launch(settings: DeviceSettings) -> Fabric:
    """A launched Fabric: the device, the precision and, under torchrun or with devices > 1, the process group."""
    threads = settings.threads or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else settings.threads
    if threads:
        torch.set_num_threads(threads)
    cuda = settings.accelerator in ("auto", "cuda") and torch.cuda.is_available()
    if settings.accelerator == "cuda" and not cuda:
        raise UserError("device.accelerator is 'cuda' but torch sees no CUDA device; use 'auto' or 'cpu'")
    precision = settings.precision
    if precision == "auto":
        precision = "bf16-mixed" if cuda and torch.cuda.is_bf16_supported() else "32-true"
    devices, nodes = places(settings)
    fabric = Fabric(
        accelerator=settings.accelerator,
        devices=devices,
        num_nodes=nodes,
        precision=precision,
        strategy="ddp" if devices * nodes > 1 else "auto",
    )
    fabric.launch()
    return fabric


def places(settings: DeviceSettings) -> tuple[int, int]:
    """Processes on this machine, and machines: torchrun's where it started this process, else device.devices on one."""
    here, everywhere = (int(os.environ.get(name, "0")) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    return (here, everywhere // here) if here else (settings.devices, 1)


def describe(fabric: Fabric) -> str:
    """The device in words, as it stands in model cards and costs."""
    name = (
        torch.cuda.get_device_name(fabric.device)
        if fabric.device.type == "cuda"
        else f"{torch.get_num_threads()} threads"
    )
    return f"{fabric.device.type}, {name}, {fabric.world_size} process(es), {fabric._precision.precision}"
