"""Mapping over items in other processes: joblib's on this machine, or those of a Dask or Ray cluster.

Items are pure functions whose outputs may be written twice, so an item whose process was killed is simply done again.
Results come in order and a window at a time, so that memory does not grow with the set. Dask and Ray are asked directly,
not through joblib: joblib's Dask backend waits for ever for an item that killed its workers, and loses with a killed one
the arguments that lay there; Ray's knows neither retries nor results before the last one.
"""

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, field_validator, model_validator

from pipeline.files import UserError, progress
from pipeline.params import Parameters, block

ROOT = Path(__file__).resolve().parents[1]
RETRIES = 2  # of an item whose process was killed
PATIENCE = 60  # seconds for a scheduler to answer and for a first worker to join it
AHEAD = 2  # items in flight for each process or thread: one in work, one that waits for it

Item = TypeVar("Item")
Result = TypeVar("Result")
Stream = Generator[Result, None, None]


class ClusterSettings(Parameters):
    """Where data stages run. It changes no byte of what they write, so no stage of the graph depends on it."""

    backend: Literal["loky", "dask", "ray"] = "loky"
    address: str | None = None  # of a running scheduler; null: one of its own on this machine
    workers: Annotated[int, Field(gt=0)] = 2  # processes on this machine; a running cluster has its own number

    @field_validator("backend")
    @classmethod
    def _installed(cls, backend: str) -> str:
        if backend != "loky" and not find_spec({"dask": "distributed"}.get(backend, backend)):
            raise ValueError(f'it is not installed; run pip install ".[{backend}]", or set loky')
        return backend

    @model_validator(mode="after")
    def _addressed(self) -> "ClusterSettings":
        if self.backend == "loky" and self.address is not None:
            raise ValueError("loky has no address, it is this machine; set backend to dask or ray, or address to null")
        return self


ALONE = ClusterSettings(workers=1)  # in this process


def cluster_of(params: dict[str, Any]) -> ClusterSettings:
    """The block `cluster` of params.yaml."""
    return block(params, "cluster", ClusterSettings)


def map_items(
    function: Callable[[Item], Result], items: Sequence[Item], cluster: ClusterSettings = ALONE, label: str = ""
) -> list[Result]:
    """function over items, in order."""
    with contextlib.closing(stream(function, items, cluster)) as results:
        return list(progress(results, label, total=len(items)))


def stream(function: Callable[[Item], Result], items: Sequence[Item], cluster: ClusterSettings = ALONE) -> Stream:
    """function(item) for every item in order, one at a time. To be closed, which ends what was begun.

    Raises what the function raises, and UserError where the cluster cannot be used or an item kills its processes.
    """
    call = partial(_in_folder, os.getcwd(), function)
    if cluster.backend == "dask":
        yield from _on_dask(call, items, cluster)
    elif cluster.backend == "ray":
        yield from _on_ray(call, items, cluster)
    elif cluster.workers > 1 and len(items) > 1:
        yield from _on_loky(call, items, cluster.workers)
    else:
        yield from map(function, items)


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Stream:
    """The same in threads of this process, beside its device: for decoding and encoding, where OpenCV and hashlib let go of
    Python's lock. Items are taken by the thread that asks for results."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="beside")
    try:
        yield from _window(
            lambda item: pool.submit(function, item), lambda future: future.result(), items, AHEAD * threads
        )
    finally:
        pool.shutdown(cancel_futures=True)


def _in_folder(folder: str, function: Callable[[Item], Result], item: Item) -> Result:
    """function(item) where the stage runs: its paths are relative to that."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise UserError(
            f"the worker on {socket.gethostname()} cannot enter {folder} ({error.strerror}); workers need the file "
            "system of the machine that runs the stage, under the same path"
        ) from None
    return function(item)


def _window(submit: Callable[[Any], Any], result: Callable[[Any], Any], items: Iterable[Any], width: int) -> Stream:
    """Results in order, with at most `width` items submitted and not yet taken."""
    waiting: deque[Any] = deque()
    for item in items:
        waiting.append(submit(item))
        if len(waiting) >= width:
            yield result(waiting.popleft())
    while waiting:
        yield result(waiting.popleft())


