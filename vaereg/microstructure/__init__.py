"""Two-phase volumes: what they are, their statistics, how they are named, how a scan becomes one."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
