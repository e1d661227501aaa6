"""Which process of pytest-xdist runs which tests."""

from xdist.scheduler import LoadFileScheduling


class BrowserScheduling(LoadFileScheduling):
    """Whole files, as `--dist loadfile`, and all tests in a browser in one process.

    They share a server then, and wait for it while the other process is at work.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "browser" if "/test_browser_" in file else file
