"""Every key of the session state, and limits that several pages share."""

from dataclasses import dataclass
from pathlib import Path

# Keys of the session state. Those of the targets are names in the URL too, so they are short.
SEED = "seed"
COUNT = "count"
SIZE = "size"
COMPONENT, CHOSEN_MODES = "component", "modes"
FRACTION = "volume_fraction"
PRESET = "preset"
CLOSURE_AXES = ("closure-across", "closure-up")
SOLVE_ALL = "solve-all"
GALLERY = "design-gallery"
DESIGNS, CANCELLED = "designs", "cancelled-designs"
RELATIVES, ASKED_RELATIVES = "relatives", "asked-relatives"
VOLUME_VIEW = "volume-view"
UPLOAD, REFUSED_UPLOADS = "upload", "refused-uploads"
SOLVE_LARGE, PREDICT_BLOCKS = "solve-large", "predict-blocks"
UPLOAD_SHOWN, UPLOAD_READ, UPLOAD_BLOCKS = "upload-shown", "upload-read", "upload-blocks"
FILES, PREDICT_FILES = "files-table", "predict-files"
LATENT_MAP = "latent-map"
MAP_PLANE, MAP_SHADE = "map-plane", "map-shade"
MAP_DESIGNS, MAP_SHORTLIST = "map-designs", "map-shortlist"
MAP_GALLERY, MAP_PLACE, MAP_PART = "map-gallery", "map-place", "map-part"
WALK_KIND, WALK_ENDS, WALK_AXIS = "walk-kind", ("walk-from", "walk-to"), "walk-axis"
WALK_SEED, WALK_STEP, WALK_PROPERTIES = "walk-seed", "walk-step", "walk-properties"
WALK_GALLERY = "walk-gallery"
EXPLORED = "explored"
MODEL_PART = "part"
REFINEMENT_KIND = "refinement-kind"
REFINE_TOLERANCE = "refine-tolerance"
REFINE_SOLVES = "refine-solves"
REFINE_RUN = "refine-run"
REFINE_DESIGN = "refine-design"
REFINE_NEWS = "refine-news"
REFINED_VIEW = "refined-view"
KEPT_INPUTS = "kept-inputs"
INPUTS_LEFT = "inputs-left"
LINK_NOTICES = "link-notices"
COMPARE_VIEW = "compare-gallery"
SOLVE_SHORTLIST = "solve-shortlist"
SESSION_FILE = "session-file"
SESSION_MESSAGE = "session-message"
RENAMED = "renamed"
PUT_ASIDE = "put-aside"
ENTERED, WANTED_PAGE, WANTED_LINK = "entered", "wanted-page", "wanted-link"
PAGE, ARRIVED = "page", "arrived"
SESSION_NAME = "session-name"
OWNER = "owner"
SHOWN_VOLUME = "volume"
EXAMPLE = "example"
SHORTLIST = "shortlist"
REFINEMENTS = "refinements"
KEEPER, KEEPER_RUNS = "session-keeper-view", "session-keeper-runs"
TOKEN, FORMER_TOKEN = "session-token", "former-session-token"
LINK_TAKEN = "link-taken"
REQUESTS, REQUEST_PLACE = "requests", "request-place"
MATERIAL_NOTE = "material-note"
RESTORED_SHORTLIST, RESTORED_REFINEMENTS = "restored-shortlist", "restored-refinements"
RESTORED_INPUTS, SAVED_INPUTS = "restored-inputs", "saved-inputs"
SAVED_REFINEMENTS = "saved-refinements"

BENCHMARKS = Path(__file__).parents[3] / "benchmarks" / "results"
"""Records of the benchmarks."""
MAX_EDGE = 128
"""Edge of the largest cube that the Predict page takes [voxel]: the command line takes more."""


def value_key(name: str) -> str:
    """Key of the slider of a property."""
    return name


def range_key(name: str) -> str:
    """Key of the slider of a property that has two handles."""
    return f"{name}_range"


def mode_key(name: str) -> str:
    """Key of the choice between free, value and range of a property."""
    return f"{name}_is"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How many designs, which, and how large."""

    count: int
    seed: int
    size: int
    """Voxels per edge."""
    components: tuple[int, ...]
    """Modes or mixture components, from 0, that make the designs; none for all."""
