"""What a server does before its first visitor: it loads libraries and model, and makes the first designs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaereg.model.checkpoint import Checkpoint

__all__ = ["begin_warm_up"]

_log = logging.getLogger(__name__)


def begin_warm_up(*further: Callable[[Checkpoint], None]) -> None:
    """Begin in a thread of its own; whoever comes meanwhile waits for the same libraries and designs.

    Args:
        further: Called at the end, in order: they prepare other pages.
    """
    threading.Thread(target=_warm_up, args=further, name="warm up", daemon=True).start()


def _warm_up(*further: Callable[[Checkpoint], None]) -> None:
    from pages.parts.solving.compiling import server_kernels

    kernels = server_kernels()
    try:
        if kernels.are_missing():  # a process compiles while this one imports
            kernels.prepare()
        from pages.parts.common import start
        from pages.parts.common.requests.live_server import prepare_previews
        from pages.parts.common.requests.request import default_request
        from pages.parts.design import designing

        checkpoint = start.shared_checkpoint()
        job = designing.ask_designs(checkpoint, default_request(checkpoint), designing.SERVER)
        # What the page imports besides, while the designs are made.
        from pages.parts.design import inputs, panels  # noqa: F401
        from pages.parts.design.refining import refine_panels  # noqa: F401

        job.wait(lambda done, total: None, for_first=True)
        kernels.prepare()
        job.wait(lambda done, total: None)
        prepare_previews(checkpoint)
        for prepare in further:
            prepare(checkpoint)
    except Exception:  # the first visitor is told what is wrong
        _log.debug("the server could not be prepared", exc_info=True)
