"""Models that this project did not build become folders, and what cannot be done with them is said by layer."""

import json
import shutil

from zoo.backend import keras

import kapre
import numpy as np
import pytest
import soundfile

from zoo.__main__ import main
from zoo.errors import ZooError
from zoo.export import foreign, keras_files, seam
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


def save_h5_alone(model, folder):
    """As where Keras 3 does not open the .h5: its process takes longer than all the rest."""
    keras_files.save_h5(model, folder / "model.h5")
    raise ZooError(f"{folder}/model.h5: Keras 3 could not open it")


@pytest.fixture(scope="module")
def exported(clips, tmp_path_factory):
    """{kind: (folder, metrics)} of a waveform's model and a spectrogram's."""
    home, made = tmp_path_factory.mktemp("exported"), {}
    for kind, net, mel in (("waveform", waveform_net(), None), ("spectrogram", spectrogram_net(), MEL)):
        net.save(home / f"{kind}.h5")
        with pytest.MonkeyPatch.context() as patch:
            if kind == "spectrogram":
                patch.setattr(keras_files, "save", save_h5_alone)
            made[kind] = (
                home / kind,
                foreign.export_keras(home / f"{kind}.h5", home / kind, RATE_HZ, ["a", "b", "c"], clips, mel=mel),
            )
    return made


@pytest.mark.parametrize("kind", ["waveform", "spectrogram"])
def test_a_folder_holds_what_the_zoos_own_hold_and_every_file_decides_as_keras(exported, kind):
    folder, metrics = exported[kind]
    front_end = {"waveform": "micro/frontend.tflite", "spectrogram": "micro/frontend.c"}[kind]
    for name in ("model.h5", "model.tflite", "model_int8.tflite", "labels.txt", "card.md", "SHA256SUMS",
                 "micro/body.tflite", "micro/body.cc", "micro/stream.h", "micro/main.cc", front_end):  # fmt: skip
        assert (folder / name).is_file(), name
    assert (folder / "model.keras").exists() == (kind == "waveform") == (not metrics["notes"])
    assert json.loads((folder / "metrics.json").read_text()) == json.loads(json.dumps(metrics))
    assert metrics["judging_crops"] == 12 and metrics["files"][front_end]["arena_bytes"] > 0
    # Of an untrained net int8 may turn a near tie; a wrong scale anywhere turns most decisions.
    assert all(row["changed_crops"] <= 3 for row in metrics["files"].values()), metrics["files"]
    card = " ".join((folder / "card.md").read_text().split())
    assert f"{metrics['stream']['total_bytes']:,} bytes" in card
    assert ("There is no model.keras: model.h5: Keras 3 could not open it" in card) == (kind == "spectrogram")


@pytest.mark.parametrize("kind", ["waveform", "spectrogram"])
def test_float_files_of_a_folder_score_as_the_model_that_was_given(exported, kind):
    folder, metrics = exported[kind]
    sounds = np.random.default_rng(1).normal(0, 0.1, (3, metrics["num_samples"])).astype(np.float32)
    if kind == "waveform":
        expected = waveform_net().predict(sounds[..., None], verbose=0)
    else:
        log_mel = LogMel(metrics["num_samples"], RATE_HZ, num_mels=16, **MEL).build().predict(sounds, verbose=0)
        expected = spectrogram_net().predict(log_mel[..., 0], verbose=0)
    for opened in open_folder(folder):
        if not opened.arenas.keys() & {"model_int8.tflite"} and "tflm" not in opened.kernels:
            np.testing.assert_allclose(opened.run(sounds), expected, atol=1e-4)  # float32, other order of sums


def over(x, *more):
    """A classifier: what x is, these layers on top, a mean and three scores."""
    inputs = x
    for layer in more:
        x = layer(x)
    mean = layers.GlobalAveragePooling1D if len(x.shape) == 3 else layers.GlobalAveragePooling2D
    return keras.Model(inputs, layers.Dense(3)(mean(name="mean")(x)))


def test_the_seam_is_found_where_nothing_is_computed_twice():
    parts = foreign.take_apart(waveform_net(), RATE_HZ)
    assert parts.seam_layer == "listen_pool"  # "think" would need its neighbours' columns again
    assert "every 40 samples" in parts.note


def test_a_seam_whose_columns_come_more_seldom_than_decisions_is_not_taken():
    """Up to the last pool nothing is computed twice, but it hears all there is: no stream would be left."""
    net = over(keras.Input((4_000, 1)), layers.Conv1D(4, 32, 4, name="conv"), layers.MaxPooling1D(9, name="pool"),
               layers.MaxPooling1D(110, name="all"))  # fmt: skip
    assert foreign.take_apart(net, RATE_HZ).seam_layer == "pool"


