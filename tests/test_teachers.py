"""Teachers: what they hear, of whom they are refused, and what YAMNet's head learns."""

import json
from pathlib import Path
from types import SimpleNamespace

from zoo.backend import keras, tf

import numpy as np
import pyopen_wakeword
import pytest
from scipy.special import softmax

from zoo import corpus, datasets, embeddings, frontends, hearing, pipeline, teachers
from zoo.errors import ZooError
from zoo.export import keras_files, tflite
from zoo.labelling import Multiclass
from zoo.runtime.interpreter import LiteRT

LABELS = ["dog", "rain", "siren"]
WORD = SimpleNamespace(sample_rate_hz=16_000, num_samples=16_000)
LABELLING = Multiclass(LABELS)
STUDENT = frontends.Raw(sample_rate_hz=20_000, num_samples=30_000)  # 1.5 s


@pytest.fixture(scope="module")
def training_clips():
    """Of folds 2 and 3: one a class and fold, a second of noise each."""
    targets, folds = np.repeat(np.arange(3), 2), np.tile([2, 3], 3)
    names = np.array([f"{i}" for i in range(6)])
    samples = np.random.default_rng(0).integers(-9_000, 9_000, 6 * 20_000).astype(np.int16)
    starts = np.arange(6) * 20_000
    return corpus.Clips(samples, starts, starts + 20_000, targets, folds, names, names, 20_000)


def band_powers(num_samples, sample_rate_hz):
    """A model (samples,) -> which third of 0 to 6 kHz is strongest: it knows its sample rate, as trained ones do."""
    waveform = keras.Input((num_samples,))
    power = tf.square(tf.abs(tf.signal.stft(waveform, num_samples, num_samples, num_samples)))[:, 0]
    bin_hz = sample_rate_hz / num_samples
    bands = [slice(int(low / bin_hz), int((low + 2_000) / bin_hz)) for low in (0, 2_000, 4_000)]
    scores = tf.stack([tf.reduce_sum(power[:, band], axis=1) for band in bands], axis=1)
    return keras.Model(waveform, scores / tf.reduce_sum(scores, axis=1, keepdims=True))


def exported(folder, model, sample_rate_hz=20_000, labels=LABELS, test_fold=1):
    keras_files.save_h5(model, folder / "model.h5")
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    metrics = {"sample_rate_hz": sample_rate_hz, "num_samples": model.input_shape[1], "test_fold": test_fold}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def tones(frequencies_hz, front_end=STUDENT):
    time_s = np.arange(front_end.num_samples) / front_end.sample_rate_hz
    return tf.constant(0.3 * np.sin(2 * np.pi * np.outer(frequencies_hz, time_s)), tf.float32)


@pytest.fixture
def tiny_model():
    keras.utils.set_random_seed(0)
    waveform = keras.Input((30_000,))
    x = keras.layers.AveragePooling1D(1_000)(keras.layers.Reshape((-1, 1))(waveform))
    return keras.Model(waveform, keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(x)))


def test_a_zoo_teacher_scores_as_the_model_that_was_exported(tmp_path, tiny_model, training_clips):
    folder = exported(tmp_path, tiny_model)
    waveforms = tones([100, 3_000])
    for path in (folder, folder / "model.h5", str(folder)):
        teach = teachers.open_teacher(path, LABELLING, training_clips, STUDENT)
        # One model, run in a graph and outside of one.
        np.testing.assert_allclose(teach(waveforms), tiny_model(waveforms), atol=1e-6)


def test_a_teacher_that_holds_kapre_layers_opens(tmp_path, training_clips):
    front_end = frontends.LogMel(num_samples=4_000, num_mels=8)
    spectrogram = front_end.build()
    scores = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(spectrogram.output))
    folder = exported(tmp_path, keras.Model(spectrogram.input, scores), sample_rate_hz=16_000)
    teach = teachers.open_teacher(folder, LABELLING, training_clips, STUDENT)
    assert teach(tones([1_000])).shape == (1, 3)


@pytest.mark.parametrize("sample_rate_hz", [16_000, 20_000, 44_100])
def test_a_teacher_at_another_rate_hears_the_same_sound(tmp_path, training_clips, sample_rate_hz):
    num_samples = STUDENT.num_samples * sample_rate_hz // STUDENT.sample_rate_hz
    folder = exported(tmp_path, band_powers(num_samples, sample_rate_hz), sample_rate_hz)
    scores = teachers.open_teacher(folder, LABELLING, training_clips, STUDENT)(tones([1_000, 3_000, 5_000]))
    # A tone in the middle of a band spills nothing beyond it but where the resampler begins and ends.
    np.testing.assert_allclose(scores, np.eye(3), atol=0.01)


