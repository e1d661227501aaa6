from .constraints import Constraints as Constraints, check as check, meet as meet
from .designs import Designs as Designs, save_designs as save_designs
from .direct import design as design, more_like as more_like
from .fronts import DesignFront as DesignFront, design_front as design_front, save_front as save_front
from .pareto import ParetoFront as ParetoFront, pareto_front as pareto_front
from .plausible import UnreachableTargetError as UnreachableTargetError
from .refining.corrections import Corrections as Corrections, correct as correct
from .refining.refinement import Refinement as Refinement, refine as refine, refine_all as refine_all
from .robustness import interface_spread as interface_spread, realisation_spread as realisation_spread
from .walks import Walk as Walk, walk as walk
