"""Writing a model: atomic, deterministic, its weights streamed from where they lie.

A model that was read and is written again is the same message, but for this normalisation:

- A field that is set to its default is not told from one that is not set; `ai.onnx` is the domain "".
- Nodes that were not in topological order are.
- value_info: entries follow the nodes, those of initializers first; entries for tensors that do not exist, for
  inputs and outputs, and entries that say nothing are dropped; of two for the same tensor the last counts.
- Overridable initializers follow the others. Before IR version 4 every initializer is listed as an input.
- An attribute without a type gets the type of its content. Of metadata entries with the same key the last counts.
- An output that is an initializer, or a tensor of an outer graph, is declared as that tensor is.
- External data is laid out anew: location, offset and length. Tensors under 1 KiB go into the model, and so does
  external data of functions, training_info and sparse tensors.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from onnx import ModelProto

from graphopt.errors import OutputError
from graphopt.ir import weights, wire
from graphopt.ir.atomic import Folder, Pending, alone, told
from graphopt.ir.emit import constants, emit
from graphopt.ir.model import Model
from graphopt.ir.scratch import Scratch
from graphopt.ir.storage import File, Payload, encode, loaded
from graphopt.ir.weights import Beside, Chunk, Hollow, Marked, Referring, Weights
from graphopt.ir.words import counted


def to_proto(model: Model) -> ModelProto:
    """The whole model as one message. Raises OutputError above the 2 GB that a message can hold."""
    return emit(model, Weights())


def skeleton(model: Model) -> ModelProto:
    """The model without the payloads of large tensors, which are marked as external data without a file."""
    return emit(model, Hollow())


def save(
    model: Model,
    path: str | Path,
    *,
    external_data: bool | None = None,
    reference_weights: bool = False,
    allow_outside: bool = False,
) -> None:
    """Write the model to `path`; whatever happens, the file there is the old one or the new one, whole.

    external_data: put weights into `<name>.data` beside the model (True), or into the model (False). By default
        as in the file that was read, and beside it above the 2 GB that protobuf can hold.
    reference_weights: do not copy untouched weights, point at the file in which they lie. It must be in the
        folder of `path`, or below it, unless `allow_outside`; who reads such a model then has to allow it too.

    Raises OutputError, which says why, and leaves nothing behind.
    """
    target = Path(os.path.realpath(path))
    with told(Path(path)):
        if external_data is None and (reference_weights or _is_external(model)):
            external_data = True
        if not external_data:
            pieces = _inline(model)
            size = sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in pieces)
            if size <= weights.LIMIT:
                _write(target, pieces)
                return
            if external_data is False:
                raise OutputError(f"the model has {counted(size, 'byte')}, more than the 2 GB of one file")
        _save_beside(model, target, Referring(target, allow_outside=allow_outside) if reference_weights else Beside())


def _is_external(model: Model) -> bool:
    stored = (constant.stored for constant in constants(model))
    return any(isinstance(held, Payload) and held.outside for held in stored)


def _inline(model: Model) -> list[bytes | Chunk]:
    marked = Marked()
    return wire.splice(_serialised(emit(model, marked)), marked.markers)


def _serialised(proto: ModelProto) -> bytes:
    if proto.ByteSize() > weights.LIMIT:
        raise OutputError("the model is larger than 2 GB even without its weights")
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _write(target: Path, pieces: list[bytes | Chunk]) -> None:
    with Pending(target) as out:
        for piece in pieces:
            if isinstance(piece, bytes):
                out.write(piece)
            else:
                _stream(out, piece)
        out.commit()


def _stream(out: Pending, chunk: Chunk) -> None:
    """Append a payload; at most the one array is in memory, and nothing of what a file holds."""
    held = chunk.held
    if not isinstance(held, Payload):
        out.write(encode(loaded(held)))
    elif chunk.field == held.field or held.plain:
        if isinstance(held.source, File | Scratch):
            out.copy(held.source, held.place.offset, held.place.length)
        else:
            out.write(held.source.read(held.place.offset, held.place.length))
    else:
        out.write(encode(held.load()))


def _save_beside(model: Model, target: Path, beside: Beside) -> None:
    proto = emit(model, beside)
    if not beside.chunks:
        _write(target, [_serialised(proto)])
        return
    with Pending(_data_path(target, beside)) as data:
        for offset, chunk in beside.chunks:
            data.pad(offset)
            _stream(data, chunk)
        data.finish()
        with Pending(target) as interim, Pending(target) as final:
            for out, location in ((interim, data.name), (final, data.target.name)):
                beside.name(location)
                out.write(_serialised(proto))
                out.finish()
            with alone(target.parent):
                _publish(data, interim, final)


def _data_path(target: Path, beside: Beside) -> Path:
    """`<name>.data`, or with a number if the model points at a file of that name."""
    taken = beside.files if isinstance(beside, Referring) else {}
    numbers = itertools.chain([""], (f".{i}" for i in itertools.count(1)))
    names = (f"{target.name}{number}.data" for number in numbers)
    return next(path for path in map(target.with_name, names) if path not in taken)


def _publish(data: Pending, interim: Pending, final: Pending) -> None:
    """Put data and model in place so that at each moment the model there goes with the data that it names.

    The new model first reads its data under the temporary name, while the file that the old model read is
    replaced; the last step gives it the final name.
    """
    for out in (data, interim, final):
        if not data.folder.holds(out.name):
            raise OutputError(f"{out.target} cannot be written: another program removed what was to become it")
    try:
        twin = data.twin()
    except OSError:  # without hard links there is a moment between the two renames
        data.commit()
        final.commit()
        return
    steps = ((interim.name, interim.target.name), (twin, data.target.name), (final.name, final.target.name))
    try:
        _rename(data.folder, steps)
    except BaseException:
        if not data.folder.holds(interim.name):  # it has begun: what is left are only names
            _rename(data.folder, steps)
        raise
    finally:
        data.needed = data.folder.holds(final.name) and not data.folder.holds(interim.name)
        data.folder.remove(twin)


def _rename(folder: Folder, steps: Iterable[tuple[str, str]]) -> None:
    """Those of the renames that have not been made."""
    for name, target in steps:
        if folder.holds(name):
            folder.rename(name, target)
