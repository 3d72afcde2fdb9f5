import shutil, threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tests.conftest import *
from tests.commands import run_here, run_apart, contents, ROOT


def test_e2e(world, tmp_path, copy):
    import random

    class H(SimpleHTTPRequestHandler):
        n = 0

        def copyfile(self, source, out):
            H.n += 1
            data = source.read()
            out.write(data[: len(data) // 2] if self.path.endswith(".tar") and H.n % 3 == 0 else data)

    http = ThreadingHTTPServer(("127.0.0.1", 0), partial(H, directory=str(world / "data/shards")))
    threading.Thread(target=http.serve_forever, daemon=True).start()
    folder = copy(world, "data/shards")
    shutil.rmtree(folder / "data/shards/source")
    e = run_here(folder, "shard", "source", "--url", f"http://127.0.0.1:{http.server_port}/source")
    print(e)
    assert e.code == 0
    outs = []
    for cmd in ([], ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]):
        e = run_apart(folder, *cmd, "-m", "stages.train", "spigan", "0")
        print(e.err[-600:])
        assert e.code == 0
        outs.append((folder / "results/train/spigan/0/curves.json").read_text())
    e = run_here(folder, "translate", "spigan", "0")
    print(e)
    assert e.code == 2
    e = run_here(folder, "train", "spade", "0")
    print(e.err[-300:])
    print(*outs, sep="\n")
