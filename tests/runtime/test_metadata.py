"""TFLite metadata, read from bytes that a writer of the test's own lays out, and from damaged ones."""

import io
import struct
import tracemalloc
import zipfile
from dataclasses import dataclass

import pytest

from zoo.errors import ZooError
from zoo.runtime.metadata import LABELS_LIMIT_BYTES, read


@dataclass
class Number:
    """A scalar, by struct's letter."""

    kind: str
    value: float


def flatbuffer(root, identifier):
    """A flatbuffer, front to back: each vtable lies before its table and its children behind it.

    The `flatbuffers` library builds from back to front, shares vtables and sorts fields: another layout for the same
    content. A table is {field: value}; values are str, bytes, Number, a table, or a list of tables.
    Source: https://flatbuffers.dev/internals
    """
    data = bytearray(struct.pack("<I4s", 0, identifier))
    data[:4] = struct.pack("<I", _write_table(data, root))
    return bytes(data)


def _write_table(data, fields):
    data += bytes(-len(data) % 4)
    count = max(fields, default=-1) + 1
    vtable, table = len(data), len(data) + 4 + 2 * count + 2 * (count % 2)
    vtable_fields = [4 + 4 * sorted(fields).index(i) if i in fields else 0 for i in range(count)]
    data += struct.pack(f"<HH{count}H", 4 + 2 * count, 4 + 4 * len(fields), *vtable_fields)
    data += bytes(table - len(data)) + struct.pack("<i", table - vtable) + bytes(4 * len(fields))
    for i, value in fields.items():
        place = table + vtable_fields[i]
        if isinstance(value, Number):
            data[place : place + 4] = struct.pack(f"<{value.kind}", value.value).ljust(4, b"\0")
        else:
            target = _write(data, value)
            data[place : place + 4] = struct.pack("<I", target - place)
    return table


def _write(data, value):
    if isinstance(value, dict):
        return _write_table(data, value)
    data += bytes(-len(data) % 4)
    start = len(data)
    if isinstance(value, list):
        data += struct.pack("<I", len(value)) + bytes(4 * len(value))
        for i, table in enumerate(value):
            place = start + 4 + 4 * i
            data[place : place + 4] = struct.pack("<I", _write_table(data, table) - place)
    else:
        raw = value.encode() if isinstance(value, str) else value
        data += struct.pack("<I", len(raw)) + raw + b"\0"
    return start


# Field numbers, as the schema lists them.
LABELS_OF_SCORES = {0: "labels.txt", 2: Number("b", 2)}
INPUT = {0: "sound", 3: {0: Number("B", 4), 1: {0: Number("I", 16_000), 1: Number("I", 1)}}}
EMBEDDING = {0: "embedding"}
SCORES = {0: "scores", 4: [{0: Number("B", 3), 1: {0: Number("f", 0.25)}}], 6: [LABELS_OF_SCORES]}


def model_metadata(**changed):
    subgraph = {2: [changed.get("input", INPUT)], 3: [EMBEDDING, changed.get("scores", SCORES)]}
    texts = {0: "barks", 1: "Tells dogs apart", 2: "v7", 4: "Ann Example", 5: "CC BY 4.0", 7: "1.3.0"}
    return flatbuffer({**texts, 3: [subgraph]}, b"M001")


def model(metadata, labels="poodle\nhusky\ncollie é\n", **archive):
    """A .tflite file of two buffers, without a graph, which nobody reads here."""
    entries = [{0: "min_runtime_version", 1: Number("I", 1)}, {0: "TFLITE_METADATA", 1: Number("I", 2)}]
    buffers = [{}, {0: b"1.14.0".ljust(16, b"\0")}, {0: metadata}]
    whole = io.BytesIO()
    whole.write(flatbuffer({0: Number("I", 3), 4: buffers, 6: entries}, b"TFL3"))
    if labels is not None:
        with zipfile.ZipFile(whole, "w", **archive) as file:
            file.writestr("labels.txt", labels)
    return whole.getvalue()


