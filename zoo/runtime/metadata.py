"""What a .tflite file says of itself: TFLite metadata, as MediaPipe reads it too. Needs flatbuffers, no TensorFlow.

The metadata are a flatbuffer of their own in one of the model's buffers, and name files (the labels) that hang behind
the model as a zip archive. Whatever is read here may come from anywhere: damage is told in one line.

Source: metadata_schema.fbs 1.5.0 of google-ai-edge/mediapipe, which goes on from that of tensorflow/tflite-support;
schema.fbs of TensorFlow Lite. Fields are numbered from 0 as they stand there; a union takes two, its kind first.
"""

import io
import math
import zipfile
from dataclasses import dataclass
from typing import NamedTuple

from flatbuffers import number_types
from flatbuffers.table import Table

from zoo.errors import ZooError, one_line

# TFLite's Model, its Metadata (name, buffer) and its Buffer (data).
MODEL_BUFFERS, MODEL_METADATA = 4, 6
ENTRY_NAME, ENTRY_BUFFER, BUFFER_DATA = 0, 1, 0
METADATA, RUNTIME_VERSION = "TFLITE_METADATA", "min_runtime_version"  # names of such entries

IDENTIFIER = b"M001"
NAME, DESCRIPTION = 0, 1  # of ModelMetadata, SubGraphMetadata and TensorMetadata
VERSION, SUBGRAPHS, AUTHOR, LICENSE, MIN_PARSER_VERSION = 2, 3, 4, 5, 7  # of ModelMetadata
INPUTS, OUTPUTS = 2, 3  # of SubGraphMetadata
CONTENT, PROCESS_UNITS, FILES = 3, 4, 6  # of TensorMetadata
UNION_KIND, UNION = 0, 1  # of Content and ProcessUnit
AUDIO_PROPERTIES, SCORE_CALIBRATION, SCORE_THRESHOLDING = 4, 2, 3  # kinds of Content, and two of ProcessUnit
SAMPLE_RATE, CHANNELS, GLOBAL_SCORE_THRESHOLD, SCORE_TRANSFORMATION, INVERSE_LOGISTIC = 0, 1, 0, 0, 2
FILE_NAME, FILE_DESCRIPTION, FILE_TYPE, TENSOR_AXIS_LABELS, TENSOR_AXIS_SCORE_CALIBRATION = 0, 1, 2, 2, 4

MOST_ENTRIES = 256  # of a list; a damaged length would go on for ever
HIGHEST_RATE_HZ = 1_000_000  # recorders of bats take half of it: more is damage
LABELS_LIMIT_BYTES = 2**20  # of all outputs: AudioSet's 521 labels take 10 kB


class Output(NamedTuple):
    """One output of the model, in the model's order."""

    name: str
    labels: tuple[str, ...]  # of the last axis; () for an embedding
    score_threshold: float | None  # scores below mean nothing
    thresholds: tuple[float, ...] = ()  # the same label by label; () where not every label has one


@dataclass(frozen=True)
class Metadata:
    """What a file says of itself; "" where it does not."""

    name: str
    description: str
    version: str
    author: str
    license: str
    sample_rate_hz: int | None  # of the waveform that its input takes; None where that is not said, or is no waveform
    channels: int | None
    outputs: tuple[Output, ...]
    min_parser_version: str  # of the metadata's schema
    min_runtime_version: str  # of TFLite

    @property
    def scores_output(self):
        """The place of the first output with labels: the scores. None where there is none."""
        return next((place for place, output in enumerate(self.outputs) if output.labels), None)

    @property
    def labels(self):
        """Those of the scores; () where there are none."""
        return () if self.scores_output is None else self.outputs[self.scores_output].labels

    @property
    def thresholds(self):
        """Those of the scores' labels, one for each; () where they are not said."""
        return () if self.scores_output is None else self.outputs[self.scores_output].thresholds

    @property
    def score_threshold(self):
        """That of the scores, or of the first output where none has labels; None where it is not said."""
        return self.outputs[self.scores_output or 0].score_threshold if self.outputs else None


