from .fitting import embed as embed, fit as fit
from .labelling import generate_dataset as generate_dataset, label_batch as label_batch
from .loop import TrainingResult as TrainingResult, train as train, training_card as training_card
from .morphology_labels import (
    generate_morphologies as generate_morphologies,
    label_morphologies as label_morphologies,
)
