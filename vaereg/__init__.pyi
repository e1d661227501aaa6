from .generators.families import generate as generate
from .inverse.direct import design as design
from .inverse.refining.refinement import refine as refine
from .io.exporting.export import export as export
from .io.importing import read_volumes as read_volumes
from .materials import Phase as Phase, TwoPhase as TwoPhase
from .model.checkpoint import load_checkpoint as load_checkpoint
from .model.prediction import predict as predict
from .solver.homogenization import homogenize as homogenize

__version__: str