def test_the_seam_may_be_named():
    parts = foreign.take_apart(waveform_net(), RATE_HZ, seam_layer="think_pool")
    assert parts.seam_layer == "think_pool" and "every 80 samples" in parts.note
    with pytest.raises(ZooError, match="no layer 'none'; its layers are audio, listen, listen_pool"):
        foreign.take_apart(waveform_net(), RATE_HZ, seam_layer="none")
    with pytest.raises(ZooError, match="scores is no seam: mean: GlobalAveragePooling1D"):
        foreign.take_apart(waveform_net(), RATE_HZ, seam_layer="scores")
    with pytest.raises(ZooError, match="leave out --seam"):
        foreign.take_apart(spectrogram_net(), RATE_HZ, seam_layer="conv", mel=MEL)


LISTEN = {"filters": 4, "kernel_size": 32, "strides": 40}


@pytest.mark.parametrize(
    "first, reason",
    [
        ([layers.Reshape((100, 40), name="framed")], "framed: Reshape before the seam does not keep time"),
        (
            [layers.BatchNormalization(axis=1, name="norm")],
            "norm: BatchNormalization before the seam does not keep time",
        ),
        ([layers.Conv1D(4, 3, padding="causal", name="late")], "late: padding 'causal'"),
        ([layers.Conv1D(4, 4, 16, name="few")], "few leaves out samples: its columns hear 4 of 16"),
        ([layers.Dense(4, name="dense")], "dense: Dense before the seam"),
    ],
)
def test_what_no_stream_can_is_told_by_layer_and_leaves_the_one_call(first, reason):
    parts = foreign.take_apart(over(keras.Input((4_000, 1)), *first, layers.Conv1D(**LISTEN)), RATE_HZ)
    assert parts.seam_layer is None and f"none, so no stream: {reason}" in parts.note


def test_branches_before_the_seam_are_told():
    inputs = keras.Input((4_000, 1), name="sound")
    ends = [layers.Conv1D(4, 64, 32, name=name)(inputs) for name in "ab"]
    mean = layers.GlobalAveragePooling1D()(layers.Add()(ends))
    assert "behind its input it branches" in foreign.take_apart(keras.Model(inputs, layers.Dense(3)(mean)), 4_000).note


@pytest.mark.parametrize("first", [layers.Rescaling(2.0, 0.1), layers.Normalization(mean=[0.1], variance=[0.3])])
def test_a_scale_before_the_first_convolution_belongs_to_the_front(first):
    net = over(keras.Input((4_000, 1)), first, layers.Conv1D(4, 48, 40, name="listen"))
    parts = foreign.take_apart(net, RATE_HZ)
    assert parts.seam_layer == "listen"
    front = keras.Model(net.input, net.get_layer("listen").output)
    sounds = np.random.default_rng(0).normal(0, 0.3, (2, 4_000, 1)).astype(np.float32)
    # Column 7 of the whole, from what it hears alone; float32, other order of sums.
    column = seam.on_samples(front, 48).predict(sounds[:, 280:328], verbose=0)
    np.testing.assert_allclose(column[:, 0], front.predict(sounds, verbose=0)[:, 7], atol=1e-5)


def test_a_model_that_pads_its_waveform_is_no_stream_and_has_the_one_call(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(keras_files, "save", save_h5_alone)
    waveform_net("same").save(tmp_path / "padded.h5")
    metrics = foreign.export_keras(tmp_path / "padded.h5", tmp_path / "out", RATE_HZ, ["a", "b", "c"], clips)
    assert metrics["seam"].startswith("none, so no stream: listen: padding 'same'")
    assert metrics["stream"] is None
    assert sorted(path.name for path in (tmp_path / "out/micro").iterdir()) == ["model.cc", "model.h", "model.tflite"]


def test_parameters_on_the_card_are_all_of_them_frozen_ones_too(exported):
    _, metrics = exported["waveform"]
    assert metrics["parameters"] == waveform_net().count_params() == 8 * 33 + 16 * 25 + 3 * 17


def test_one_score_decides_above_the_middle_of_its_range():
    shares, logits = np.float32([[0.4], [0.6]]), np.float32([[-0.1], [3.0]])
    assert list(foreign._decisions(shares, shares)) == list(foreign._decisions(logits, logits)) == [False, True]
    assert list(foreign._decisions(shares, logits)) == [True, True]  # what the exact scores are like counts


def mel_net(reference=None, dynamic_range=80.0, rate_hz=RATE_HZ, padded=False):
    """Over Kapre's own layers, as its get_melspectrogram_layer has them, with what stands there by default."""
    x = inputs = keras.Input((4_000, 1))
    x = kapre.STFT(n_fft=256, win_length=200, hop_length=100, pad_end=padded)(x)
    filters = {"sample_rate": rate_hz, "n_freq": 129, "n_mels": 16, "f_min": 0.0, "f_max": None}
    x = kapre.ApplyFilterbank("mel", filters, name="filters")(kapre.Magnitude()(x))
    x = kapre.MagnitudeToDecibel(reference or 1.0, 1e-5, dynamic_range, name="levels")(x)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def test_kapres_layers_are_taken_for_the_spec_that_they_are():
    spec = LogMel(4_000, RATE_HZ, num_mels=16, **MEL)
    mel = spec.build()
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(mel.output))
    parts = foreign.take_apart(keras.Model(mel.input, layers.Dense(3)(x)), RATE_HZ)
    assert parts.front_end == spec and parts.seam_layer is None
    assert parts.backbone.input_shape == (None, 39, 16, 1)


