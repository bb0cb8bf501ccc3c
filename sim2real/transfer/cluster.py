"""Calls on many machines: a Dask cluster, whose workers run them and may die.

    dask scheduler                                      # prints tcp://HOST:8786
    dask worker tcp://HOST:8786 --nworkers auto --nthreads 1  # on each machine, with the same sim2real
    sim2real compare furuta … --cluster dask://HOST:8786

What a worker was at when it died goes to another one. joblib's own Dask backend waits forever for a call that
ends every worker it is given to, so calls are Dask's futures here, and such a one is given up by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from sim2real.errors import InvalidValue, MissingExtra

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")

_ANSWER, _WORKERS = 5, 10
"""Seconds in which a scheduler must answer, and workers must be there."""


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """A client of the cluster at ``dask://HOST:PORT``, all of whose workers have this version of sim2real.

    Raises:
        MissingExtra: if Dask is not installed here.
        InvalidValue: for an address of another form, or where no scheduler answers or no worker can work.
    """
    kind, _, place = address.partition("://")
    if kind != "dask" or not place.rpartition(":")[2].isdigit():
        raise InvalidValue(
            f"{address!r} is no cluster; write dask://HOST:PORT, with what `dask scheduler` prints after tcp://"
        )
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtra("distributed", "cluster") from error
    try:
        client = Client(f"tcp://{place}", timeout=_ANSWER, set_as_default=False)
    except Exception as error:  # whatever answers there, if anything does
        raise InvalidValue(
            f"no Dask scheduler answers at {place} within {_ANSWER} s; start one with `dask scheduler`, and "
            "give the address that it prints"
        ) from error
    with client:
        _check_workers(client, place)
        yield client


def outcomes(
    client: Client, function: Callable[..., T], calls: Mapping[int, tuple[Any, ...]]
) -> Iterator[tuple[int, T | str]]:
    """The results of ``function(*arguments)``, as they end, or a sentence of why there is none.

    Args:
        client: of the cluster.
        function: that workers can import.
        calls: arguments, by number.
    """
    from distributed import as_completed

    futures = {client.submit(function, *given, pure=False): number for number, given in calls.items()}
    for future in as_completed(futures, loop=client.loop):
        try:
            yield futures[future], future.result()
        except Exception as error:
            yield futures[future], _why(error)


def _check_workers(client: Client, place: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKERS)
    except TimeoutError as error:
        raise InvalidValue(
            f"the cluster at {place} has no worker; start some with `dask worker {place}`"
        ) from error
    own, theirs = version("sim2real"), client.run(version, "sim2real", on_error="return")
    for worker, found in theirs.items():
        if found != own:
            has = "no sim2real" if isinstance(found, Exception) else f"sim2real {found}"
            raise InvalidValue(
                f"the worker {worker} has {has}, where this is {own}; install one version on all machines"
            )


def _why(error: Exception) -> str:
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "the workers that ran it died, one after another; is there memory enough for it?"
    return f"the cluster lost it ({type(error).__name__}: {error}); start the same command again"