def _deadly(error: Exception) -> UserError:
    return UserError(
        f"worker processes are killed over the same items again and again ({type(error).__name__}), for want of memory as a "
        "rule; use fewer processes (cluster.workers) or machines with more of it, and run the same command again"
    )


# -- backends -----------------------------------------------------------------------------------------------------


def _on_loky(call: Callable[[Item], Any], items: Sequence[Item], workers: int) -> Stream:
    """A killed process breaks the pool, and with it all that was in work: the rest goes to a new one."""
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    done = tries = 0
    while done < len(items):
        try:
            pool = Parallel(n_jobs=workers, backend="loky", return_as="generator")
            with contextlib.closing(pool(delayed(call)(item) for item in items[done:])) as results:
                for result in results:
                    yield result
                    done, tries = done + 1, 0
        except BrokenProcessPool as error:
            tries += 1
            if tries > RETRIES:
                raise _deadly(error) from None


def _on_dask(call: Callable[[Item], Any], items: Sequence[Item], cluster: ClusterSettings) -> Stream:
    """The scheduler itself gives a killed worker's items to others, `distributed.scheduler.allowed-failures` (3) times."""
    from distributed import Client, KilledWorker

    here = {"n_workers": cluster.workers, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    try:
        client = Client(cluster.address, timeout=PATIENCE) if cluster.address else Client(**here)
    except (OSError, ValueError) as error:
        raise _unreachable("Dask scheduler", "dask scheduler", cluster, error) from None
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise UserError(
                f"the Dask scheduler at {cluster.address} has no workers; start some with `dask worker {cluster.address}`"
            ) from None
        submit, width = partial(client.submit, call, pure=False), AHEAD * sum(client.nthreads().values())
        try:
            yield from _window(submit, lambda future: future.result(), items, width)
        except KilledWorker as error:
            raise _deadly(error) from None
        except (ModuleNotFoundError, RuntimeError) as error:
            missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
            if not isinstance(missing, ModuleNotFoundError):
                raise
            raise _unimportable(cluster, missing) from None


def _on_ray(call: Callable[[Item], Any], items: Sequence[Item], cluster: ClusterSettings) -> Stream:
    """Ray runs an item of a killed worker again, `max_retries` times."""
    import ray
    from ray.exceptions import OutOfMemoryError, RaySystemError, RayTaskError, WorkerCrashedError

    if not cluster.address:  # its processes are children of this one, but look for code in PYTHONPATH alone
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    here = {"num_cpus": cluster.workers, "include_dashboard": False} if not cluster.address else {}
    try:
        ray.init(address=cluster.address or "local", log_to_driver=False, logging_level="ERROR", **here)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _unreachable("Ray", "ray start --head", cluster, error) from None
    try:
        task = ray.remote(max_retries=RETRIES, num_cpus=1)(_run)
        stored = ray.put(call)
        width = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        yield from _window(partial(task.remote, stored), ray.get, items, width)
    except RayTaskError as error:
        lost = isinstance(error.cause, RaySystemError) and "No module named" in str(error.cause)
        raise _unimportable(cluster, error.cause) if lost else error.cause from None
    except (WorkerCrashedError, OutOfMemoryError) as error:
        raise _deadly(error) from None
    finally:
        ray.shutdown()


def _run(call: Callable[[Item], Any], item: Item) -> Any:
    return call(item)


def _unimportable(cluster: ClusterSettings, error: Exception) -> UserError:
    return UserError(
        f"the cluster at {cluster.address or 'this machine'} cannot load this project's code ({str(error).splitlines()[0]}); "
        "start its scheduler and workers in this project's environment, with PYTHONPATH naming its folder"
    )


def _unreachable(what: str, command: str, cluster: ClusterSettings, error: Exception) -> UserError:
    return UserError(
        f"no {what} answers at {cluster.address or 'this machine'} ({str(error).splitlines()[0]}); start one with "
        f"`{command}` and set cluster.address to where it says it is, or set cluster.backend to loky"
    )
