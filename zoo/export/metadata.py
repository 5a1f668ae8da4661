"""What a .tflite file says of itself is written into it: rate, labels, licence. MediaPipe asks for it, apps show it.

The file grows by its metadata, and behind it by an archive with labels.txt, over which TFLite alone passes. Where each
label has a threshold of its own, they stand there too, as a calibration of the scores that changes none of them.
Source: as in `zoo.runtime.metadata`, which reads both.
"""

import io
import zipfile
from dataclasses import dataclass

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types

from zoo.errors import ZooError
from zoo.export import flatbuffer, graph
from zoo.runtime import metadata as read

LABELS_FILE, THRESHOLDS_FILE = "labels.txt", "score_calibration.txt"
PARSER_VERSION = "1.3.0"  # of the schema: the first that knows AudioProperties
FEATURE_PROPERTIES = 1  # kind of Content: plain numbers
SHARES = ("SOFTMAX", "LOGISTIC")  # operators that make scores from 0 to 1
PASSING_ON = ("DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE")  # what may stand between them and the output
CARRIED_LIMIT_BYTES = 2**26  # of files that hang behind a rewritten model, once they are unpacked
UNCHANGED = ("1", "1", "0")  # scale, slope and offset of a sigmoid over the score's logit: the score itself
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # where an archive's calendar begins: a date would make other bytes every time


@dataclass(frozen=True)
class About:
    """What a model is, for whoever finds its file alone."""

    name: str
    description: str
    version: str
    author: str
    license: str  # of the weights; "" where nobody knows


def with_metadata(model: bytes, about: About, sample_rate_hz, labels, score_threshold=None, thresholds=()) -> bytes:
    """The file of a mono waveform's classifier, with its metadata and labels, in place of those that it had.

    The labels are those of the first output with a score for each; another output (an embedding) has its name alone.
    score_threshold: below which a score means nothing; None says nothing of it. thresholds: the same label by label.
    MediaPipe gives a score of 0 to what does not reach its own, and leaves out what lies below the one for all: with
    thresholds that is the lowest of them.

    Raises: ZooError where no output has as many scores as there are labels, and for a label that is no line.
    """
    root = graph.load(model)
    wrong = [label for label in labels if not label or "\n" in label or "\r" in label]
    if wrong:
        raise ZooError(f"{wrong[0]!r} is no label: each is a line of {LABELS_FILE}")
    if thresholds and score_threshold is None:
        score_threshold = min(thresholds)
    described = _metadata(graph.of(root), about, sample_rate_hz, len(labels), score_threshold, bool(thresholds))
    data = np.frombuffer(described, np.uint8)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data, entry.name, entry.buffer = data, read.METADATA.encode(), len(root.buffers)
    root.buffers.append(buffer)
    root.metadata = [other for other in root.metadata if other.name != entry.name] + [entry]
    files = {LABELS_FILE: "".join(f"{label}\n" for label in labels)}
    if thresholds:  # a newline at the end would be one label more to MediaPipe
        files[THRESHOLDS_FILE] = "\n".join(f"{','.join(UNCHANGED)},{threshold!r}" for threshold in thresholds)
    return _append(flatbuffer.dump(root, same_ends=True), {name: text.encode() for name, text in files.items()})


def dump_as(model: bytes, root) -> bytes:
    """The bytes of `root`, which was made of the file `model` and takes and gives the same, with all it says of itself.

    Raises: ZooError where the files behind `model` are damaged.
    """
    rewritten = flatbuffer.dump(root, same_ends=True)
    has_metadata = any(entry.name == read.METADATA.encode() for entry in root.metadata)
    if not has_metadata or not zipfile.is_zipfile(io.BytesIO(model)):
        return rewritten
    return _append(rewritten, read.appended_files(model, CARRIED_LIMIT_BYTES))


def _append(model, files):
    """The model with an archive behind it, whose offsets count from the model's start, as TFLite's own tools have it.

    Nothing is packed: MediaPipe takes no other archives.
    """
    whole = io.BytesIO()
    whole.write(model)
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, LONG_AGO)
            info.create_system, info.external_attr = 3, 0o644 << 16  # the same from every system
            archive.writestr(info, data)
    return whole.getvalue()


