"""MediaPipe's AudioClassifier opens each file of compare.py's folder, and has to hear what we heard.

Runs in MediaPipe's environment; knows nothing of the zoo. Exits with 1 after a line for each file that differs.

What MediaPipe makes of a clip: windows of the model's length one behind the other, the last one filled with silence;
a clip of another rate it resamples itself (its own filter, so those scores are told and not compared).
"""

import importlib.metadata
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np

try:
    from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata_schema
    from mediapipe.tasks.metadata import schema_py_generated as schema
    from mediapipe.tasks.python.audio import AudioClassifier, AudioClassifierOptions
    from mediapipe.tasks.python.components.containers import AudioData
    from mediapipe.tasks.python.core.base_options import BaseOptions
except ImportError as error:
    sys.exit(f"test-clients: MediaPipe is not whole in {sys.prefix}: {error}; remove that folder and make it again")


def main():
    print(f"MediaPipe {importlib.metadata.version('mediapipe')}, numpy {np.__version__}")
    failed = 0
    for told in json.loads(Path(sys.argv[1], "files.json").read_text()):
        try:
            print(f"{told['path']}: {compare(told)}")
        except OSError as error:  # where ctypes finds MediaPipe's library, and that finds none of its own
            sys.exit(f"test-clients: {error}; on Debian and Ubuntu: apt-get install libegl1 libgles2")
        except (AssertionError, RuntimeError, ValueError) as error:
            failed += 1
            print(f"{told['path']}: FAILED: {' '.join(str(error).split())}")
    sys.exit(f"test-clients: MediaPipe differs on {failed} files" if failed else 0)


def compare(told):
    """One line about a file that is right.

    Raises: AssertionError for one that is not, and whatever MediaPipe raises.
    """
    check_metadata(told["path"], told["metadata"])
    options = AudioClassifierOptions(base_options=BaseOptions(model_asset_path=told["path"]))
    if told["refused"]:
        return refused(options)
    arrays, labels = np.load(told["arrays"]), told["metadata"]["labels"]
    rate_hz, num_samples = told["metadata"]["sample_rate_hz"], told["num_samples"]
    classifier = AudioClassifier.create_from_options(options)
    if told["metadata"]["thresholds"]:
        return refusing(classifier, arrays, told)
    largest = windows = 0
    for number in range(sum(name.startswith("clip") for name in arrays)):
        expected = arrays[f"scores{number}"]
        scores, starts_ms, names = heard(classifier, arrays[f"clip{number}"], rate_hz, labels)
        assert np.isfinite(scores).all(), "a label has no score"
        assert scores.shape == expected.shape, f"{scores.shape} scores of a clip, ours {expected.shape}"
        exact_ms = 1000 * num_samples / rate_hz * np.arange(len(scores))
        assert np.abs(starts_ms - exact_ms).max() < 1, f"windows begin at {starts_ms} ms, ours at {exact_ms}"
        difference = np.abs(scores - expected).max()
        assert difference <= told["tolerance"], f"scores differ by {difference:.2g}, more than {told['tolerance']:.2g}"
        for window, name in enumerate(names):  # the highest of ours, or one that shares its place within the tolerance
            missing = expected[window].max() - expected[window][labels.index(name)]
            assert missing <= 2 * told["tolerance"], f"{name} is on top, ours {labels[expected[window].argmax()]}"
            windows += labels[expected[window].argmax()] == name
        largest = max(largest, difference)
    total = sum(len(arrays[name]) for name in arrays if name.startswith("scores"))
    elsewhere = other_rate(classifier, arrays, told["other_rate_hz"], labels)
    classifier.close()
    return f"{windows} of {total} top labels, scores within {largest:.2g}; {elsewhere}"


def refused(options):
    """One line about a file that takes integers: MediaPipe says so. Should it take them one day, compare them too."""
    try:
        AudioClassifier.create_from_options(options).close()
    except (RuntimeError, ValueError) as error:
        assert "float32, got INT8" in str(error), error
        return "metadata equal; refused as it has to be, for it takes int8"
    raise AssertionError("MediaPipe opens it now: compare its scores")