def test_all_that_a_file_says_is_read_with_the_labels_of_the_output_that_has_them():
    told = read(model(model_metadata()))
    assert (told.name, told.description, told.version) == ("barks", "Tells dogs apart", "v7")
    assert (told.author, told.license) == ("Ann Example", "CC BY 4.0")
    assert (told.sample_rate_hz, told.channels) == (16_000, 1)
    assert (told.min_parser_version, told.min_runtime_version) == ("1.3.0", "1.14.0")
    assert [output.name for output in told.outputs] == ["embedding", "scores"]
    assert told.scores_output == 1
    assert told.labels == ("poodle", "husky", "collie é")
    assert told.score_threshold == 0.25


def test_a_file_that_says_little_is_read_too():
    told = read(model(flatbuffer({}, b"M001"), labels=None))
    assert (told.name, told.sample_rate_hz, told.channels, told.outputs) == ("", None, None, ())
    assert (told.labels, told.scores_output, told.score_threshold) == ((), None, None)


def test_a_picture_is_no_sound():
    told = read(model(model_metadata(input={3: {0: Number("B", 2), 1: {}}})))
    assert told.sample_rate_hz is None


@pytest.mark.parametrize("text, labels", [("a\nb", ("a", "b")), ("a\r\nb\r\n", ("a", "b")), ("a\n\n", ("a", ""))])
def test_labels_are_lines_of_any_system_and_the_last_newline_begins_none(text, labels):
    assert read(model(model_metadata(), text)).labels == labels


def test_packed_labels_are_unpacked():
    assert read(model(model_metadata(), "a\nb\n", compression=zipfile.ZIP_DEFLATED)).labels == ("a", "b")


def test_yamnet_as_published_says_nothing_of_itself(real_recordings):
    assert read((real_recordings / "yamnet" / "yamnet.tflite").read_bytes()) is None


@pytest.mark.parametrize(
    "damaged, told",
    [
        (b"GIF89a, no model", "TFL3"),
        (model(model_metadata(), labels=None), "'labels.txt' is not there"),
        (model(model_metadata())[:-30], "'labels.txt' is not there"),
        (model(b"\4\0\0\0N002\0\0\0\0"), "N002"),
        (model(model_metadata(input={3: {0: Number("B", 4), 1: {1: Number("I", 1)}}})), "1 channels at 0 Hz"),
        (model(model_metadata(input={3: {0: Number("B", 4), 1: {0: Number("I", 2**31)}}})), "that is no sound"),
        (model(model_metadata(scores={4: [{0: Number("B", 3), 1: {0: Number("f", float("nan"))}}]})), "nan"),
        (model(model_metadata(), labels=b"\xff\xfe"), "damaged"),
        (model(flatbuffer({0: b"\xff"}, b"M001")), "damaged"),
    ],
)
def test_damage_is_told_in_one_line(damaged, told):
    with pytest.raises(ZooError) as refused:
        read(damaged)
    assert told in str(refused.value) and "\n" not in str(refused.value)


def test_a_byte_changed_or_a_file_cut_anywhere_is_read_or_told():
    whole = bytearray(model(model_metadata()))
    ends = [*range(0, len(whole), 3)]
    broken = [bytes(whole[:end]) for end in ends]
    for place in range(len(whole)):
        for value in (0, 0x7F, 0xFF, whole[place] ^ 1):
            broken.append(bytes(whole[:place]) + bytes([value]) + bytes(whole[place + 1 :]))
    refused = 0
    for file in broken:
        try:
            read(file)
        except ZooError as error:
            refused += 1
            assert "\n" not in str(error)
    assert len(ends) / 2 < refused < len(broken)


def test_a_list_that_claims_to_go_on_for_ever_is_refused_at_once():
    whole = bytearray(model_metadata())
    files = whole.index(b"labels.txt")
    lengths = [place for place in range(8, files, 4) if whole[place : place + 4] == b"\1\0\0\0"]
    assert lengths
    for place in lengths:
        whole[place : place + 4] = struct.pack("<I", 2**30)
    with pytest.raises(ZooError, match="damaged"):
        read(model(bytes(whole)))


def test_labels_that_unpack_to_a_mountain_are_refused_without_unpacking_it():
    bomb = model(model_metadata(), b"\n" * 2**26, compression=zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        with pytest.raises(ZooError, match="too long"):
            read(bomb)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 * LABELS_LIMIT_BYTES  # what is read, and a buffer or two of zlib's; not 64 MiB
