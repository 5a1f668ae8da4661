"""A stream against the same front end and body run on whole windows: not a byte may differ, however it is fed."""

import numpy as np
import pytest

from zoo.errors import ZooError
from zoo.export import flatbuffer, strips
from zoo.export.stream import Stream
from zoo.export.tflm import TFLM
from zoo.runtime.interpreter import LiteRT, quantise

STRIDE_SAMPLES, FIELD_SAMPLES, WINDOW = 200, 213, 10


def open_tflm(files, **kwargs):
    return Stream(TFLM(files["frontend"]), TFLM(files["body"]), STRIDE_SAMPLES, **kwargs)


def pcm_of(sounds):
    return quantise(sounds, 1 / 32768, 0, np.int16)


@pytest.fixture(scope="module")
def whole_front(files):
    """The 16-bit front on a whole window, in TFLM."""
    seam = LiteRT(files["body"]).input
    return TFLM(flatbuffer.append_quantize(files["front_int16x8"], seam.scale, seam.zero_point))


@pytest.mark.parametrize("chunking", ["one by one", "all at once", "random"])
def test_any_chunking_gives_the_bytes_of_whole_windows(files, sounds, whole_front, chunking):
    pcm = pcm_of(sounds[:4]).ravel()[:4_500]
    every = 3
    windows = np.stack([pcm[start : start + 2013] for start in range(0, len(pcm) - 2013 + 1, every * STRIDE_SAMPLES)])
    exact = TFLM(files["body"]).run_raw(whole_front.run_raw(windows))
    assert len(np.unique(exact, axis=0)) > 1  # they say something

    rng = np.random.default_rng(0)
    sizes = {"one by one": [1] * len(pcm), "all at once": [len(pcm)], "random": rng.integers(0, 500, 100)}[chunking]
    stream = open_tflm(files, columns_per_decision=every)
    found = np.concatenate([stream.feed(chunk) for chunk in np.split(pcm, np.cumsum(sizes)) if len(chunk)])
    np.testing.assert_array_equal(found, exact)


def test_strips_in_the_body_change_no_byte_of_a_stream(files, sounds):
    stripped = {**files, "body": strips.in_strips(files["body"]).model}
    windows = open_tflm(files).windows_of(sounds)
    np.testing.assert_array_equal(open_tflm(stripped).windows_of(sounds), windows)
    np.testing.assert_array_equal(TFLM(stripped["body"]).run_raw(windows), TFLM(files["body"]).run_raw(windows))


def test_every_clip_of_real_sound_gives_the_bytes_of_whole_windows(files, esc10_clips, whole_front):
    stream = open_tflm(files)
    for i in range(len(esc10_clips)):
        clip = esc10_clips.waveform(i)
        crops = clip[: len(clip) // 2013 * 2013].reshape(-1, 2013)[:8]
        windows = stream.windows_of(crops)
        np.testing.assert_array_equal(windows, whole_front.run_raw(pcm_of(crops)))


def test_no_column_is_made_twice_and_nothing_is_heard_twice_but_the_halo_over_a_minute(files):
    class Counted:
        def __init__(self, runner):
            self.runner, self.calls = runner, 0
            self.input, self.output, self.input_shape = runner.input, runner.output, runner.input_shape

        def run_raw(self, x):
            self.calls += len(x)
            return self.runner.run_raw(x)

    frontend, body = Counted(TFLM(files["frontend"])), Counted(TFLM(files["body"]))
    body.kernels = "tflm"
    stream = Stream(frontend, body, STRIDE_SAMPLES, columns_per_decision=25)
    samples = 60 * 20_000
    sound = np.random.default_rng(0).integers(-3000, 3000, samples, np.int16)
    decisions = sum(len(stream.feed(chunk)) for chunk in np.array_split(sound, 997))
    columns = 1 + (samples - FIELD_SAMPLES) // STRIDE_SAMPLES
    assert frontend.calls == stream.columns == columns
    assert body.calls == decisions == 1 + (columns - WINDOW) // 25
    halo = FIELD_SAMPLES - STRIDE_SAMPLES  # heard by two columns each
    assert frontend.calls * FIELD_SAMPLES <= samples + columns * halo


def test_nothing_but_the_window_and_the_next_columns_samples_is_held(files):
    stream = open_tflm(files)
    for _ in range(40):
        stream.feed(np.zeros(1_111, np.int16))
        assert len(stream._held) < FIELD_SAMPLES and stream._ring.shape == (WINDOW, 1, 8)


def test_a_stream_starts_anew_after_reset(files, sounds):
    pcm = pcm_of(sounds[0])
    stream = open_tflm(files)
    first = stream.feed(pcm)
    stream.feed(pcm_of(sounds[1])[:777])
    stream.reset()
    np.testing.assert_array_equal(stream.feed(pcm), first)


def test_stream_gives_the_same_bytes_in_tflm_and_in_reference_kernels(files, sounds, run_in_tensorflow):
    device = open_tflm(files)
    host = Stream(LiteRT(files["frontend"], "reference"), LiteRT(files["body"], "reference"), STRIDE_SAMPLES)
    windows = device.windows_of(sounds)
    np.testing.assert_array_equal(windows, host.windows_of(sounds))
    np.testing.assert_array_equal(device.body.run_raw(windows), run_in_tensorflow(files["body"], windows))
    # LiteRT rounds the dense layer otherwise (conftest): a step of its output, through softmax.
    np.testing.assert_allclose(device.run(sounds), host.run(sounds), atol=0.02)
    assert (device.kernels, host.kernels) == ("tflm", "litert-reference")


def test_a_waveform_that_makes_other_columns_than_the_body_takes_is_refused(files):
    stream = open_tflm(files)
    assert stream.run(np.zeros((1, 2013 + 199), np.float32)).shape == (1, 10)
    for samples in (2012, 2213):
        with pytest.raises(ZooError, match=f"10 columns take waveforms of 2013 samples; got {samples}"):
            stream.run(np.zeros((1, samples), np.float32))


def test_a_front_end_and_a_body_that_do_not_meet_are_refused(files):
    with pytest.raises(ZooError, match="the front end gives columns as"):
        Stream(TFLM(files["front_int16x8"]), TFLM(files["body"]), STRIDE_SAMPLES)
