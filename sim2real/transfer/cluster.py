"""Calls on many machines: a Dask or Ray cluster, whose workers run them and may die.

    dask scheduler                                      # prints tcp://HOST:8786
    dask worker tcp://HOST:8786 --nworkers auto --nthreads 1  # on each machine, with the same sim2real
    sim2real compare furuta … --cluster dask://HOST:8786

    ray start --head                                    # its client server listens at port 10001
    ray start --address HOST:6379                       # on each machine, with the same sim2real
    sim2real compare furuta … --cluster ray://HOST:10001

``--cluster dask`` and ``--cluster ray`` start one on this machine, for the run. What a worker was at when it
died goes to another one, and a call that ends every worker it is given to is given up by name. joblib's Dask
backend waits forever for such a call, and its Ray backend loses all calls with one worker and hands back
nothing before the last one has ended: calls are Dask's futures and Ray's tasks here.
"""

from __future__ import annotations

import itertools
import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sim2real.errors import InvalidValue, MissingExtra

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")

_ANSWER, _WORKERS = 5, 10
"""Seconds in which a scheduler must answer, and workers must be there."""
_DEATHS = 3
"""Of workers at one call, after which it is given up, in Ray; Dask's own limit is as large."""


class Cluster(Protocol):
    """Where calls go."""

    def outcomes(
        self, function: Callable[..., T], calls: Mapping[int, tuple[Any, ...]]
    ) -> Iterator[tuple[int, T | str]]:
        """The results of ``function(*arguments)``, as they end, or a sentence of why there is none.

        Args:
            function: that workers can import.
            calls: arguments, by number.
        """


@contextmanager
def connected(address: str, workers: int | None = None) -> Iterator[Cluster]:
    """A cluster, all of whose workers have this version of sim2real.

    Args:
        address: ``dask://HOST:PORT`` or ``ray://HOST:PORT``; ``dask`` or ``ray`` for one on this machine,
            which ends with the context.
        workers: of one on this machine; by default a core each.

    Raises:
        MissingExtra: if Dask or Ray is not installed here.
        InvalidValue: for an address of another form, or where nothing answers or no worker can work.
    """
    kind, scheme, place = address.partition("://")
    if kind not in ("dask", "ray") or bool(scheme) != place.rpartition(":")[2].isdigit():
        raise InvalidValue(
            f"{address!r} is no cluster; write dask://HOST:PORT, with what `dask scheduler` prints after "
            "tcp://, ray://HOST:10001 after `ray start --head`, or dask or ray for one on this machine"
        )
    with (_dask if kind == "dask" else _ray)(place, workers or os.cpu_count() or 1) as cluster:
        yield cluster


@dataclass(frozen=True)
class _Dask:
    client: Client

    def outcomes(
        self, function: Callable[..., T], calls: Mapping[int, tuple[Any, ...]]
    ) -> Iterator[tuple[int, T | str]]:
        from distributed import KilledWorker, as_completed

        left, numbers, ended = iter(calls.items()), {}, as_completed(loop=self.client.loop)

        def submit() -> None:
            """No more than a call a thread: what waited at a worker that died, Dask would suspect, too."""
            free = max(1, sum(self.client.nthreads().values())) - ended.count()
            for k, given in itertools.islice(left, max(0, free)):
                future = self.client.submit(function, *given, pure=False)
                numbers[future] = k
                ended.add(future)

        submit()
        for future in ended:
            try:
                outcome = future.result()
            except Exception as error:
                outcome = _why(error, isinstance(error, KilledWorker))
            future.release()  # a result that is still held is made again where its worker dies
            submit()
            yield numbers[future], outcome


@contextmanager
def _dask(place: str, workers: int) -> Iterator[Cluster]:
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingExtra("distributed", "cluster") from error
    if not place:
        # 15 s after a death, Dask would end for good a worker that it is just starting again after the next
        patient = dask.config.set({"distributed.deploy.lost-worker-timeout": "1000 days"})
        local = LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=":0", silence_logs=logging.CRITICAL
        )
        with patient, local, Client(local, set_as_default=False) as client:
            yield _Dask(client)
        return
    try:
        _knock(place)
        client = Client(f"tcp://{place}", timeout=_ANSWER, set_as_default=False)
    except Exception as error:  # whatever answers there, if anything does
        raise InvalidValue(
            f"no Dask scheduler answers at {place} within {_ANSWER} s; start one with `dask scheduler`, and "
            "give the address that it prints"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_WORKERS)
        except TimeoutError as error:
            raise InvalidValue(
                f"the cluster at {place} has no worker; start some with `dask worker {place}`"
            ) from error
        _check_versions(client.run(version, "sim2real", on_error="return"))
        yield _Dask(client)


@dataclass(frozen=True)
class _Ray:
    def outcomes(
        self, function: Callable[..., T], calls: Mapping[int, tuple[Any, ...]]
    ) -> Iterator[tuple[int, T | str]]:
        import ray

        task = ray.remote(function).options(num_cpus=1, max_retries=_DEATHS)
        numbers = {task.remote(*given): k for k, given in calls.items()}
        left = list(numbers)
        while left:
            (ended,), left = ray.wait(left)
            try:
                yield numbers[ended], ray.get(ended)
            except Exception as error:
                yield numbers[ended], _why(error, isinstance(error, ray.exceptions.WorkerCrashedError))


@contextmanager
def _ray(place: str, workers: int) -> Iterator[Cluster]:
    try:
        import ray
    except ImportError as error:
        raise MissingExtra("ray", "ray") from error
    if ray.is_initialized():
        raise InvalidValue("this process is in a Ray cluster already; leave it with ray.shutdown() first")
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if place:
        try:
            _knock(place)
            ray.init(address=f"ray://{place}", **quiet)
        except Exception as error:  # whatever answers there, if anything does
            ray.shutdown()  # what half a connection leaves keeps the next one from beginning
            raise InvalidValue(
                f"no Ray cluster answers at {place} ({error}); start one with `ray start --head`, give the "
                "port of its client server, 10001 by default, and its token, where it asks for one"
            ) from error
    else:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # what runs here is told to nobody
        ray.init("local", num_cpus=workers, include_dashboard=False, **quiet)
    try:
        if place:
            _check_versions(_ray_versions())
        yield _Ray()
    finally:
        ray.shutdown()


def _knock(place: str) -> None:
    """Ask whether anything listens there, which is told sooner than whether the right thing does.

    Raises:
        OSError: if nothing does.
    """
    host, _, port = place.rpartition(":")
    socket.create_connection((host, int(port)), _ANSWER).close()


def _ray_versions() -> dict[str, object]:
    """What each machine has of sim2real: a version, or why none is known."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    found: dict[str, object] = {}
    for node in (one for one in ray.nodes() if one["Alive"]):
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked = ray.remote(version).options(num_cpus=0, scheduling_strategy=there).remote("sim2real")
        try:
            found[node["NodeManagerAddress"]] = ray.get(asked, timeout=6 * _WORKERS)
        except Exception as error:
            found[node["NodeManagerAddress"]] = error
    return found


def _check_versions(theirs: Mapping[str, object]) -> None:
    own = version("sim2real")
    for worker, found in theirs.items():
        if found != own:
            has = "no sim2real" if isinstance(found, Exception) else f"sim2real {found}"
            raise InvalidValue(
                f"the worker {worker} has {has}, where this is {own}; install one version on all machines"
            )


def _why(error: Exception, died: bool) -> str:
    if died:
        return "the workers that ran it died, one after another; is there memory enough for it?"
    return f"the cluster lost it ({type(error).__name__}: {error}); start the same command again"
