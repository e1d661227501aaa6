from .constraints import Constraints as Constraints, check as check, meet as meet
from .designs import Designs as Designs, save_designs as save_designs
from .direct import design as design, more_like as more_like
from .fronts.pareto import ParetoFront as ParetoFront, pareto_front as pareto_front
from .fronts.verified import (
    DesignFront as DesignFront,
    design_front as design_front,
    save_front as save_front,
)
from .plausible import UnreachableTargetError as UnreachableTargetError
from .reach import (
    NearestTargets as NearestTargets,
    mode_reach as mode_reach,
    nearest_targets as nearest_targets,
)
from .recipes import recipes as recipes
from .refining.corrections import Corrections as Corrections, correct as correct
from .refining.refinement import Refinement as Refinement, refine as refine, refine_all as refine_all
from .robustness import (
    DesignSpread as DesignSpread,
    interface_spread as interface_spread,
    measure_spread as measure_spread,
    realisation_spread as realisation_spread,
    robust_designs as robust_designs,
)
from .sampling.preview import Preview as Preview, Previewer as Previewer
from .walks import Walk as Walk, walk as walk
