"""Models that this project did not build become folders, and what cannot be done with them is said by layer."""

import json
import subprocess
import sys
from pathlib import Path

from zoo.backend import keras

import kapre
import numpy as np
import pytest
import soundfile

from zoo.errors import ZooError
from zoo.export import foreign
from zoo.export.folder import add_arrays
from zoo.frontends import LogMel
from zoo.measure.files import open_folder

layers = keras.layers
RATE_HZ = 4_000


def waveform_net(padding="valid"):
    """A small CNN over (samples, 1), as tutorials have them: a long first convolution, then pools of 2."""
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((4_000, 1), name="audio")
    x = layers.Conv1D(8, 32, strides=4, padding=padding, activation="relu", name="listen")(x)
    x = layers.MaxPooling1D(10, name="listen_pool")(x)
    x = layers.Conv1D(16, 3, activation="relu", name="think")(x)
    x = layers.MaxPooling1D(2, name="think_pool")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="scores")(x), name="theirs")


def spectrogram_net(shape=(23, 16)):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape, name="spectrogram")
    x = layers.Reshape((*shape[:2], 1), name="image")(inputs)
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(x)
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(2, name="pool")(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="scores")(x), name="theirs")


MEL = {"n_fft": 256, "window_samples": 200, "hop_samples": 100, "high_hz": 2_000.0, "floor": 1e-6}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Nine recordings of bursts and tones, of two rates."""
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    for i in range(9):
        rate_hz = (RATE_HZ, 11_025)[i % 2]
        time_s = np.arange(2 * rate_hz) / rate_hz
        sound = np.sin(2 * np.pi * 150 * (i + 1) * time_s) * np.exp(-3 * time_s) + 0.05 * rng.normal(size=len(time_s))
        soundfile.write(folder / f"{i}.wav", 0.5 * sound, rate_hz)
    return folder


@pytest.fixture(scope="module")
def exported(clips, tmp_path_factory):
    """{kind: (folder, metrics)} of a waveform's model and a spectrogram's."""
    home, made = tmp_path_factory.mktemp("exported"), {}
    for kind, net, mel in (("waveform", waveform_net(), None), ("spectrogram", spectrogram_net(), MEL)):
        net.save(home / f"{kind}.h5")
        made[kind] = (
            home / kind,
            foreign.export_keras(
                home / f"{kind}.h5", home / kind, RATE_HZ, ["a", "b", "c"], clips, mel=mel, command="the command"
            ),
        )
    return made


@pytest.mark.parametrize("kind", ["waveform", "spectrogram"])
def test_a_folder_holds_what_the_zoos_own_hold_and_every_file_decides_as_keras(exported, kind):
    folder, metrics = exported[kind]
    front_end = {"waveform": "micro/frontend.tflite", "spectrogram": "micro/frontend.c"}[kind]
    for name in ("model.h5", "model.keras", "model.tflite", "model_int8.tflite", "labels.txt", "card.md", "SHA256SUMS",
                 "micro/body.tflite", "micro/body.cc", "micro/stream.h", "micro/main.cc", front_end):  # fmt: skip
        assert (folder / name).is_file(), name
    assert json.loads((folder / "metrics.json").read_text()) == json.loads(json.dumps(metrics))
    assert metrics["judging_crops"] == 12 and metrics["files"][front_end]["arena_bytes"] > 0
    # Of an untrained net int8 may turn a near tie; a wrong scale anywhere turns most decisions.
    assert all(row["changed_crops"] <= 3 for row in metrics["files"].values()), metrics["files"]
    assert f"{metrics['stream']['total_bytes']:,} bytes" in " ".join((folder / "card.md").read_text().split())


@pytest.mark.parametrize("kind", ["waveform", "spectrogram"])
def test_float_files_of_a_folder_score_as_the_model_that_was_given(exported, kind):
    folder, metrics = exported[kind]
    sounds = np.random.default_rng(1).normal(0, 0.1, (3, metrics["num_samples"])).astype(np.float32)
    if kind == "waveform":
        expected = waveform_net().predict(sounds[..., None], verbose=0)
    else:
        log_mel = LogMel(metrics["num_samples"], RATE_HZ, num_mels=16, **MEL).build().predict(sounds, verbose=0)
        expected = spectrogram_net().predict(log_mel[..., 0], verbose=0)
    for opened in open_folder(folder, metrics["column_stride_samples"]):
        if not opened.arenas.keys() & {"model_int8.tflite"} and "tflm" not in opened.kernels:
            np.testing.assert_allclose(opened.run(sounds), expected, atol=1e-4)  # float32, other order of sums


def test_the_seam_is_found_where_nothing_is_computed_twice():
    parts = foreign.take_apart(waveform_net(), RATE_HZ)
    assert parts.seam_layer == "listen_pool"  # "think" would need its neighbours' columns again
    assert "every 40 samples" in parts.note


def test_the_seam_may_be_named():
    parts = foreign.take_apart(waveform_net(), RATE_HZ, seam_layer="think_pool")
    assert parts.seam_layer == "think_pool" and "every 80 samples" in parts.note
    with pytest.raises(ZooError, match="no layer 'none'; its layers are audio, listen, listen_pool"):
        foreign.take_apart(waveform_net(), RATE_HZ, seam_layer="none")


def test_a_model_that_pads_its_waveform_is_no_stream_and_has_the_one_call(clips, tmp_path):
    waveform_net("same").save(tmp_path / "padded.h5")
    metrics = foreign.export_keras(tmp_path / "padded.h5", tmp_path / "out", RATE_HZ, ["a", "b", "c"], clips)
    assert metrics["seam"] == "none, so no stream: listen pads ('same'), which a stream cannot"
    assert metrics["stream"] is None
    assert sorted(path.name for path in (tmp_path / "out/micro").iterdir()) == ["model.cc", "model.h", "model.tflite"]


def test_kapres_layers_are_taken_for_the_spec_that_they_are():
    spec = LogMel(4_000, RATE_HZ, num_mels=16, **MEL)
    mel = spec.build()
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(mel.output))
    parts = foreign.take_apart(keras.Model(mel.input, layers.Dense(3)(x)), RATE_HZ)
    assert parts.front_end == spec and parts.seam_layer is None
    assert parts.backbone.input_shape == (None, 39, 16, 1)


def test_levels_that_refer_to_each_clips_maximum_are_refused():
    inputs = keras.Input((4_000, 1))
    x = kapre.Magnitude()(kapre.STFT(n_fft=256, win_length=200, hop_length=100)(inputs))
    x = kapre.ApplyFilterbank("mel", {"sample_rate": RATE_HZ, "n_freq": 129, "n_mels": 16, "f_min": 0.0,
                                      "f_max": 2_000.0})(x)  # fmt: skip
    x = kapre.MagnitudeToDecibel(ref_value=1.0, amin=1e-5, dynamic_range=80.0, name="clamped")(x)
    x = layers.Dense(3)(layers.GlobalAveragePooling2D()(x))
    with pytest.raises(ZooError, match="up to clamped its levels are .* a stream knows no clip's maximum"):
        foreign.take_apart(keras.Model(inputs, x), RATE_HZ)


def test_a_spectrogram_whose_making_is_not_told_is_refused_with_what_to_tell():
    with pytest.raises(ZooError, match="takes \\(23, 16\\), which is no waveform; .* --mel, of n_fft, window_samples"):
        foreign.take_apart(spectrogram_net(), RATE_HZ)
    with pytest.raises(ZooError, match="--mel: no setting 'hops'"):
        foreign.take_apart(spectrogram_net(), RATE_HZ, mel={"hops": 3})


def test_labels_and_clips_that_do_not_fit_are_refused_and_nothing_is_written(clips, tmp_path):
    waveform_net().save(tmp_path / "net.h5")
    (tmp_path / "few").mkdir()
    with pytest.raises(ZooError, match="there are 2 labels"):
        foreign.export_keras(tmp_path / "net.h5", tmp_path / "out", RATE_HZ, ["a", "b"], clips)
    with pytest.raises(ZooError, match="few: 0 files; give a folder of at least three recordings"):
        foreign.export_keras(tmp_path / "net.h5", tmp_path / "out", RATE_HZ, ["a", "b", "c"], tmp_path / "few")
    assert not (tmp_path / "out").exists()


def test_arrays_that_were_left_out_are_made_on_demand(exported, tmp_path):
    folder, _ = exported["waveform"]
    array = folder / "micro/body.cc"
    before = array.read_bytes()
    array.unlink()
    assert add_arrays(folder) == ["micro/body.cc"]
    assert array.read_bytes() == before and add_arrays(folder) == []
    with pytest.raises(ZooError, match="no micro/\\*.tflite; pass an exported folder"):
        add_arrays(tmp_path)


def run_zoo(*arguments):
    home = Path(__file__).parents[2]
    return subprocess.run([sys.executable, "-m", "zoo", *map(str, arguments)], cwd=home, capture_output=True, text=True)


def test_bad_input_is_one_line_and_exit_code_2_and_writes_nothing(tmp_path):
    (tmp_path / "cut.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(40))
    out = tmp_path / "out"
    for arguments, reason in (
        (("strips", tmp_path / "cut.tflite", "--out", out), "cut.tflite"),
        (("strips", tmp_path / "none.tflite", "--out", out), "No such file"),
        (("export", tmp_path / "none.h5"), "needs --out, --sample-rate-hz, --labels, --clips"),
        (("export", tmp_path), "no micro/*.tflite"),
    ):
        run = run_zoo(*arguments)
        assert run.returncode == 2 and reason in run.stderr and run.stderr.count("\n") == 1, run.stderr
        assert not out.exists()


def test_strips_from_the_command_line_write_a_file_of_the_same_bytes(exported, tmp_path):
    folder, metrics = exported["waveform"]
    out = tmp_path / "strips.tflite"
    run = run_zoo("strips", folder / "model.tflite", "--out", out, "--check", 20)
    assert run.returncode == 0 and "bytes" in run.stdout, run.stderr
    assert out.exists() == ("->" in run.stdout)
