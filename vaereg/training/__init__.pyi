from .card import training_card as training_card
from .fitting import embed as embed, fit as fit
from .labelling.families import generate_dataset as generate_dataset, label_batch as label_batch
from .labelling.morphologies import (
    generate_morphologies as generate_morphologies,
    label_morphologies as label_morphologies,
)
from .loop import TrainingResult as TrainingResult, train as train
from .training_set import TrainingSet as TrainingSet, read_training_set as read_training_set
