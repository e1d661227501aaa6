from .families import (
    FAMILIES as FAMILIES,
    Family as Family,
    Sample as Sample,
    family_weights as family_weights,
    generate as generate,
)
