import csv
import hashlib

import numpy as np
import pytest
import soundfile
import soxr

from zoo.errors import ZooError
from zoo.export import tflite
from zoo.runtime import Classifier, Detection
from zoo.runtime.interpreter import LiteRT
from zoo.runtime.isolated import Isolated

RATE_HZ, SAMPLES, LABELS = 16_000, 8_000, ("low", "middle", "high")


def test_rate_length_and_labels_come_from_the_file(classifier):
    assert (classifier.sample_rate_hz, classifier.num_samples, classifier.labels) == (RATE_HZ, SAMPLES, LABELS)
    assert classifier.threshold is None


def test_scores_are_those_of_keras(bands, classifier, sound):
    windows = np.lib.stride_tricks.sliding_window_view(sound, SAMPLES)[::3_001]
    expected = bands.model.predict(windows, verbose=0)
    assert np.ptp(expected, axis=0).max() > 0.05  # sounds are told apart
    np.testing.assert_allclose(classifier.scores(windows), expected, atol=1e-5)  # kernels differ


@pytest.mark.parametrize("block_samples", [160, 1_111, 64_000])
def test_streaming_equals_batch(classifier, sound, block_samples):
    hop = 4_000
    stream = classifier.open_stream(RATE_HZ, hop / RATE_HZ)
    blocks = np.split(sound, range(block_samples, len(sound), block_samples))
    streamed = np.stack([decision.scores for block in blocks for decision in stream.feed(block)])
    batch = classifier.scores(np.lib.stride_tricks.sliding_window_view(sound, SAMPLES)[::hop])
    np.testing.assert_allclose(streamed, batch, atol=1e-6)
    assert list(stream.close()) == []  # eight hops: nothing was left


def test_a_recordings_scores_are_the_mean_over_windows_that_are_not_quiet(classifier, sound):
    windows = np.lib.stride_tricks.sliding_window_view(sound, SAMPLES)[::4_000]
    loud = [window for window in windows if np.mean(window**2) > 1e-6]
    assert len(loud) < len(windows)
    expected = classifier.scores(loud).mean(axis=0)
    found = classifier.classify(sound, RATE_HZ)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    np.testing.assert_allclose([found[label] for label in LABELS], expected, atol=1e-6)


def test_another_rate_and_more_channels_are_made_to_fit(classifier, sound):
    found = classifier.classify(sound, RATE_HZ)
    faster = soxr.resample(sound, RATE_HZ, 44_100)
    for waveform in (faster, np.stack([faster, faster], axis=1)):
        resampled = classifier.classify(waveform, 44_100)
        # What the two filters cut off near 8 kHz, of a noise.
        assert max(abs(found[label] - resampled[label]) for label in LABELS) < 0.02


def test_16_bit_samples_score_as_the_floats_they_stand_for(classifier, sound):
    pcm = np.round(sound * 32767).astype(np.int16)
    assert classifier.classify(pcm, RATE_HZ) == classifier.classify(pcm.astype(np.float32) / 32768, RATE_HZ)


def test_a_short_sound_is_heard_and_none_is_refused(classifier):
    assert set(classifier.classify(np.full(1, 0.5, np.float32), RATE_HZ)) == set(LABELS)
    with pytest.raises(ZooError, match="not one sample"):
        classifier.classify(np.zeros(0, np.float32), RATE_HZ)


def test_the_embedding_is_what_the_last_dense_layer_takes(bands, classifier, sound):
    kernel, bias = bands.model.get_layer("dense").get_weights()
    embedding = classifier.embed(sound[:SAMPLES], RATE_HZ)
    logits = embedding @ kernel + bias
    shares = np.exp(logits - logits.max())
    found = classifier.classify(sound[:SAMPLES], RATE_HZ)
    np.testing.assert_allclose(shares / shares.sum(), [found[label] for label in LABELS], atol=1e-5)


def test_a_tone_after_silence_is_one_event_where_it_is(classifier, sound):
    at_s = np.arange(RATE_HZ) / RATE_HZ
    tone = 0.5 * np.sin(2 * np.pi * 1_000 * at_s).astype(np.float32)
    best = next(iter(classifier.classify(tone, RATE_HZ)))
    signal = np.concatenate([np.zeros(2 * RATE_HZ, np.float32), tone, np.zeros(2 * RATE_HZ, np.float32)])
    blocks = np.split(signal, 40)
    (event,) = classifier.stream(blocks, RATE_HZ, 0.1, Detection(on=0.35, off=0.3, smoothing_s=0))
    assert event.label == best
    assert abs(event.onset_s - 2) <= 0.35 and abs(event.offset_s - 3) <= 0.35  # half a window and a hop


def test_quiet_has_no_event_though_a_softmax_always_finds_a_label(classifier):
    noise = np.random.default_rng(0).normal(0, 10 ** (-65 / 20), 5 * RATE_HZ).astype(np.float32)
    assert list(classifier.stream([noise], RATE_HZ)) == []
    loose = Detection(on=0.3, off=0.3, quiet_dbfs=-90)
    assert list(classifier.stream([noise], RATE_HZ, detection=loose))


def test_a_files_own_threshold_is_where_its_events_begin(bands, tmp_path):
    from zoo.export.metadata import About, with_metadata

    about = About("bands", "three bands", "1", "the zoo", "Apache-2.0")
    path = tmp_path / "model.tflite"
    path.write_bytes(with_metadata(bands.file.read_bytes(), about, RATE_HZ, LABELS, score_threshold=0.25))
    detection = Classifier(path).detection()
    assert (detection.on, detection.off) == (0.25, 0.25)
    assert Classifier(path).detection(on=0.8).on == 0.8


