from .descriptors import (
    DESCRIPTOR_NAMES as DESCRIPTOR_NAMES,
    describe_morphologies as describe_morphologies,
    describe_morphology as describe_morphology,
)
from .morphology import (
    Morphology as Morphology,
    Statistics as Statistics,
    describe as describe,
    measure as measure,
)
from .segmentation import (
    FaceMismatch as FaceMismatch,
    Segmentation as Segmentation,
    crop as crop,
    face_mismatch as face_mismatch,
    otsu_threshold as otsu_threshold,
    split_blocks as split_blocks,
)
from .spec_sheet import spec_sheet as spec_sheet
from .statistics import (
    Connectivity as Connectivity,
    connectivity as connectivity,
    correlation_lengths as correlation_lengths,
    lineal_path as lineal_path,
    specific_surface as specific_surface,
    two_point_correlation as two_point_correlation,
)
from .symmetry import (
    SYMMETRIES as SYMMETRIES,
    cut_symmetric as cut_symmetric,
    is_symmetric as is_symmetric,
    symmetrise_volume as symmetrise_volume,
)
from .volume import (
    as_two_phase as as_two_phase,
    volume_fraction as volume_fraction,
    volume_hash as volume_hash,
)
