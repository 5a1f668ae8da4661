"""The log-mel against librosa in float64, its TFLite twin, and the file that it is saved in."""

import functools
import json
import time
from dataclasses import replace

from zoo.backend import keras, tf

import h5py
import kapre
import librosa
import numpy as np
import pytest
import soundfile

from zoo.export import flatbuffer, graph, keras_files, tflite
from zoo.frontends import MFCC, LogMel, Raw
from zoo.measure import latency
from zoo.runtime.interpreter import LiteRT

SAMPLES = 16_000
SPECS = {
    "power, decibel": LogMel(SAMPLES),
    "power, natural": LogMel(SAMPLES, log="natural"),
    "magnitude, decibel": LogMel(SAMPLES, spectrum="magnitude", floor=1e-4),
    "magnitude, natural": LogMel(SAMPLES, spectrum="magnitude", floor=1e-4, log="natural"),
    "another grid": LogMel(SAMPLES, 20_000, 40, 1_024, 1_000, 333, 50.0, 9_000.0),
}


@pytest.fixture(params=SPECS)
def spec(request):
    return SPECS[request.param]


built = functools.cache(lambda build, spec: build(spec))  # a model for several tests


def by_librosa(spec, waveforms):
    """The same levels by librosa, in float64: (n, frames, mels, 1)."""
    before = (spec.n_fft - spec.window_samples) // 2  # librosa centres a short window in the FFT, where ours starts it
    levels = []
    for waveform in waveforms:
        mel = librosa.feature.melspectrogram(
            y=np.pad(waveform.astype(np.float64), before),
            sr=spec.sample_rate_hz,
            n_fft=spec.n_fft,
            win_length=spec.window_samples,
            hop_length=spec.hop_samples,
            center=False,
            power={"power": 2, "magnitude": 1}[spec.spectrum],
            n_mels=spec.num_mels,
            fmin=spec.low_hz,
            fmax=spec.high_hz,
            dtype=np.float64,
        )
        level = librosa.power_to_db(mel, ref=spec.floor, amin=spec.floor, top_db=None).T[..., None]
        levels.append(level * (np.log(10) / 10 if spec.log == "natural" else 1))
    return np.stack(levels)


def assert_same_levels(spec, found, wanted):
    """Float32's FFT is off by about 1e-7 of the loudest bin of its frame, whichever bin it is.

    In a band 40 dB under the loudest one that is 1e-5 of the magnitude, 1e-4 dB, and some roundings more: 1e-3 dB. In a
    band 80 dB under it, as there are beside a pure tone, it is a hundred times as much: 0.1 dB.
    """
    as_db = (2 if spec.spectrum == "magnitude" else 1) * (10 / np.log(10) if spec.log == "natural" else 1)
    found, wanted = found * as_db, wanted * as_db
    near = wanted > wanted.max(axis=2, keepdims=True) - 40
    difference = np.abs(found - wanted)
    assert near.mean() > 0.1 and difference[near].max() < 1e-3
    assert difference.max() < 0.1


def made_sounds():
    """Noise, a quiet noise, a tone that slides upwards, a click, silence."""
    rng, time_s = np.random.default_rng(0), np.arange(SAMPLES) / 16_000
    click = np.zeros(SAMPLES)
    click[8_000] = 0.9
    slide = 0.8 * np.sin(2 * np.pi * (50 * time_s + 3_900 * time_s**2))
    noise = rng.uniform(-1, 1, SAMPLES)
    return np.stack([noise, 1e-3 * noise, slide, click, np.zeros(SAMPLES)]).astype(np.float32)


@pytest.fixture(scope="module")
def real_sounds(real_recordings):
    """Spoken words and surroundings of a second each, as they are."""
    paths = [*sorted((real_recordings / "speech_commands").glob("*/*.flac"))[::90]]
    clips = [soundfile.read(path, dtype="float32")[0][:SAMPLES] for path in paths]
    return np.stack([np.pad(clip, (0, SAMPLES - len(clip))) for clip in clips])


