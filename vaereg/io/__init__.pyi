from .datasets import (
    Dataset as Dataset,
    DatasetPlan as DatasetPlan,
    read_dataset as read_dataset,
    write_dataset as write_dataset,
)
from .designs import DesignFile as DesignFile, read_designs as read_designs, write_designs as write_designs
from .export import (
    FORMATS as FORMATS,
    BundleItem as BundleItem,
    bundle as bundle,
    stored_items as stored_items,
)
from .provenance import Provenance as Provenance
from .readers import (
    ArrayInfo as ArrayInfo,
    RawLayout as RawLayout,
    list_arrays as list_arrays,
    read_array as read_array,
    read_volumes as read_volumes,
)