def test_labels_with_thresholds_of_their_own_are_heard_apart(bands, tmp_path, sound):
    from zoo.export.metadata import About, with_metadata

    about = About("bands", "three bands", "1", "the zoo", "Apache-2.0")
    path = tmp_path / "model.tflite"
    path.write_bytes(with_metadata(bands.file.read_bytes(), about, RATE_HZ, LABELS, thresholds=(0.2, 0.9, 0.4)))
    classifier = Classifier(path)
    assert classifier.decided(np.float32([0.3, 0.8, 0.5])) == [LABELS[2], LABELS[0]]
    assert classifier.decided(np.float32([0.1, 0.8, 0.1])) == []
    detection = classifier.detection()
    assert (detection.on, detection.off) == ((0.2, 0.9, 0.4), (0.2, 0.3, 0.3))
    assert classifier.detection(on=0.8).on == 0.8
    scores = [decision.smoothed for decision in classifier.open_stream(RATE_HZ).feed(sound)]
    heard = {event.label for event in classifier.stream([sound], RATE_HZ, detection=classifier.detection(min_s=0))}
    assert heard == {
        label for label, column, on in zip(LABELS, np.transpose(scores), detection.on) if max(column) >= on
    }


@pytest.mark.parametrize("threshold", [0.0, -1.0, 7.0])
def test_a_threshold_that_is_none_leaves_the_defaults(classifier, monkeypatch, threshold):
    monkeypatch.setattr(classifier, "threshold", threshold)
    assert classifier.detection() == Detection()
    assert (classifier.detection(on=0.2).on, classifier.detection(on=0.2).off) == (0.2, 0.2)


def test_windows_of_another_length_are_refused(classifier):
    with pytest.raises(ZooError, match=r"\(n, 8000\)"):
        classifier.scores(np.zeros((2, 7_999)))


def test_a_listed_file_runs_here_and_any_other_in_a_process_of_its_own(bands, tmp_path, sound):
    ours = Classifier(bands.folder)
    foreign = tmp_path / "model.tflite"
    foreign.write_bytes(bands.file.read_bytes())
    theirs = Classifier(foreign)
    assert (type(ours._runner), type(theirs._runner)) == (LiteRT, Isolated)
    assert ours.classify(sound, RATE_HZ) == theirs.classify(sound, RATE_HZ)
    np.testing.assert_array_equal(ours.embed(sound, RATE_HZ), theirs.embed(sound, RATE_HZ))


def test_a_file_that_is_not_what_its_sums_list_is_refused(bands, tmp_path):
    changed = bytearray(bands.file.read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "model_int8.tflite").write_bytes(changed)
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(bands.file.read_bytes()).hexdigest()}  model_int8.tflite\n")
    with pytest.raises(ZooError, match="SHA256SUMS"):
        Classifier(tmp_path)


def test_what_a_file_does_not_tell_is_asked_for(bands, tmp_path):
    path = tmp_path / "plain.tflite"
    path.write_bytes(tflite.to_float(bands.model))
    with pytest.raises(ZooError, match="sample_rate_hz"):
        Classifier(path)
    with pytest.raises(ZooError, match="labels"):
        Classifier(path, RATE_HZ)
    with pytest.raises(ZooError, match="2 labels for 3 scores"):
        Classifier(path, RATE_HZ, ["a", "b"])
    assert Classifier(path, RATE_HZ, LABELS).labels == LABELS


def test_what_is_no_classifier_of_waveforms_is_refused(tmp_path):
    from zoo.backend import keras

    picture = keras.Input((8, 8, 1))
    model = keras.Model(picture, keras.layers.Dense(3)(keras.layers.Flatten()(picture)))
    (tmp_path / "picture.tflite").write_bytes(tflite.to_float(model))
    (tmp_path / "text.tflite").write_text("dog")
    refused = {"picture": "no classifier of waveforms", "text": "no .tflite file", "none": "No such file"}
    for name, told in refused.items():
        with pytest.raises(ZooError, match=told):
            Classifier(tmp_path / f"{name}.tflite", RATE_HZ, LABELS)


HEARD_AS = {  # classes of ESC-10 -> what YAMNet may call them
    "dog": {"Dog", "Animal", "Domestic animals, pets", "Bark"},
    "crying_baby": {"Crying, sobbing", "Baby cry, infant cry"},
    "chainsaw": {"Chainsaw", "Light engine (high frequency)"},
    "rooster": {"Animal", "Fowl", "Chicken, rooster", "Crowing, cock-a-doodle-doo"},
}


def test_yamnets_published_file_names_real_clips(real_recordings):
    """A foreign model at another rate: its training is the oracle for decoding, resampling, windows and labels."""
    with open(real_recordings / "yamnet" / "yamnet_class_map.csv", newline="") as file:
        labels = [row["display_name"] for row in csv.DictReader(file)]
    yamnet = Classifier(real_recordings / "yamnet" / "yamnet.tflite", 16_000, labels)
    with open(real_recordings / "esc10" / "meta" / "esc10.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["category"] in HEARD_AS and row["fold"] == "1"]
    right = 0
    for row in rows:
        samples, rate_hz = soundfile.read(real_recordings / "esc10" / "audio" / row["filename"])
        right += next(iter(yamnet.classify(samples, rate_hz))) in HEARD_AS[row["category"]]
    assert right >= 0.7 * len(rows)  # 25 of 32 were; a wrong rate or window leaves a handful of 521 labels' worth