@pytest.mark.parametrize("reference", [1.0, 1e-5])
def test_levels_over_another_reference_are_those_over_the_floor_and_an_offset(reference):
    net = mel_net(reference)
    parts = foreign.take_apart(net, RATE_HZ)
    assert (parts.front_end.floor, parts.front_end.high_hz) == (1e-5, 2_000)
    sounds = np.random.default_rng(0).normal(0, 0.1, (2, 4_000)).astype(np.float32)
    scores = parts.backbone.predict(parts.front_end.build().predict(sounds, verbose=0), verbose=0)
    # Levels of up to 60 dB in float32, and sums of them.
    np.testing.assert_allclose(scores, net.predict(sounds[..., None], verbose=0), atol=1e-3)


@pytest.mark.parametrize(
    "net, reason",
    [
        ({"dynamic_range": 40.0}, "levels cuts levels at 40 dB under the loudest of each clip"),
        ({"rate_hz": 8_000}, "filters was made for 8000 Hz, not for 4000"),
        ({"padded": True}, "up to levels its levels .* a stream knows no padding"),
    ],
)
def test_what_a_stream_cannot_know_of_kapres_layers_is_refused_by_layer(net, reason):
    with pytest.raises(ZooError, match=reason):
        foreign.take_apart(mel_net(**net), RATE_HZ)


@pytest.mark.parametrize("more", [[], [kapre.MagnitudeToDecibel(name="levels")]])
def test_a_spectrum_without_bands_or_levels_is_no_log_mel(more):
    spectrum = [kapre.STFT(n_fft=256, name="stft"), kapre.Magnitude(name="magnitude"), *more]
    net = over(keras.Input((4_000, 1)), *spectrum, layers.Conv2D(4, 3))
    with pytest.raises(ZooError, match=f"up to {spectrum[-1].name} it makes no log-mel"):
        foreign.take_apart(net, RATE_HZ)


def test_a_model_that_hears_the_waveform_beside_its_log_mel_is_refused():
    mel = LogMel(4_000, RATE_HZ, num_mels=16, **MEL).build()
    ends = [layers.Flatten()(mel.output), mel.input]
    with pytest.raises(ZooError, match="behind decibel it still hears something else"):
        foreign.take_apart(keras.Model(mel.input, layers.Dense(3)(layers.Concatenate()(ends))), RATE_HZ)


def test_told_settings_make_the_levels_that_librosa_makes():
    """power_to_db over 1, which is its default: told as reference."""
    librosa = pytest.importorskip("librosa")
    net = spectrogram_net()
    parts = foreign.take_apart(net, RATE_HZ, mel={**MEL, "reference": "1.0"})
    (sound,) = sounds = np.random.default_rng(0).normal(0, 0.1, (1, parts.front_end.num_samples)).astype(np.float32)
    window = np.pad(np.hanning(201)[:200], (0, 56))  # librosa centres a short window in the FFT
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (0, 56)), 256)[::100]
    filters = librosa.filters.mel(sr=RATE_HZ, n_fft=256, n_mels=16, fmax=2_000)
    mel = filters @ (np.abs(np.fft.rfft(frames * window)) ** 2).T
    levels = librosa.power_to_db(mel, ref=1.0, amin=1e-6, top_db=None).T
    scores = parts.backbone.predict(parts.front_end.build().predict(sounds, verbose=0), verbose=0)
    np.testing.assert_allclose(scores, net.predict(levels[None], verbose=0), atol=1e-3)  # float32 levels of 60 dB


def test_a_spectrogram_whose_making_is_not_told_is_refused_with_what_to_tell():
    with pytest.raises(ZooError, match="takes \\(23, 16\\), which is no waveform; .* --mel, of n_fft, window_samples"):
        foreign.take_apart(spectrogram_net(), RATE_HZ)
    with pytest.raises(ZooError, match="takes a waveform, so leave out --mel"):
        foreign.take_apart(waveform_net(), RATE_HZ, mel=MEL)


