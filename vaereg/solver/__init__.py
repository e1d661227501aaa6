"""Homogenization of periodic cells by finite elements and FFT, on NumPy, numba and PyTorch."""
