"""What each command of `python -m vaereg` does, given its parsed flags.

Heavy modules are imported by the command that needs them, after the number of threads is set. Results go to
files, progress to stderr; bad input raises ValueError or OSError, a failed computation RuntimeError.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
