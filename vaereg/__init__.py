"""Inverse design of two-phase periodic microstructures by a regressive variational autoencoder."""

__all__ = ["__version__"]

__version__ = "0.1.0"
