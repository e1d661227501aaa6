from .design import run_design as run_design, run_modes as run_modes
from .evaluate import run_evaluate as run_evaluate
from .export import run_export as run_export
from .generate import run_generate as run_generate, run_merge as run_merge
from .homogenize import run_homogenize as run_homogenize
from .predict import run_predict as run_predict
from .refine import run_refine as run_refine
from .train import run_train as run_train
