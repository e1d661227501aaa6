"""Workers of a Dask cluster as an executor: one address, checked versions, one line where it is gone.

Needs `pip install 'vaereg[cluster]'`, here and on the workers.
"""

import logging
import platform
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Executor, Future, InvalidStateError
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any, ParamSpec, TypeVar

from vaereg import __version__
from vaereg.errors import InputError
from vaereg.executors import ExecutorLostError, TaskGivenUpError, Workers
from vaereg.workers import limit_process_to_one_thread

__all__ = ["ClusterExecutor", "WorkerVersionError", "installed_versions", "workers_of"]

TIMEOUT = 10.0
"""Time after which a scheduler that does not answer counts as gone [s]."""

_limited = threading.Event()
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class WorkerVersionError(InputError):
    """A worker has other versions than this process."""


def installed_versions() -> dict[str, str]:
    """Versions on which results may depend."""
    packages = {name: version(name) for name in ("numpy", "scipy", "numba")}
    return {"vaereg": __version__, "python": platform.python_version().rpartition(".")[0], **packages}


class ClusterExecutor(Executor):
    """Executor of the workers of a Dask cluster, which may come and go.

    A task whose worker dies is done by another one; after a few deaths of its workers it is given up.
    """

    def __init__(self, address: str, *, timeout: float | None = None) -> None:
        """Connect to a scheduler.

        Args:
            address: Such as tcp://HOST:PORT.
            timeout: Time after which a scheduler that does not answer counts as gone [s], by default
                `TIMEOUT`.

        Raises:
            InputError: Dask is not installed, or no scheduler answers at the address.
            WorkerVersionError: A worker has other versions than this process.
        """
        try:
            import dask.config
            from distributed import Client
            from distributed.scheduler import KilledWorker
        except ImportError as error:
            raise InputError(
                "expected the package distributed for a scheduler, got none: pip install 'vaereg[cluster]'"
            ) from error
        # what Dask logs of a scheduler or a worker that is gone is told by errors here
        for name in list(logging.root.manager.loggerDict):
            if name.startswith("distributed"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
        timeout = TIMEOUT if timeout is None else timeout
        self.address = address
        self._killed: type[Exception] = KilledWorker
        self._lost = threading.Event()
        self._versions = installed_versions()
        try:
            with dask.config.set({"distributed.comm.timeouts.connect": timeout}):
                self._client: Any = Client(address, timeout=timeout, set_as_default=False)
            self._executor: Any = self._client.get_executor(pure=False)
        except (OSError, ValueError) as error:
            raise InputError(
                f"expected a Dask scheduler at {address}, got no answer: {_first(error)}"
            ) from error
        self._check_workers()

    @property
    def worker_count(self) -> int:
        """Threads of all workers of the moment."""
        return sum(self._client.nthreads().values())

    def submit(
        self, fn: Callable[_Arguments, _Result], /, *args: _Arguments.args, **kwargs: _Arguments.kwargs
    ) -> Future[_Result]:
        """Hand in a call of a function of a module.

        Raises:
            ExecutorLostError: The scheduler is gone.
        """
        if self._lost.is_set():
            raise self._lost_error()
        outer: Future[_Result] = Future()
        # Until Dask's future is gone, a worker keeps the result, and it is computed again where that worker
        # dies: nothing may refer to it once it has ended.
        under_way: list[Future[Any]] = [self._executor.submit(_call, self._versions, fn, args, kwargs)]

        def settle(future: Future[Any]) -> None:
            under_way.clear()
            self._settle(outer, future)

        def cancel(future: Future[Any]) -> None:
            if future.cancelled():
                for inner in under_way[:]:
                    inner.cancel()

        outer.add_done_callback(cancel)
        under_way[0].add_done_callback(settle)
        return outer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; tasks that have not ended are cancelled unless they are waited for."""
        if wait and not cancel_futures and not self._lost.is_set():
            self._executor.shutdown(wait=True)
        self._client.close(timeout=1.0)

    def _settle(self, outer: Future[Any], inner: Future[Any]) -> None:
        if outer.cancelled():
            return
        if inner.cancelled():
            error: BaseException | None = self._lost_error()
            self._lost.set()
        else:
            error = inner.exception()
        try:
            if error is None:
                outer.set_result(inner.result())
            elif isinstance(error, self._killed):
                outer.set_exception(
                    TaskGivenUpError(f"a task was given up: its workers at {self.address} died")
                )
            else:
                outer.set_exception(error)
        except InvalidStateError:  # cancelled at this very moment
            return

    def _lost_error(self) -> ExecutorLostError:
        return ExecutorLostError(f"the scheduler {self.address} is gone")

    def _check_workers(self) -> None:
        """Compare the versions of the workers of the moment; those that come later are compared by a task."""
        try:
            by_worker: Mapping[str, dict[str, str]] = self._client.run(installed_versions)
        except Exception as error:
            self._client.close(timeout=1.0)
            raise WorkerVersionError(
                f"expected vaereg {__version__} on the workers of {self.address}, got: {_first(error)}"
            ) from error
        for worker, versions in by_worker.items():
            if versions != self._versions:
                self._client.close(timeout=1.0)
                raise WorkerVersionError(_difference(self._versions, versions, f"the worker {worker}"))


@contextmanager
def workers_of(count: int, scheduler: str | None) -> Generator[Workers, None, None]:
    """What work is mapped over: so many processes of this machine, or the cluster of a scheduler.

    Args:
        count: Number of processes.
        scheduler: Address of a Dask scheduler; processes of this machine if left out.
    """
    if scheduler is None:
        yield count
        return
    executor = ClusterExecutor(scheduler)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _call(
    versions: dict[str, str], fn: Callable[..., Any], args: tuple[object, ...], kwargs: dict[str, object]
) -> Any:  # noqa: ANN401
    """Call a function on a worker, with one thread of computation and the versions that are expected."""
    if not _limited.is_set():
        _limited.set()
        limit_process_to_one_thread()
    own_versions = installed_versions()
    if own_versions != versions:
        raise WorkerVersionError(_difference(versions, own_versions, f"a worker on {platform.node()}"))
    return fn(*args, **kwargs)


def _difference(expected: Mapping[str, str], versions: Mapping[str, str], where: str) -> str:
    names = [name for name in expected if expected[name] != versions.get(name)]
    expected_text, versions_text = (
        ", ".join(f"{name} {of.get(name)}" for name in names) for of in (expected, versions)
    )
    return f"expected {expected_text} on {where}, got {versions_text}"


def _first(error: BaseException) -> str:
    """First line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0]