def read(model: bytes) -> Metadata | None:
    """The `Metadata` of a .tflite file; None where it has none.

    Raises: ZooError for what is no .tflite file, and for metadata that are damaged or name labels that are not there.
    """
    check_mark(model)
    try:
        entries = _entries(model)
        if METADATA not in entries:
            return None
        data = entries[METADATA]
        if data[4:8] != IDENTIFIER:
            raise ZooError(f"the metadata are of a kind that is not known: {data[4:8]!r} instead of {IDENTIFIER!r}")
        return _metadata(model, _Table.root(data), entries.get(RUNTIME_VERSION, b""))
    except ZooError:
        raise
    except Exception as error:  # struct, numbers, text: whatever a damaged offset leads to
        raise ZooError(f"the .tflite file's metadata are damaged: {_told(error)}") from error


def check_mark(model: bytes):
    """Raises: ZooError for what is no .tflite file."""
    if model[4:8] != b"TFL3":
        raise ZooError("no .tflite file: the mark TFL3 is not there")


def appended_files(model: bytes, limit_bytes, names=None):
    """{name: bytes} of the archive behind a .tflite file: of all its files, or of `names`.

    Raises: ZooError where there is no archive, or a damaged one; where it lacks one of `names`, or they take more than
    limit_bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive:
            files = {}
            for name in archive.namelist() if names is None else names:
                with archive.open(name) as file:
                    files[name] = file.read(limit_bytes + 1)  # whatever length the archive claims
                limit_bytes -= len(files[name])
                if limit_bytes < 0:
                    raise ZooError(f"behind the .tflite file {name!r} is too long")
            return files
    except ZooError:
        raise
    except Exception as error:  # zipfile raises a dozen kinds over damage
        lacking = ", ".join(map(repr, names or ())) or "an archive"
        raise ZooError(f"behind the .tflite file {lacking} is not there, or damaged: {_told(error)}") from error


def _told(error):
    """In one line, without what the file itself had it say at length."""
    return f"{type(error).__name__}: {one_line(error)}"[:200]


def _entries(model):
    """{name: bytes} of what Model.metadata lists."""
    root, entries = _Table.root(model), {}
    for entry in root.tables(MODEL_METADATA):
        buffer = root.table_at(MODEL_BUFFERS, entry.number(ENTRY_BUFFER, number_types.Uint32Flags))
        entries[entry.text(ENTRY_NAME)] = buffer.bytes(BUFFER_DATA)
    return entries


def _metadata(model, root, runtime_version):
    graphs = root.tables(SUBGRAPHS)
    inputs, outputs = (graphs[0].tables(ends) if graphs else [] for ends in (INPUTS, OUTPUTS))
    sample_rate_hz, channels = next(filter(None, map(_audio, inputs)), (None, None))
    label_files = [_file(output, TENSOR_AXIS_LABELS) for output in outputs]
    calibrations = [_file(output, TENSOR_AXIS_SCORE_CALIBRATION) for output in outputs]
    names = [name for name in dict.fromkeys([*label_files, *calibrations]) if name is not None]
    files = appended_files(model, LABELS_LIMIT_BYTES, names) if names else {}
    lines = {name: _lines(data) for name, data in files.items()}
    return Metadata(
        name=root.text(NAME),
        description=root.text(DESCRIPTION),
        version=root.text(VERSION),
        author=root.text(AUTHOR),
        license=root.text(LICENSE),
        sample_rate_hz=sample_rate_hz,
        channels=channels,
        outputs=tuple(
            Output(
                tensor.text(NAME), lines.get(labels, ()), _threshold(tensor), _thresholds(lines.get(calibration, ()))
            )
            for tensor, labels, calibration in zip(outputs, label_files, calibrations)
        ),
        min_parser_version=root.text(MIN_PARSER_VERSION),
        min_runtime_version=runtime_version.rstrip(b"\0").decode("ascii"),
    )


def _audio(tensor):
    """(sample rate in Hz, channels) of an input, None where it is no sound."""
    content = tensor.table(CONTENT)
    if content is None or content.number(UNION_KIND, number_types.Uint8Flags) != AUDIO_PROPERTIES:
        return None
    audio = content.table(UNION)
    rate_hz, channels = (audio.number(field, number_types.Uint32Flags) for field in (SAMPLE_RATE, CHANNELS))
    if not 0 < rate_hz <= HIGHEST_RATE_HZ or not 0 < channels <= MOST_ENTRIES:
        raise ZooError(f"the metadata tell of {channels} channels at {rate_hz} Hz: that is no sound")
    return rate_hz, channels


def _threshold(tensor):
    """The score under which an output means nothing, None where it is not said."""
    for unit in tensor.tables(PROCESS_UNITS):
        if unit.number(UNION_KIND, number_types.Uint8Flags) == SCORE_THRESHOLDING:
            threshold = unit.table(UNION).number(GLOBAL_SCORE_THRESHOLD, number_types.Float32Flags)
            if not math.isfinite(threshold):
                raise ZooError(f"the metadata tell of a score threshold {threshold}")
            return threshold
    return None


def _thresholds(calibration):
    """The last of scale, slope, offset and threshold of each line; () where a line has none."""
    parameters = [line.split(",") for line in calibration]
    if any(len(numbers) != 4 for numbers in parameters):
        return ()
    thresholds = tuple(float(numbers[3]) for numbers in parameters)
    if not all(map(math.isfinite, thresholds)):
        raise ZooError("the metadata tell of score thresholds that are no numbers")
    return thresholds


def _file(tensor, kind):
    """The name of an output's first file of a kind, None where it has none."""
    files = tensor.tables(FILES)
    names = (f.text(FILE_NAME) for f in files if f.number(FILE_TYPE, number_types.Int8Flags) == kind)
    return next(names, None)


