"""Values of a session as bytes and back: plain values, arrays and known dataclasses; nothing is pickled."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack", "unpack"]

_INDEX = "index"


def pack(value: object) -> bytes:
    """Return a value as bytes.

    Args:
        value: None, a number, a text, an exception, an array, a dataclass, or lists, tuples and dictionaries
            by text of such values. Arrays of 0 and 1 of type uint8 take one bit an entry. An exception is
            kept as its text.

    Raises:
        TypeError: The value has a part of another type.
    """
    arrays: dict[str, NDArray] = {}
    text = json.dumps(_encoded(value, arrays)).encode()
    buffer = BytesIO()
    np.savez(buffer, **{_INDEX: np.frombuffer(text, dtype=np.uint8)}, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack(content: bytes, types: Sequence[type]) -> Any:  # noqa: ANN401 (whatever was packed)
    """Return the value of `pack`.

    Args:
        content: Bytes of `pack`.
        types: Dataclasses that the value may hold.

    Raises:
        ValueError: The content is not of `pack`, or holds a dataclass that is not among the types or has
            other fields by now.
    """
    try:
        with np.load(BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        index = json.loads(arrays.pop(_INDEX).tobytes())
        return _decoded(index, arrays, {kind.__name__: kind for kind in types})
    except Exception as error:  # zipfile, zlib, NumPy and JSON raise many kinds for damaged content
        raise ValueError(f"expected the values of a session, got other content ({error})") from error


def _encoded(value: object, arrays: dict[str, NDArray]) -> Any:  # noqa: ANN401 (JSON)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        name = f"array{len(arrays)}"
        if value.dtype == np.uint8 and value.max(initial=0) <= 1:
            arrays[name] = np.packbits(value.ravel())
            return {"volume": name, "shape": list(value.shape)}
        if value.dtype.hasobject:
            raise TypeError("expected an array of numbers, got one of objects")
        arrays[name] = value
        return {"array": name}
    if isinstance(value, Exception):
        return {"error": str(value)}
    if is_dataclass(value):
        content = {field.name: _encoded(getattr(value, field.name), arrays) for field in fields(value)}
        return {"type": type(value).__name__, "fields": content}
    if isinstance(value, list | tuple):
        listed = [_encoded(entry, arrays) for entry in value]
        return {"tuple": listed} if isinstance(value, tuple) else listed
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encoded(entry, arrays) for key, entry in value.items()}}
    raise TypeError(f"expected a value that can be kept, got {type(value).__name__}")


def _decoded(value: Any, arrays: Mapping[str, NDArray], types: Mapping[str, type]) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_decoded(entry, arrays, types) for entry in value]
    if not isinstance(value, dict):
        return value
    if "volume" in value:
        shape, packed = value["shape"], arrays[value["volume"]]
        count = int(np.prod(shape, dtype=np.int64))
        if count > 8 * packed.size:
            raise ValueError(f"expected {count} voxels, got {8 * packed.size}")
        return np.unpackbits(packed, count=count).reshape(shape)
    if "array" in value:
        return arrays[value["array"]]
    if "error" in value:
        return RuntimeError(value["error"])
    if "tuple" in value:
        return tuple(_decoded(entry, arrays, types) for entry in value["tuple"])
    if "dict" in value:
        return {key: _decoded(entry, arrays, types) for key, entry in value["dict"].items()}
    content = {name: _decoded(entry, arrays, types) for name, entry in value["fields"].items()}
    return types[value["type"]](**content)