def assert_levels(spec, waveforms):
    levels, of_twin = (
        built(build, spec).predict(waveforms, verbose=0) for build in (LogMel.build, LogMel.build_tflite_twin)
    )
    assert levels.shape[1:] == (1 + (SAMPLES - spec.window_samples) // spec.hop_samples, spec.num_mels, 1)
    assert_same_levels(spec, levels, by_librosa(spec, waveforms))
    assert_same_levels(spec, of_twin, levels)


def test_levels_are_librosas_and_those_of_the_tflite_twin_are_the_same(spec):
    assert_levels(spec, made_sounds())


def test_levels_of_real_clips_are_too(spec, real_sounds):
    assert_levels(spec, real_sounds)


@pytest.mark.parametrize("spec", [SPECS["power, decibel"], SPECS["magnitude, natural"]], ids=["power", "magnitude"])
def test_the_twins_file_holds_builtin_operators_and_gives_the_same_levels(spec):
    model = LiteRT(tflite.to_float(spec.build_tflite_twin()))  # raises where an operator is no builtin
    operators = {op["op_name"] for op in model._interpreter._get_ops_details()}
    assert not [name for name in operators if "Flex" in name or "CUSTOM" in name]
    waveforms = made_sounds()
    assert_same_levels(spec, model.run(waveforms), by_librosa(spec, waveforms))


def test_the_twins_file_stays_small():
    model = tflite.to_float(LogMel(SAMPLES, num_mels=64).build_tflite_twin())
    assert len(model) < 28_000  # 257 x 64 floats would be 66 kB, DFT matrices 1.1 MB


def test_the_saved_file_needs_kapre_and_keras_alone(spec, tmp_path):
    model = built(LogMel.build, spec)
    keras_files.save_h5(model, tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5") as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
    for layer in layers:
        name = layer["class_name"]
        registered = layer.get("registered_name") or name
        assert registered.startswith("Kapre>") or hasattr(keras.layers, name), layer
    waveforms = made_sounds()
    reloaded = keras.models.load_model(tmp_path / "model.h5", compile=False)
    np.testing.assert_array_equal(reloaded.predict(waveforms, verbose=0), model.predict(waveforms, verbose=0))


@pytest.mark.parametrize("build", [LogMel.build, LogMel.build_tflite_twin])
def test_a_level_does_not_depend_on_what_else_the_clip_holds(spec, build):
    quiet = 1e-3 * made_sounds()[:1]
    burst = quiet.copy()
    burst[:, 12_000:14_000] += made_sounds()[:1, :2_000]
    model = built(build, spec)
    before, after = model.predict(quiet, verbose=0), model.predict(burst, verbose=0)
    untouched = (12_000 - spec.window_samples) // spec.hop_samples  # frames that end before the burst
    np.testing.assert_allclose(after[:, :untouched], before[:, :untouched], atol=1e-4)  # frames go in other batches
    assert (after[:, untouched + 2 : untouched + 8] > before[:, untouched + 2 : untouched + 8] + 1).any()


@pytest.mark.parametrize("build", [LogMel.build, LogMel.build_tflite_twin])
def test_silence_is_zero(spec, build):
    assert not built(build, spec).predict(np.zeros((1, SAMPLES), np.float32), verbose=0).any()


def test_ten_times_the_amplitude_is_twenty_decibels_more():
    model, noise = built(LogMel.build, SPECS["power, decibel"]), made_sounds()[:1]
    loud, quiet = (model.predict(gain * noise, verbose=0) for gain in (1, 0.1))
    heard = quiet > 0
    np.testing.assert_allclose((loud - quiet)[heard], 20, atol=1e-3)  # float32 of levels up to 120


def test_raw_is_the_waveform():
    spec = Raw(20_000, 100)
    waveforms = np.random.default_rng(0).uniform(-1, 1, (3, 100)).astype(np.float32)
    for model in (spec.build(), spec.build_tflite_twin()):
        assert model.output_shape == (None, 100, 1, 1)
        np.testing.assert_array_equal(model.predict(waveforms, verbose=0)[..., 0, 0], waveforms)


@pytest.mark.parametrize("wrong", [{"spectrum": "energy"}, {"log": "log10"}])
def test_a_spectrum_or_log_of_another_name_is_refused(wrong):
    with pytest.raises(ValueError, match="spectrum is power or magnitude, log is decibel or natural"):
        LogMel(SAMPLES, **wrong)


# research/audioset/yamnet/params.py of tensorflow/models.
YAMNET_SAMPLES, YAMNET_OFFSET = 15_600, 0.001
YAMNET = LogMel(
    YAMNET_SAMPLES, 16_000, 64, 512, 400, 160, 125.0, 7_500.0,
    spectrum="magnitude", log="natural", mel="htk", offset=YAMNET_OFFSET,
)  # fmt: skip
# benchmark/training/keyword_spotting/get_dataset.py of mlcommons/tiny; the fft_length of None is 512 there.
KEYWORDS = MFCC(
    LogMel(
        SAMPLES, 16_000, 40, 512, 480, 320, 20.0, 4_000.0, spectrum="magnitude", log="natural", mel="htk", offset=1e-6
    ),
    num_coefficients=10,
)


def by_tensorflow(spec, waveforms):
    """What their sources make of waveforms, with tf.signal: (n, frames, mels or coefficients, 1)."""
    log_mel = spec.log_mel if isinstance(spec, MFCC) else spec
    spectrum = tf.abs(tf.signal.stft(waveforms, log_mel.window_samples, log_mel.hop_samples))
    bands = tf.signal.linear_to_mel_weight_matrix(
        log_mel.num_mels, spectrum.shape[-1], log_mel.sample_rate_hz, log_mel.low_hz, log_mel.high_hz
    )
    levels = tf.math.log(spectrum @ bands + log_mel.offset)
    if isinstance(spec, MFCC):
        levels = tf.signal.mfccs_from_log_mel_spectrograms(levels)[..., : spec.num_coefficients]
    return levels.numpy()[..., None]


# Float32's FFT is off by about 1e-7 of the loudest bin of its frame, of full scale 2e-5. Next to YAMNet's offset that
# is 0.02, next to the other all that the bands beside a pure tone hold. So noises, words and silence are compared.
@pytest.mark.parametrize(("spec", "shape"), [(YAMNET, (96, 64, 1)), (KEYWORDS, (49, 10, 1))], ids=["yamnet", "mfcc"])
@pytest.mark.parametrize("twin", [False, True], ids=["training layer", "tflite twin"])
def test_htk_levels_and_cepstra_are_tensorflows(spec, shape, twin, real_sounds):
    sounds = np.concatenate([made_sounds()[[0, 1, 4]], real_sounds])[:, : spec.num_samples]
    model = LiteRT(tflite.to_float(spec.build_tflite_twin())) if twin else spec.build()
    found = model.run(sounds) if twin else model.predict(sounds, verbose=0)
    assert found.shape[1:] == shape
    difference = np.abs(found - by_tensorflow(spec, sounds))
    assert difference.max() < 5e-3 and np.median(difference) < 1e-5


def test_the_htk_bands_are_triangles_over_the_mel_scale():
    """From the definition, in float64. TensorFlow computes them in float32, whose mel is off by 2e-4 of its 2,840."""
    mel = lambda hz: 1_127 * np.log1p(np.asarray(hz) / 700)  # noqa: E731
    edges, bins = np.linspace(mel(125), mel(7_500), 66), mel(np.arange(257) * 16_000 / 512)[:, None]
    rising, falling = (bins - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - bins) / np.diff(edges)[1:]
    wanted = np.maximum(0, np.minimum(rising, falling))
    assert not wanted[0].any()  # 125 Hz lies above the first bin
    np.testing.assert_allclose(YAMNET.filterbank(), wanted, atol=1e-4)


def test_the_htk_bands_are_those_in_yamnets_file(real_recordings):
    root = graph.load((real_recordings / "yamnet" / "yamnet.tflite").read_bytes())
    (bands,) = (tensor for tensor in root.subgraphs[0].tensors if tuple(tensor.shape) == (64, 257))
    scale = bands.quantization.scale[0]
    theirs = np.frombuffer(bytes(root.buffers[bands.buffer].data), np.int8).reshape(64, 257) * scale
    assert np.abs(theirs.T - YAMNET.filterbank()).max() < 0.51 * scale  # they are kept in 8 bits


@pytest.mark.parametrize("spec", [YAMNET, KEYWORDS], ids=["yamnet", "mfcc"])
def test_silence_is_the_log_of_the_offset(spec):
    levels = spec.build().predict(np.zeros((1, spec.num_samples), np.float32), verbose=0)
    if isinstance(spec, MFCC):  # of columns that are all alike the mean alone is there: sqrt(2 / 40) * 40
        assert np.abs(levels[0, 0, 1:]).max() < 1e-4
        levels, offset = levels[:, :, :1] / np.sqrt(2 * 40), 1e-6
    else:
        offset = YAMNET_OFFSET
    np.testing.assert_allclose(levels, np.log(offset), rtol=1e-6)


def test_bands_and_cosines_are_weights_that_reload_in_keras_2_and_3_and_that_nothing_trains(tmp_path):
    model = KEYWORDS.build()
    assert not model.trainable_weights and [weight.shape for weight in model.weights] == [(257, 40), (40, 10)]
    keras_files.save(model, tmp_path)  # .h5 and, written and opened by Keras 3 in a process of its own, .keras
    sounds = made_sounds()
    reloaded = keras.models.load_model(tmp_path / "model.h5", compile=False)
    np.testing.assert_array_equal(reloaded.predict(sounds, verbose=0), model.predict(sounds, verbose=0))


def test_a_mel_scale_of_another_name_is_refused():
    with pytest.raises(ValueError, match="mel is slaney or htk"):
        LogMel(SAMPLES, mel="bark")


LIKE_KAPRE = replace(YAMNET, mel="slaney", offset=0.0, floor=YAMNET_OFFSET)


def kapres_own_tflite_layers(spec):
    """The file of the layers that Kapre brings for TFLite, at the setting of `spec`, in decibels."""
    channels = {"input_data_format": "channels_last", "output_data_format": "channels_last"}
    stft = kapre.STFTTflite(n_fft=spec.n_fft, win_length=spec.window_samples, hop_length=spec.hop_samples, **channels)
    waveform = keras.Input((spec.num_samples,), name="waveform")
    x = kapre.MagnitudeTflite()(stft(keras.layers.Reshape((-1, 1))(waveform)))
    x = kapre.ApplyFilterbank("mel", spec._filterbank(), data_format="channels_last")(x)
    x = kapre.MagnitudeToDecibel(ref_value=spec.floor, amin=spec.floor, dynamic_range=1e4)(x)
    return tflite.to_float(keras.Model(waveform, x, name="kapre"))


def yamnets_own_front_end(folder):
    """YAMNet's published file, cut at its output of (frames, bands)."""
    root = graph.load((folder / "yamnet.tflite").read_bytes())
    (described,) = root.subgraphs
    described.outputs = [i for i in described.outputs if tuple(described.tensors[i].shape) == (96, 64)]
    needed = set(described.outputs)
    for operator in reversed(described.operators):
        if needed & set(operator.outputs):
            needed.update(operator.inputs)
    described.operators = [operator for operator in described.operators if needed & set(operator.outputs)]
    root.signatureDefs = None
    return flatbuffer.dump(root)


@pytest.fixture(scope="module")
def front_ends(real_recordings):
    """{name: file} of the three, and of ours with the bands and the floor that Kapre's have."""
    return {
        "ours": tflite.to_float(YAMNET.build_tflite_twin()),
        "ours as kapre's": tflite.to_float(LIKE_KAPRE.build_tflite_twin()),
        "kapre": kapres_own_tflite_layers(LIKE_KAPRE),
        "yamnet": yamnets_own_front_end(real_recordings / "yamnet"),
    }


def test_the_twin_is_under_a_tenth_of_kapres_and_of_yamnets_and_its_time_beside_theirs_is_told(
    front_ends, real_sounds, record_property, capsys
):
    """Bytes are asserted, times told: pytest -n 0 -k beside_theirs tests/test_frontends.py prints them."""
    sizes = {name: len(model) for name, model in front_ends.items()}
    assert 10 * sizes["ours"] < min(sizes["kapre"], sizes["yamnet"]), sizes
    runners = {name: LiteRT(model) for name, model in front_ends.items()}
    clips = [clip[None, :YAMNET_SAMPLES] for clip in real_sounds]
    spent_s = {name: [] for name in runners}
    for _ in range(10):
        for clip in clips:
            for name, runner in runners.items():
                start = time.perf_counter()
                runner.run_all([clip])
                spent_s[name].append(time.perf_counter() - start)
    spent_s = {name: np.array(times[len(clips) :]) for name, times in spent_s.items()}  # the first round warms up
    for name in ("kapre", "yamnet"):
        ratio, low, high = latency.ratio(spent_s["ours"], spent_s[name])
        told = f"{ratio:.3f} ({low:.3f} to {high:.3f}) of {name}'s time, {sizes['ours'] / sizes[name]:.3f} of its bytes"
        record_property(f"ours_beside_{name}", told)
        with capsys.disabled():
            print(f"\nour log-mel, one thread: {told}", end="")


def test_kapres_own_layers_and_the_twin_give_the_same_levels(front_ends, real_sounds):
    clips = real_sounds[:, :YAMNET_SAMPLES]
    found = {name: LiteRT(front_ends[name]).run(clips) for name in ("ours as kapre's", "kapre")}
    # Float32 sums over the same 400 products, in another order: 1e-6 of the loudest bin, a thousandth of the floor.
    np.testing.assert_allclose(found["ours as kapre's"], found["kapre"] * np.log(10) / 10, atol=1e-3)


def test_the_twin_gives_yamnets_levels_as_far_as_its_eight_bits_go(front_ends, real_sounds):
    """YAMNet's file keeps its DFT and its bands in 8 bits, and LiteRT rounds what enters them to 8 bits as well.

    What lies 40 dB under a frame's loudest bin is lost there: levels agree in the middle and not at the ends. In float
    (tests/models/test_yamnet.py) the same file says what its 8 bits cost.
    """
    clips = real_sounds[:, :YAMNET_SAMPLES]
    levels = LiteRT(front_ends["ours"]).run(clips)[..., 0]
    yamnet = LiteRT(front_ends["yamnet"])
    wanted = np.stack([yamnet.run_all([clip[None]])[0] for clip in clips])
    median, most = np.percentile(np.abs(levels - wanted), (50, 90))
    assert median < 0.02 and most < 0.2