@pytest.mark.parametrize(
    "told, reason",
    [
        ({"hops": 3}, "--mel: no setting 'hops'"),
        ({"n_fft": "a lot"}, "--mel: n_fft is a whole number; got 'a lot'"),
        ({"n_fft": "256.5"}, "--mel: n_fft is a whole number; got '256.5'"),
        ({"n_fft": 300}, "n_fft that is a power of two"),
        ({"hop_samples": 0}, "hop_samples from 1 to the window's 200; got 0"),
        ({"hop_samples": 201}, "hop_samples from 1 to the window's 200; got 201"),
        ({"floor": 0}, "levels need a floor above 0"),
        ({"floor": "nan"}, "levels need a floor above 0"),
        ({"high_hz": 2_001}, "do not lie between 0 and half of 4000 Hz"),
        ({"log": "dezibel"}, "--mel: LogMel: .* log is decibel or natural"),
        ({"reference": 0}, "--mel: reference is what has the level 0, above 0"),
        ({"floor": None}, "--mel: lacks floor"),
    ],
)
def test_settings_that_make_no_log_mel_are_refused_by_name(told, reason):
    settings = {name: value for name, value in {**MEL, **told}.items() if value is not None}
    with pytest.raises(ZooError, match=reason):
        foreign.take_apart(spectrogram_net(), RATE_HZ, mel=settings)


def test_labels_and_clips_that_do_not_fit_are_refused_and_nothing_is_written(clips, tmp_path):
    waveform_net().save(tmp_path / "net.h5")

    def refusal(labels=("a", "b", "c"), clips=clips, rate_hz=RATE_HZ):
        with pytest.raises(ZooError) as refused:
            foreign.export_keras(tmp_path / "net.h5", tmp_path / "out", rate_hz, list(labels), clips)
        return str(refused.value)

    for folder in ("few", "broken", "silent"):
        (tmp_path / folder).mkdir()
    for i in range(3):
        soundfile.write(tmp_path / f"silent/{i}.wav", np.zeros(4_000), RATE_HZ)
        shutil.copy(tmp_path / f"silent/{i}.wav", tmp_path / "broken")
    (tmp_path / "broken/3.wav").write_text("no sound")
    assert "there are 2 labels" in refusal(labels="ab")
    assert "few: 0 files; give a folder of at least three recordings" in refusal(clips=tmp_path / "few")
    broken = refusal(clips=tmp_path / "broken")
    assert "broken/3.wav: does not decode" in broken and "--skip-bad" not in broken  # which is none of its flags
    assert "silent: holds silence" in refusal(clips=tmp_path / "silent")
    assert "16 Hz is none of sound; pass it in Hz" in refusal(rate_hz=16)
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


def test_bad_input_is_one_line_and_exit_code_2_and_writes_nothing(tmp_path, refused):
    (tmp_path / "cut.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(40))
    out = tmp_path / "out"
    for arguments, reason in (
        (("strips", tmp_path / "cut.tflite", "--out", out), "cut.tflite"),
        (("strips", tmp_path / "none.tflite", "--out", out), "none.tflite: No such file"),
        (("export", tmp_path / "none.h5"), "needs --out, --sample-rate-hz, --labels, --clips"),
        (("export", tmp_path), "no micro/*.tflite"),
    ):
        assert reason in refused(main, *arguments)
        assert not out.exists()


def test_labels_that_cannot_be_read_as_such_are_refused(tmp_path, refused):
    for content, reason in (("Geräusch\n".encode("latin-1"), "is no UTF-8"), (b"a\n\nb\n", "line 2 is empty")):
        (tmp_path / "labels").write_bytes(content)
        flags = ("--out", tmp_path / "out", "--sample-rate-hz", 4_000, "--labels", tmp_path / "labels", "--clips", "c")
        assert reason in refused(main, "export", tmp_path / "none.h5", *flags)


def test_labels_keep_their_letters_without_mark_or_empty_end(tmp_path):
    (tmp_path / "labels").write_bytes(b"\xef\xbb\xbf" + 'Geräusch\r\na"; #error\n\n'.encode())
    from zoo.command_line import read_labels

    assert read_labels(tmp_path / "labels") == ["Geräusch", 'a"; #error']


def test_overwrite_replaces_an_exported_folder_and_no_other(tmp_path, refused):
    (tmp_path / "holiday.jpg").write_text("precious")
    flags = ("--sample-rate-hz", 4_000, "--labels", "labels", "--clips", "clips", "--overwrite")
    assert "to replace an exported folder" in refused(main, "export", "none.h5", "--out", tmp_path, *flags)
    assert (tmp_path / "holiday.jpg").exists()


def test_strips_from_the_command_line_write_a_file_of_the_same_bytes(exported, tmp_path, capsys):
    folder, _ = exported["waveform"]
    out = tmp_path / "strips.tflite"
    main(["strips", str(folder / "model.tflite"), "--out", str(out), "--check", "20"])
    told = capsys.readouterr().out
    assert "bytes" in told and out.exists() == ("->" in told)
