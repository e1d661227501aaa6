"""An executor that does every job in this process, at once."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class ImmediateExecutor(Executor):
    """Does a job when it is handed in."""

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