def test_a_teacher_with_a_shorter_window_hears_all_of_a_longer_crop(tmp_path, training_clips):
    folder = exported(tmp_path, band_powers(10_000, 20_000))
    teach = teachers.open_teacher(folder, LABELLING, training_clips, STUDENT)
    low, middle, high = tones([1_000, 3_000, 5_000]).numpy()
    thirds = np.concatenate([low[:10_000], middle[:10_000], high[:10_000]])
    # Five windows: each third alone, and two halfway that hear two of equal power.
    np.testing.assert_allclose(teach(tf.constant(thirds[None])), [[0.3, 0.4, 0.3]], atol=0.01)


@pytest.mark.parametrize(
    ("heard", "num_samples", "starts"),
    [
        (30_000, 10_000, [0, 5_000, 10_000, 15_000, 20_000]),
        (24_180, 15_600, [0, 8_580]),  # YAMNet behind ACDNet's 1.51 s
        (10_003, 10_000, [1]),  # a rounding longer: its middle
        (10_000, 10_000, [0]),
    ],
)
def test_windows_reach_from_the_start_to_the_end(heard, num_samples, starts):
    waveform = np.arange(heard, dtype=np.float32)
    windows = hearing.windows(tf.constant(waveform[None]), num_samples)
    np.testing.assert_array_equal(windows[0], [waveform[start : start + num_samples] for start in starts])


def test_a_shorter_sound_lies_in_the_middle_of_silence():
    windows = hearing.windows(tf.ones((2, 5)), 8)
    np.testing.assert_array_equal(windows[:, 0], [[0, 1, 1, 1, 1, 1, 0, 0]] * 2)


def test_a_teacher_runs_in_a_dataset_map_and_repeats_itself(tmp_path, training_clips):
    folder = exported(tmp_path, band_powers(16_000, 16_000), sample_rate_hz=16_000)
    teach = teachers.open_teacher(folder, LABELLING, training_clips, STUDENT)
    batches = pipeline.mixed_crops(training_clips, 30_000, 3, pipeline.Waveforms(), 0, 3, 0, 1)
    taught = batches.map(lambda waveforms, labels: (waveforms, teach(waveforms)), num_parallel_calls=2)
    assert taught.element_spec[1].shape[1:] == (3,) and taught.element_spec[1].dtype == tf.float32
    for (waveforms, scores), (_, again) in zip(taught, taught, strict=True):
        np.testing.assert_array_equal(scores, again)
        np.testing.assert_array_equal(scores, teach(waveforms))


@pytest.mark.parametrize(
    ("known", "told_of"),
    [
        (["dog", "rain"], "2 classes.*3.*'none'.*'siren'"),
        (["rain", "dog", "siren"], "'rain'.*'dog'"),
        (["dog", "rain", "engine"], "'engine'.*'siren'"),
    ],
)
def test_a_teacher_of_other_classes_is_refused(tmp_path, tiny_model, training_clips, known, told_of):
    folder = exported(tmp_path, tiny_model, labels=known)
    with pytest.raises(ZooError, match=told_of) as told:
        teachers.open_teacher(folder, LABELLING, training_clips, STUDENT)
    assert "\n" not in str(told.value)


def test_a_teacher_that_was_trained_on_the_students_test_fold_is_refused(tmp_path, tiny_model, training_clips):
    folder = exported(tmp_path, tiny_model, test_fold=2)
    with pytest.raises(ZooError, match="fold 2"):
        teachers.open_teacher(folder, LABELLING, training_clips, STUDENT)