def _metadata(ends, about, sample_rate_hz, num_labels, score_threshold, has_thresholds):
    """The flatbuffer: ModelMetadata of one graph, with a TensorMetadata for each of its inputs and outputs."""
    shapes = [ends.tensors[i].shape for i in ends.outputs]
    scores = next((place for place, shape in enumerate(shapes) if shape[-1:] == (num_labels,)), None)
    if scores is None:
        raise ZooError(f"{num_labels} labels fit no output of the .tflite file: it gives {', '.join(map(str, shapes))}")

    writer = _Writer()
    inputs = [writer.table({read.NAME: writer.text(ends.tensors[i].name)}) for i in ends.inputs[1:]]
    inputs.insert(0, _waveform(writer, max(ends.tensors[ends.inputs[0]].shape), sample_rate_hz))
    outputs = [writer.table({read.NAME: writer.text(ends.tensors[i].name)}) for i in ends.outputs]
    kind = "probability" if _gives_shares(ends, ends.outputs[scores]) else "score"
    outputs[scores] = _scores(writer, kind, num_labels, score_threshold, has_thresholds)
    subgraph = {read.INPUTS: writer.tables(inputs), read.OUTPUTS: writer.tables(outputs)}
    return writer.finish(
        {
            read.NAME: writer.text(about.name),
            read.DESCRIPTION: writer.text(about.description),
            read.VERSION: writer.text(about.version),
            read.SUBGRAPHS: writer.tables([writer.table(subgraph)]),
            read.AUTHOR: writer.text(about.author),
            read.LICENSE: writer.text(about.license),
            read.MIN_PARSER_VERSION: writer.text(PARSER_VERSION),
        }
    )


def _waveform(writer, num_samples, sample_rate_hz):
    """The TensorMetadata of a mono waveform."""
    text = f"{num_samples} samples at {sample_rate_hz} Hz, mono, from -1 to 1: 16-bit samples divided by 32768"
    rate, channels = ((number_types.Uint32Flags, number) for number in (sample_rate_hz, 1))
    audio = writer.table({read.SAMPLE_RATE: rate, read.CHANNELS: channels})
    return writer.table(
        {
            read.NAME: writer.text("waveform"),
            read.DESCRIPTION: writer.text(text),
            read.CONTENT: writer.union(read.AUDIO_PROPERTIES, audio),
        }
    )


def _scores(writer, name, num_labels, threshold, has_thresholds):
    """The TensorMetadata of scores whose labels, and thresholds, stand in the archive."""
    files = [_file(writer, LABELS_FILE, "a line for each score, in their order", read.TENSOR_AXIS_LABELS)]
    units = []
    if has_thresholds:
        told = "a line for each label: scale, slope and offset, which change nothing, and the threshold"
        files.append(_file(writer, THRESHOLDS_FILE, told, read.TENSOR_AXIS_SCORE_CALIBRATION))
        logits = {read.SCORE_TRANSFORMATION: (number_types.Int8Flags, read.INVERSE_LOGISTIC)}
        units.append(writer.union(read.SCORE_CALIBRATION, writer.table(logits)))
    if threshold is not None:
        table = writer.table({read.GLOBAL_SCORE_THRESHOLD: (number_types.Float32Flags, threshold)})
        units.append(writer.union(read.SCORE_THRESHOLDING, table))
    fields = {
        read.NAME: writer.text(name),
        read.DESCRIPTION: writer.text(f"a score for each of {num_labels} labels"),
        read.CONTENT: writer.union(FEATURE_PROPERTIES, writer.table({})),
        read.FILES: writer.tables(files),
    }
    if units:
        fields[read.PROCESS_UNITS] = writer.tables(units)
    return writer.table(fields)


def _file(writer, name, description, kind):
    """The AssociatedFile of one in the archive."""
    return writer.table(
        {
            read.FILE_NAME: writer.text(name),
            read.FILE_DESCRIPTION: writer.text(description),
            read.FILE_TYPE: (number_types.Int8Flags, kind),
        }
    )


def _gives_shares(ends, output):
    """Whether an output's numbers lie between 0 and 1 by the operator that made them."""
    makers = {made: operator for operator in ends.operators for made in operator.outputs}
    maker = makers.get(output)
    while maker and maker.name in PASSING_ON:
        maker = makers.get(maker.inputs[0])
    return maker is not None and maker.name in SHARES


class _Offset(int):
    """Where something that was written stands."""


class _Writer:
    """Writes the tables of a flatbuffer, those that others hold first. Fields are {place: `_Offset` or (kind, number)}.

    A number that is 0 is left out: it reads as that.
    """

    def __init__(self):
        self._builder = flatbuffers.Builder(1024)

    def text(self, text):
        return _Offset(self._builder.CreateString(text))

    def tables(self, tables):
        self._builder.StartVector(4, len(tables), 4)
        for table in reversed(tables):
            self._builder.PrependUOffsetTRelative(table)
        return _Offset(self._builder.EndVector())

    def union(self, kind, table):
        """A table whose first two fields are a union's: Content, ProcessUnit."""
        return self.table({read.UNION_KIND: (number_types.Uint8Flags, kind), read.UNION: table})

    def table(self, fields):
        self._builder.StartObject(1 + max(fields, default=-1))
        for place, value in sorted(fields.items()):
            if isinstance(value, _Offset):
                self._builder.PrependUOffsetTRelativeSlot(place, value, 0)
            else:
                kind, number = value
                self._builder.PrependSlot(kind, place, number, 0)
        return _Offset(self._builder.EndObject())

    def finish(self, fields):
        """The bytes, with a table of these fields as their root."""
        self._builder.Finish(self.table(fields), read.IDENTIFIER)
        return bytes(self._builder.Output())