def refusing(classifier, arrays, told):
    """One line about a file that refuses: MediaPipe lists what reaches its own threshold, and nothing else."""
    labels, thresholds = told["metadata"]["labels"], np.float32(told["metadata"]["thresholds"])
    accepted = windows = 0
    for number in range(sum(name.startswith("clip") for name in arrays)):
        expected = arrays[f"scores{number}"]
        scores, _, _ = heard(classifier, arrays[f"clip{number}"], told["metadata"]["sample_rate_hz"], labels)
        assert scores.shape == expected.shape, f"{scores.shape} scores of a clip, ours {expected.shape}"
        is_listed, is_accepted = scores > 0, expected >= thresholds  # a score that is not there is none
        is_near = np.abs(expected - thresholds) <= told["tolerance"]
        assert ((is_listed == is_accepted) | is_near).all(), f"lists {is_listed}, we accept {is_accepted}"
        both = is_listed & is_accepted
        assert not both.any() or np.abs(scores - expected)[both].max() <= told["tolerance"], "other scores"
        accepted, windows = accepted + is_listed.any(axis=1).sum(), windows + len(expected)
    classifier.close()
    return f"{accepted} of {windows} windows accepted, as we do, with the same labels; the others refused"


def heard(classifier, waveform, rate_hz, labels):
    """(scores (windows, labels) in the labels' order, nan where there is none; when each window begins in ms; its top
    label, or None).
    """
    results = classifier.classify(AudioData.create_from_array(waveform, rate_hz))
    scores, names = np.full((len(results), len(labels)), np.nan, np.float32), []
    for window, result in enumerate(results):
        (head,) = result.classifications
        for category in head.categories:  # the highest first
            assert labels[category.index] == category.category_name, f"label {category.index} is {category}"
            scores[window, category.index] = category.score
        names.append(head.categories[0].category_name if head.categories else None)
    return scores, np.array([result.timestamp_ms for result in results]), names


def other_rate(classifier, arrays, rate_hz, labels):
    """How far MediaPipe's own resampler leads away from soxr's, over the windows that both make."""
    expected = arrays["other_rate_scores"]
    scores, _, _ = heard(classifier, arrays["other_rate"], rate_hz, labels)
    both = min(len(scores), len(expected))
    same = (scores[:both].argmax(axis=1) == expected[:both].argmax(axis=1)).sum()
    return f"from {rate_hz} Hz {same} of {both} top labels, scores within {np.abs(scores - expected)[:both].max():.2g}"


def check_metadata(path, told):
    """Raises AssertionError where MediaPipe's own schema reads other metadata than our reader did."""
    model = Path(path).read_bytes()
    root = schema.Model.GetRootAs(model)
    entries = (root.Metadata(i) for i in range(root.MetadataLength()))
    (buffer,) = [root.Buffers(entry.Buffer()) for entry in entries if entry.Name() == b"TFLITE_METADATA"]
    data = buffer.DataAsNumpy().tobytes()
    assert metadata_schema.ModelMetadata.ModelMetadataBufferHasIdentifier(data, 0), "the identifier is not M001"
    theirs = metadata_schema.ModelMetadataT.InitFromPackedBuf(data)
    for field, value in (
        ("name", theirs.name),
        ("description", theirs.description),
        ("version", theirs.version),
        ("author", theirs.author),
        ("license", theirs.license),
        ("min_parser_version", theirs.minParserVersion),
    ):
        assert value.decode() == told[field], f"{field} is {value}, ours {told[field]!r}"
    (graph,) = theirs.subgraphMetadata
    (waveform,), (scores,) = graph.inputTensorMetadata, graph.outputTensorMetadata
    audio = waveform.content.contentProperties
    assert (audio.sampleRate, audio.channels) == (told["sample_rate_hz"], told["channels"]), "another sound"
    labels = scores.associatedFiles[0]  # with thresholds, those are the second
    assert labels.type == metadata_schema.AssociatedFileType.TENSOR_AXIS_LABELS, "the labels are of another type"
    with zipfile.ZipFile(io.BytesIO(model)) as archive:
        lines = archive.read(labels.name.decode()).decode().splitlines()
    assert lines == told["labels"], f"labels {lines}, ours {told['labels']}"


if __name__ == "__main__":
    main()
