"""Test figures of a checkpoint, and the model card."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
# The function `model_card` stays in its module, which has the same name.
