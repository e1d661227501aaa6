"""Random periodic microstructures."""
