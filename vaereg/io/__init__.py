"""Files: volumes that are read, data sets, designs, exports."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
# The function `export` is `vaereg.export`; in here the name is its module's.