def test_what_is_no_teacher_is_refused_in_a_line(tmp_path, tiny_model, training_clips):
    def is_refused(path, match):
        with pytest.raises(ZooError, match=match) as told:
            teachers.open_teacher(path, LABELLING, training_clips, STUDENT)
        assert str(path) in str(told.value) and "\n" not in str(told.value)

    is_refused(tmp_path / "gone.h5", "no file")
    is_refused(tmp_path, "no file .*model.h5")
    (tmp_path / "text.h5").write_text("not a model")
    is_refused(tmp_path / "text.h5", "neither")
    folder = exported(tmp_path, tiny_model)
    whole = (folder / "model.h5").read_bytes()
    (folder / "model.h5").write_bytes(whole[: len(whole) // 2])
    is_refused(folder / "model.h5", "no exported model")
    (folder / "model.h5").write_bytes(whole)
    (folder / "metrics.json").unlink()
    is_refused(folder / "model.h5", "metrics.json")
    (tmp_path / "other.tflite").write_bytes(tflite.to_float(tiny_model))
    is_refused(tmp_path / "other.tflite", "neither YAMNet")
    (tmp_path / "short.tflite").write_bytes(tflite.to_float(tiny_model)[:200])
    is_refused(tmp_path / "short.tflite", "neither YAMNet")


def test_the_head_is_where_softmax_regression_has_no_slope_left():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 5)).astype(np.float32) * [1, 10, 0.1, 1, 0] + [0, 3, 0, 1, 2]  # the last tells nothing
    labels = softmax(x[:, :3] @ rng.normal(size=(3, 4)), axis=1)
    kernel, bias = teachers.fit_head(x, labels, LABELLING)
    assert kernel.dtype == bias.dtype == np.float32 and not kernel[4].any()
    error = (softmax(x @ kernel + bias, axis=1) - labels) / len(x)
    deviation = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    # In the standardised columns, where the decay counts; L-BFGS stops at slopes of 1e-5.
    slope = ((x - x.mean(axis=0)) / deviation).T @ error + teachers.DECAY * kernel * deviation[:, None]
    np.testing.assert_allclose(slope, 0, atol=1e-4)
    np.testing.assert_allclose(error.sum(axis=0), 0, atol=1e-4)


@pytest.fixture(scope="module")
def yamnet(real_recordings):
    return real_recordings / "yamnet" / "yamnet.tflite"


def test_yamnet_knows_real_clips_that_its_head_was_not_fitted_on(yamnet, esc10_clips, monkeypatch):
    monkeypatch.setattr(teachers, "CROPS_PER_CLIP", 3)  # a minute otherwise
    labelling = Multiclass([f"class {i}" for i in range(10)])
    train, test = esc10_clips.where(esc10_clips.folds != 5), esc10_clips.where(esc10_clips.folds == 5)
    teach = teachers.open_teacher(yamnet, labelling, train, SimpleNamespace(sample_rate_hz=20_000, num_samples=30_225))
    crops = np.concatenate(corpus.JudgingCrops(test, 30_225, 3, 0.5))
    dataset = tf.data.Dataset.from_tensor_slices(crops).batch(3).map(teach, num_parallel_calls=2)
    scores = np.stack([batch.numpy().mean(axis=0) for batch in dataset])
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)  # float32 softmax
    # Four clips a class are little to learn from; chance is 1 of 10.
    assert np.mean(scores.argmax(axis=1) == test.targets) >= 0.6


@pytest.fixture(scope="module")
def words(real_recordings, tmp_path_factory):
    """Each third clip of Speech Commands: fold 0 trains, fold 2 tests, no speaker is in both."""
    cache = tmp_path_factory.mktemp("words")
    builder = datasets.load("speech_commands", cache, real_recordings / "speech_commands")
    clips = corpus.clips_at(builder, 16_000, cache)
    return clips.where(np.arange(len(clips)) % 3 == 0)


@pytest.fixture(scope="module")
def speech_embedding():
    return Path(pyopen_wakeword.__file__).parent / "models" / "embedding_model.tflite"


def test_the_speech_embedding_is_what_its_two_files_make_of_a_word(speech_embedding, words):
    crops = np.concatenate([corpus.judging_crops(words.waveform(i), 16_000, 1) for i in range(0, len(words), 22)])
    _, embed = embeddings.published("file", speech_embedding.read_bytes(), WORD)
    spectrogram = LiteRT(speech_embedding.with_name("melspectrogram.tflite"), input_shape=(25_600,))
    network = LiteRT(speech_embedding)
    for crop, found in zip(crops, embed(tf.constant(crops)).numpy(), strict=True):
        bels = spectrogram.run(32_768 * np.pad(crop, 4_800)[None])[0, 0] / 10 + 2
        by_window = network.run(
            np.stack([bels[start : start + 76] for start in range(0, len(bels) - 75, 8)])[..., None]
        )
        np.testing.assert_allclose(found, by_window.mean(axis=(0, 1, 2)), atol=1e-3)  # of values up to 60


def test_the_speech_embedding_teaches_words_of_speakers_that_its_head_has_not_heard(
    speech_embedding, words, monkeypatch
):
    monkeypatch.setattr(teachers, "CROPS_PER_CLIP", 2)
    train, test = words.where(words.folds == 0), words.where(words.folds == 2)
    teach = teachers.open_teacher(speech_embedding, Multiclass([f"class {i}" for i in range(12)]), train, WORD)
    crops = np.concatenate(corpus.JudgingCrops(test, 16_000, 1, 0.5))
    assert np.mean(teach(tf.constant(crops)).numpy().argmax(axis=1) == test.targets) >= 0.7  # chance is 1 of 12
