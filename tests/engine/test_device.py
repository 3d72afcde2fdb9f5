"""What launching a training does to its process."""

import platform
import resource

import pytest
import torch

from pipeline.engine.device import launch
from pipeline.engine.settings import DeviceSettings


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other ways")
def test_freed_arrays_are_used_again_and_not_cleared_page_by_page():
    launch(DeviceSettings(accelerator="cpu", threads=1))
    faults = []
    for _ in range(60):
        torch.ones(8 << 20)  # 32 MB, 8192 pages
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    assert faults[-1] - faults[0] < 20 * 8192  # by itself glibc would take all of them anew
