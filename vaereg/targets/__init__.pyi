from .diagonal import (
    FRACTION as FRACTION,
    TARGETS as TARGETS,
    Target as Target,
    check_targets as check_targets,
    interval as interval,
    named_target as named_target,
    parse_target as parse_target,
    target_distance as target_distance,
    target_ratio as target_ratio,
)
from .possible import ImpossibleTargetError as ImpossibleTargetError, check_possible as check_possible
from .properties import CellProperties as CellProperties, Gradients as Gradients
from .quantities import QUANTITIES as QUANTITIES, Quantity as Quantity, quantity as quantity
from .reading import parse as parse
from .tables import TableRow as TableRow, read_table as read_table
from .wanted import Targets as Targets, Wanted as Wanted, percent_off as percent_off
