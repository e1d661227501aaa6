"""Kernels of the solver that numba compiles, and the threads that share their work."""
