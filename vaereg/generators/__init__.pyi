from .families import (
    FAMILIES as FAMILIES,
    Family as Family,
    Sample as Sample,
    family_weights as family_weights,
    generate as generate,
)
from .morphologies import (
    MORPHOLOGIES as MORPHOLOGIES,
    Morphology as Morphology,
    draw as draw,
    make as make,
    sample as sample,
)
from .recipe import (
    Microstructure as Microstructure,
    Parameters as Parameters,
    permute_recipe as permute_recipe,
)
