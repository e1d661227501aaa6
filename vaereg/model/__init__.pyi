from .checkpoint import (
    Checkpoint as Checkpoint,
    CheckpointError as CheckpointError,
    load_checkpoint as load_checkpoint,
    save_checkpoint as save_checkpoint,
)
from .config import (
    PRESETS as PRESETS,
    ModelConfig as ModelConfig,
    RunConfig as RunConfig,
    TrainingConfig as TrainingConfig,
)
from .prediction import Prediction as Prediction, predict as predict
from .prior import ConditionalMixture as ConditionalMixture, MixturePrior as MixturePrior
from .recognition import MorphologyClassifier as MorphologyClassifier, load_classifier as load_classifier
from .vae import Encoding as Encoding, VaeReg as VaeReg
