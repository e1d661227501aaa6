"""What a server does before its first visitor: it loads libraries and model, and makes the first designs."""

import logging
import threading

__all__ = ["begin_warm_up"]

_log = logging.getLogger(__name__)


def begin_warm_up() -> None:
    """Begin in a thread of its own; whoever comes meanwhile waits for the same libraries and designs."""
    threading.Thread(target=_warm_up, name="warm up", daemon=True).start()


def _warm_up() -> None:
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
    except Exception:  # the first visitor is told what is wrong
        _log.debug("the server could not be prepared", exc_info=True)
