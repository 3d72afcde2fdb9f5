"""What every stage does to its process, and to those that it begins."""

import os
import platform
import subprocess
import sys

import pytest

from tests.commands import ROOT

FAULTS = """
import resource
faults = []
for _ in range(20):
    b"x" * (32 << 20)  # 8192 pages
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[0])
"""
KEPT = "import subprocess, sys; from stages.common import keep_memory; keep_memory();"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other ways")
@pytest.mark.parametrize("code", [KEPT + FAULTS, f"{KEPT} subprocess.run([sys.executable, '-c', {FAULTS!r}])"])
def test_freed_arrays_are_used_again_and_not_cleared_page_by_page(code):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}  # as for a user
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert int(told.stdout) < 7 * 8192  # by itself glibc would take all of them anew
