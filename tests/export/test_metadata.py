"""Metadata written into files: what is read back, what stays when a file is rewritten, and that nothing else changes.

MediaPipe's own schema and its classifier judge the same files in `make test-clients`.
"""

import io
import zipfile
from dataclasses import astuple

from zoo.backend import keras

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from zoo.errors import ZooError
from zoo.export import flatbuffer, strips, tflite
from zoo.export.metadata import About, with_metadata
from zoo.export.tflm import TFLM
from zoo.runtime import metadata
from zoo.runtime.interpreter import LiteRT

LABELS = [*"abcdefghi", "größer, 1"]
ABOUT = About("barks", "Tells dogs apart", "v7", "Ann Example", "CC BY 4.0")
RATE_HZ = 4_000


@pytest.fixture(scope="module")
def described(files):
    """The files that take a waveform, with metadata."""
    return {name: with_metadata(files[name], ABOUT, RATE_HZ, LABELS) for name in ("float", "seam_int8", "whole_int8")}


def many_heads(last="softmax"):
    """Sound in; an embedding of 4 numbers and scores of 3 labels out."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    sound = keras.Input((64,), name="sound")
    embedding = layers.Dense(4, activation="relu", name="embedding")(sound)
    scores = layers.Dense(3, activation=last, name="scores")(embedding)
    return tflite.to_float(keras.Model(sound, [embedding, scores], name="heads"))


def archive_of(model):
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        return [(info, archive.read(info)) for info in archive.infolist()]


@pytest.mark.parametrize("name", ["float", "seam_int8", "whole_int8"])
def test_what_is_written_is_read(described, name):
    told = metadata.read(described[name])
    assert (told.name, told.description, told.version, told.author, told.license) == astuple(ABOUT)
    assert (told.sample_rate_hz, told.channels, told.labels) == (RATE_HZ, 1, tuple(LABELS))
    assert (told.score_threshold, told.min_parser_version) == (None, "1.3.0")
    assert [output.name for output in told.outputs] == ["probability"]


def test_thresholds_hang_behind_the_model_as_a_calibration_that_changes_no_score(files):
    thresholds = tuple(1 / (2 + i) for i in range(len(LABELS)))
    model = with_metadata(files["seam_int8"], ABOUT, RATE_HZ, LABELS, thresholds=thresholds)
    told = metadata.read(model)
    assert (told.thresholds, told.labels) == (thresholds, tuple(LABELS))
    assert told.score_threshold == np.float32(min(thresholds))  # MediaPipe leaves out what is below
    data = {info.filename: data.decode() for info, data in archive_of(model)}
    assert not data["score_calibration.txt"].endswith("\n")  # MediaPipe 1.2.2 would count a line more than labels
    for line, threshold in zip(data["score_calibration.txt"].splitlines(), thresholds, strict=True):
        scale, slope, offset, lowest = map(float, line.split(","))
        logit = np.log(0.3) - np.log(1 - 0.3)  # what the schema's INVERSE_LOGISTIC makes of a score
        assert scale / (1 + np.exp(-(slope * logit + offset))) == pytest.approx(0.3) and lowest == threshold


def test_a_calibration_without_a_threshold_for_every_label_tells_of_none():
    assert metadata._thresholds(["1,1,0,0.5", "1,1,0"]) == () == metadata._thresholds([])
    with pytest.raises(ZooError, match="no numbers"):
        metadata._thresholds(["1,1,0,nan"])


def test_the_labels_hang_behind_the_model_unpacked_and_without_a_date(described):
    ((info, data),) = archive_of(described["float"])
    assert info.filename == "labels.txt" and data.decode() == "".join(f"{label}\n" for label in LABELS)
    assert info.compress_type == zipfile.ZIP_STORED  # MediaPipe refuses others
    assert info.date_time == (1980, 1, 1, 0, 0, 0)
    # The place counts from the model's start, as in archives that TFLite's own tools append.
    assert described["float"][info.header_offset :].startswith(b"PK\3\4")


def test_the_same_model_gives_the_same_bytes_and_new_metadata_replace_the_old(files, described):
    other = with_metadata(described["float"], About("x", "", "", "", ""), 44_100, LABELS[::-1], score_threshold=0.5)
    told = metadata.read(other)
    assert (told.name, told.sample_rate_hz, told.labels) == ("x", 44_100, tuple(LABELS[::-1]))
    assert told.score_threshold == 0.5
    assert len(archive_of(other)) == 1
    assert with_metadata(other, ABOUT, RATE_HZ, LABELS) == with_metadata(files["float"], ABOUT, RATE_HZ, LABELS)


@pytest.mark.parametrize("name", ["float", "seam_int8", "whole_int8"])
def test_scores_stay_to_the_bit(files, described, sounds, name):
    before, after = LiteRT(files[name]), LiteRT(described[name])
    x = before.input.to_raw(sounds)
    np.testing.assert_array_equal(after.run_raw(x), before.run_raw(x))


def test_the_highest_version_of_tflite_that_a_file_needs_stays(files, described):
    """The converter lists one for the float model, and one more where it quantised it."""
    for name, model in described.items():
        root = schema.ModelT.InitFromPackedBuf(files[name])
        entries = [entry.buffer for entry in root.metadata if entry.name == b"min_runtime_version"]
        needed = [bytes(root.buffers[entry].data).rstrip(b"\0").decode() for entry in entries]
        highest = max(needed, key=lambda version: [int(number) for number in version.split(".") if number])
        assert metadata.read(model).min_runtime_version == highest


def test_constants_lie_where_the_schema_wants_them(described):
    """Buffer.data has force_align 16: as the converter writes it, and as kernels that map the file may take it."""
    model = described["float"]
    root = schema.Model.GetRootAs(model)
    places = [
        root.Buffers(i).DataAsNumpy().ctypes.data
        for i in range(root.BuffersLength())
        if not root.Buffers(i).DataIsNone()
    ]
    start = np.frombuffer(model, np.uint8).ctypes.data
    assert len(places) > 5 and {(place - start) % 16 for place in places} == {0}


def test_labels_are_those_of_the_output_that_has_as_many_numbers():
    model = with_metadata(many_heads(), ABOUT, RATE_HZ, ["x", "y", "z"])
    told = metadata.read(model)
    widths = [details["shape"][-1] for details in LiteRT(model)._ends[1]]
    assert sorted(widths) == [3, 4]
    assert [len(output.labels) for output in told.outputs] == [3 if width == 3 else 0 for width in widths]
    assert told.outputs[told.scores_output].name == "probability" and told.labels == ("x", "y", "z")


@pytest.mark.parametrize("last, name", [("softmax", "probability"), ("sigmoid", "probability"), ("linear", "score")])
def test_only_what_lies_between_0_and_1_is_called_a_probability(last, name):
    told = metadata.read(with_metadata(many_heads(last), ABOUT, RATE_HZ, ["x", "y", "z"]))
    assert told.outputs[told.scores_output].name == name


@pytest.mark.parametrize(
    "labels, told", [(LABELS[:-1], r"9 labels fit no output .* \(1, 10\)"), ([*LABELS[:-1], "a\nb"], r"'a\\nb' is no")]
)
def test_labels_that_do_not_fit_are_refused(files, labels, told):
    with pytest.raises(ZooError, match=told):
        with_metadata(files["float"], ABOUT, RATE_HZ, labels)


def test_strips_keep_all_that_a_file_says_and_other_peoples_files_behind_it(files):
    theirs = io.BytesIO(with_metadata(files["whole_int8"], ABOUT, RATE_HZ, LABELS))
    with zipfile.ZipFile(theirs, "a") as archive:
        archive.writestr("README", "theirs", zipfile.ZIP_DEFLATED)
    stripped = strips.in_strips(theirs.getvalue(), max_extra=0.5, compared=1)
    assert stripped.stretches
    assert metadata.read(stripped.model) == metadata.read(theirs.getvalue())
    assert [(info.filename, data) for info, data in archive_of(stripped.model)] == [
        ("labels.txt", "".join(f"{label}\n" for label in LABELS).encode()),
        ("README", b"theirs"),
    ]
    bare = strips.rewrite(files["whole_int8"], stripped.stretches)
    assert metadata.read(bare) is None and TFLM(bare).arena_bytes == stripped.arena_bytes


def test_a_file_with_other_ends_says_nothing_of_its_parts(described):
    joined = flatbuffer.append_quantize(described["float"], 1 / 256, -128)
    assert metadata.read(joined) is None and b"labels.txt" not in joined
