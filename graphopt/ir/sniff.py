"""What a file is that is not an ONNX model, and how to get one from it."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import NamedTuple

_TORCH = 'a {} file: load it in PyTorch and call torch.onnx.export(model, args, "model.onnx")'
_TF = "a TensorFlow {}: convert it with `python -m tf2onnx.convert {} PATH --output model.onnx`"
_WEIGHTS = "it holds weights without a network; export the model that uses them"


class Signature(NamedTuple):
    """Files of which the first bytes match `pattern` are `what`."""

    pattern: re.Pattern[bytes]
    what: str


def _signature(pattern: bytes, what: str) -> Signature:
    return Signature(re.compile(pattern, re.DOTALL), what)


FOREIGN = (
    _signature(rb"PK\x03\x04.{26,300}?(?:/data\.pkl|/version|constants\.pkl)", _TORCH.format("PyTorch")),
    _signature(
        rb"PK\x03\x04.{26,200}?(?:metadata\.json|config\.json|model\.weights\.h5)",
        "a Keras (.keras) file: load it in Keras and call model.export('model.onnx', format='onnx')",
    ),
    _signature(rb"PK\x03\x04", "a zip archive: unpack it, and give the .onnx file in it"),
    _signature(rb"PK\x05\x06", "an empty zip archive"),
    _signature(rb"\x80[\x02-\x05]", _TORCH.format("pickled (old PyTorch, scikit-learn or joblib)")),
    _signature(rb".{4}TFL3", _TF.format("Lite model", "--tflite")),
    _signature(
        rb"\x89HDF\r\n\x1a\n",
        "an HDF5 file (Keras .h5): load it in Keras and call model.export('model.onnx', format='onnx')",
    ),
    _signature(
        rb"version https://git-lfs",
        "a Git LFS pointer, not the model itself: run `git lfs pull` in its repository",
    ),
    _signature(rb".{8}\s*\{\s*\"", f"a safetensors file: {_WEIGHTS}"),
    _signature(rb"GGUF", f"a GGUF file: {_WEIGHTS}"),
    _signature(rb"\x93NUMPY", "a NumPy array"),
    _signature(rb"\x1f\x8b", "gzip-compressed: unpack it with `gunzip`"),
    _signature(rb"\x28\xb5\x2f\xfd", "zstd-compressed: unpack it with `unzstd`"),
    _signature(rb"BZh", "bzip2-compressed: unpack it with `bunzip2`"),
    _signature(rb"\xfd7zXZ\0", "xz-compressed: unpack it with `unxz`"),
    _signature(rb".{257}ustar", "a tar archive: unpack it, and give the .onnx file in it"),
    _signature(rb".{4}ORTM", "in ONNX Runtime's own .ort format: give the .onnx file that it was made from"),
    _signature(rb"ftrt|ptrt", "a TensorRT engine: give the .onnx file that it was made from"),
    _signature(rb"(?:\xef\xbb\xbf)?\s*<(?i:!doctype|html|head|body|\?xml)", "a web page or XML"),
    _signature(rb"(?:\xef\xbb\xbf)?\s*[\[{]", "JSON"),
    _signature(rb"\x08\x01\x12.{1,8}\x0a.{0,400}?(?:serve|saved_model)", _TF.format("SavedModel", "--saved-model")),
    _signature(rb"\x0a.{1,3}\x0a.{2,200}?\x12.{1,40}", _TF.format("graph (.pb)", "--graphdef")),
)
"""Told apart by their first bytes, in this order."""

HEAD = 1024
"""Bytes that `foreign` looks at."""


def foreign(head: bytes) -> str | None:
    """What a file that starts with `head`, and is no ONNX model, is; None if nobody knows."""
    known = next((known.what for known in FOREIGN if known.pattern.match(head)), None)
    return known or ("text" if _is_text(head) else None)


def _is_text(head: bytes) -> bool:
    text = head[: max(len(head) - 3, 1)]
    try:
        return all(sign.isprintable() or sign.isspace() for sign in text.decode())
    except UnicodeDecodeError as error:
        return error.start > len(head) - 8 and error.start > 0


def unusual(path: Path, mode: int) -> str | None:
    """What a path of this file mode is that cannot be a model; None for an ordinary file."""
    if stat.S_ISDIR(mode):
        if (path / "saved_model.pb").exists() or (path / "keras_metadata.pb").exists():
            return _TF.format("SavedModel", "--saved-model")
        inside = sorted(path.glob("*.onnx"))
        return "a folder" + (f": give a file in it, such as {inside[0]}" if inside else "")
    return None if stat.S_ISREG(mode) else "no regular file"
