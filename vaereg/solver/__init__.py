"""Homogenization of periodic cells by finite elements and FFT, on NumPy, numba and PyTorch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