def _lines(data):
    """The lines of a label file, as MediaPipe takes them: what is behind the last newline is none."""
    lines = data.decode("utf-8").split("\n")
    return tuple(line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1]))


class _Table:
    """A table of a flatbuffer that may be damaged: what leads out of the bytes raises one error or another."""

    def __init__(self, data, position):
        if not 0 <= position < len(data):
            raise ValueError("an offset leads out of the file")
        self._table = Table(data, position)

    @classmethod
    def root(cls, data):
        """The table that a flatbuffer's first four bytes lead to."""
        return cls(data, int.from_bytes(data[:4], "little"))

    def number(self, field, kind):
        """A number of one of flatbuffers' kinds; 0 where it is not written."""
        place = self._place(field)
        return self._table.Get(kind, place) if place else kind.py_type(0)

    def text(self, field):
        """A string; "" where it is not written."""
        return self.bytes(field).decode("utf-8")

    def bytes(self, field):
        """A vector of bytes; b"" where it is not written."""
        if not self._place(field):
            return b""
        start, length = self._vector(field)
        if start + length > len(self._table.Bytes):
            raise ValueError("a length leads out of the file")
        return self._table.Bytes[start : start + length]

    def table(self, field):
        """A table; None where it is not written."""
        place = self._place(field)
        return _Table(self._table.Bytes, self._table.Indirect(place)) if place else None

    def tables(self, field):
        """A vector of tables; [] where it is not written."""
        if not self._place(field):
            return []
        start, length = self._vector(field)
        if length > MOST_ENTRIES:
            raise ValueError(f"a list of {length} entries")
        return [_Table(self._table.Bytes, self._table.Indirect(start + 4 * place)) for place in range(length)]

    def table_at(self, field, place):
        """One of a vector of tables, which may be long."""
        start, length = self._vector(field)
        if place >= length:
            raise ValueError(f"entry {place} of a list of {length}")
        return _Table(self._table.Bytes, self._table.Indirect(start + 4 * place))

    def _place(self, field):
        """Where a field's value stands; 0 where it is not written."""
        offset = self._table.Offset(4 + 2 * field)  # behind the lengths of the vtable and of the table
        return offset and self._table.Pos + offset

    def _vector(self, field):
        """(where it starts, its length in entries)."""
        offset = self._place(field) - self._table.Pos
        return self._table.Vector(offset), self._table.VectorLen(offset)
