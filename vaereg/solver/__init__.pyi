from .bounds import StiffnessBounds as StiffnessBounds, bound_stiffness as bound_stiffness
from .conduction import ConductionResult as ConductionResult, conduct as conduct
from .differentiable import SolverState as SolverState, effective_stiffness as effective_stiffness
from .grid_check import MeshCheck as MeshCheck, mesh_check as mesh_check
from .homogenization import (
    ConvergenceError as ConvergenceError,
    HomogenizationResult as HomogenizationResult,
    homogenize as homogenize,
)
from .on_torch.bounds import BatchBounds as BatchBounds, bound_batch as bound_batch
from .on_torch.homogenization import (
    BatchResult as BatchResult,
    homogenize_batch as homogenize_batch,
    homogenize_on as homogenize_on,
)
