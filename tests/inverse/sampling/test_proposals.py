"""Proposals: the periodic mode begins with lattices that differ."""

import numpy as np

from vaereg.inverse.sampling.proposals import _unlike_first


def test_lattices_that_differ_come_first() -> None:
    """Not those that differ by their axes or their volume fraction alone, nor those that are far off."""
    latent = np.zeros((5, 12), dtype=np.float32)
    latent[:, 3:6], latent[:, 6:9] = (1.0, 2.0, 4.0), (1.0, 0.5, 0.7)
    latent[1, 3:6], latent[1, 6:9] = (2.0, 1.0, 4.0), (0.5, 1.0, 0.7)
    latent[2, 0] = latent[4, 1] = 1.0
    latent[3, 9] = 0.4
    assert _unlike_first(latent, np.array([0.01, 0.01, 0.02, 0.02, 0.09])).tolist() == [0, 2, 1, 3, 4]
    assert _unlike_first(latent, np.array([0.05, 0.05, 0.06, 0.06, 0.09])).tolist() == [0, 2, 4, 1, 3]
