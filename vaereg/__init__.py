"""Inverse design of two-phase periodic microstructures by a regressive variational autoencoder.

The public names are listed in `__init__.pyi`, and each is imported when it is first used: `import vaereg`
itself loads neither PyTorch nor numba (SPEC 1, https://scientific-python.org/specs/spec-0001/).
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
