from .datasets import (
    Dataset as Dataset,
    DatasetPlan as DatasetPlan,
    read_dataset as read_dataset,
    write_dataset as write_dataset,
)
from .designs import DesignFile as DesignFile, read_designs as read_designs, write_designs as write_designs
from .exporting.export import (
    FORMATS as FORMATS,
    BundleItem as BundleItem,
    bundle as bundle,
    write_report as write_report,
)
from .exporting.provenance import Provenance as Provenance
from .exporting.stored_items import stored_items as stored_items
from .importing import (
    AutomaticChoices as AutomaticChoices,
    Choices as Choices,
    ImportedVolume as ImportedVolume,
    ReadAs as ReadAs,
    import_volume as import_volume,
    read_volumes as read_volumes,
)
from .labelled_sets import (
    LabelledSet as LabelledSet,
    LabelledVolumes as LabelledVolumes,
    MorphologyPlan as MorphologyPlan,
    read_labelled_set as read_labelled_set,
    write_labelled_set as write_labelled_set,
)
from .readers import (
    RawLayout as RawLayout,
    StoredArray as StoredArray,
    list_arrays as list_arrays,
    read_array as read_array,
)
