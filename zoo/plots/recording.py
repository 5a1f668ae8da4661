"""A recording of any length on one page: its spectrogram over mel, and below it a lane for each label's events."""

import numpy as np
from matplotlib.ticker import FuncFormatter

from zoo.plots.style import BLUE, GREY, new_figure, save, short, styled

COLUMNS = 1_200
FRAME_S = 0.04
RANGE_DB = 80


class Overview:
    """The spectrogram of a recording that comes in blocks, in at most 1,200 columns: each is the mean of its frames."""

    def __init__(self, seconds, sample_rate_hz):
        self.sample_rate_hz = sample_rate_hz
        self._frame = max(16, round(FRAME_S * sample_rate_hz))
        self._per_column = max(1, int(seconds / FRAME_S / COLUMNS) + 1)  # frames
        self._rest = np.zeros(0, np.float32)
        self._sum, self._frames, self._columns = 0, 0, []

    def add(self, samples):
        """Shape: (n, channels)"""
        waveform = np.concatenate([self._rest, samples.mean(axis=1)])
        whole = len(waveform) // self._frame * self._frame
        self._rest = waveform[whole:]
        window = np.hanning(self._frame)
        for frame in waveform[:whole].reshape(-1, self._frame):
            self._sum = self._sum + np.square(np.abs(np.fft.rfft(frame * window)))
            self._frames += 1
            if self._frames == self._per_column:
                self._columns.append(self._sum / self._frames)
                self._sum, self._frames = 0, 0

    @property
    def seconds(self):
        """How much the columns show."""
        return len(self._columns) * self._per_column * self._frame / self.sample_rate_hz

    def level_db(self):
        """The spectrogram under its own maximum. Shape: (frequencies, columns)"""
        power = np.stack(self._columns, axis=1) if self._columns else np.zeros((self._frame // 2 + 1, 1))
        return 10 * np.log10(np.maximum(power, 1e-12) / max(power.max(), 1e-12))


@styled
def recording_and_events(overview, events, path, title):
    """The spectrogram above (mel, in dB under its maximum), the events below: a lane a label, the darker the surer.

    overview: `Overview`. events: `zoo.runtime.Event`s.
    """
    labels = sorted({event.label for event in events})
    figure = new_figure(title, 10, 3.2 + 0.28 * max(1, len(labels)))
    above, below = figure.subplots(2, sharex=True, height_ratios=(3, 0.3 + 0.28 * max(1, len(labels))))
    draw_spectrogram(above, overview)
    for event in events:
        lane = labels.index(event.label)
        length_s = max(event.offset_s - event.onset_s, overview.seconds / COLUMNS)
        below.barh(lane, length_s, left=event.onset_s, height=0.7, color=BLUE, alpha=max(0.25, min(1, event.score)))
    below.set_yticks(range(len(labels)), map(short, labels))
    below.set_ylim(len(labels) - 0.5 if labels else 0.5, -0.5)
    below.grid(axis="x")
    if not events:
        below.text(0.5, 0.5, "no event", transform=below.transAxes, ha="center", va="center", color=GREY)
    below.set_xlabel("time")
    below.xaxis.set_major_formatter(FuncFormatter(_clock))
    return save(figure, path)


def draw_spectrogram(axes, overview):
    """Draws an `Overview`, its frequencies on a mel axis, in dB under its maximum."""
    level_db = overview.level_db()
    frequency_hz = np.linspace(0, overview.sample_rate_hz / 2, len(level_db) + 1)
    times_s = np.linspace(0, overview.seconds, level_db.shape[1] + 1)
    axes.pcolormesh(times_s, frequency_hz, level_db, cmap="magma", vmin=-RANGE_DB, vmax=0, rasterized=True)
    axes.set_yscale("function", functions=(_mel, _hz))
    axes.set_yticks([hz for hz in (200, 500, 1_000, 2_000, 5_000, 10_000, 20_000) if hz < frequency_hz[-1]])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda hz, _: f"{hz / 1000:g} kHz"))


def _mel(hz):
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def _hz(mel):
    return 700 * (10 ** (np.asarray(mel) / 2595) - 1)


def _clock(seconds, _):
    minutes, seconds = divmod(seconds, 60)
    return f"{int(minutes)}:{seconds:04.1f}".removesuffix(".0")
