"""Targets of inverse design: quantities by name, what is wanted of them, how far cells are from it.

`parse(["E_x=20GPa", "nu_xy=0.2:0.3"], maximize=["E_z"])` makes `Targets`; `CellProperties` holds stiffness,
conductivity, fraction and phases of N cells; `targets.deviations(properties)` has shape (N, T), and
`targets.largest_deviation(properties)` is the one measure by which designs are ranked, coloured and
described. `check_possible(targets, materials)` refuses what no cell of these phases can have.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
