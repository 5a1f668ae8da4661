"""A data set on one page: how its classes are spread over the folds, lengths, levels, and a few clips as they look."""

import numpy as np
from matplotlib import colormaps
from matplotlib.ticker import MaxNLocator

from zoo.plots.recording import Overview, draw_spectrogram
from zoo.plots.style import BLUE, GREY, new_figure, save, short, styled

MOST_CLASSES = 60  # of a bar each; of more, the largest
HISTOGRAM_BINS = 40
FEW_HZ = (200, 1_000, 5_000, 20_000)  # on the axis of a small spectrogram


@styled
def data_set(inspection, path):
    """Clips of each class by fold on the left, lengths, levels and spectrograms (mel axis, in dB) on the right.

    inspection: a `zoo.inspection.Inspection`.
    """
    by_class = sorted(inspection.by_class(), key=lambda row: -len(row[1]))[:MOST_CLASSES]
    examples = inspection.examples
    height = max(4.5, 1.5 + 0.17 * len(by_class))
    figure = new_figure(f"{inspection.name}: {len(inspection.clips):,} clips", 11, height)
    left, right = figure.subfigures(1, 2, width_ratios=(4, 6))
    _balance(left.subplots(), by_class, inspection.fold_names)
    above, below = right.subfigures(2, 1, height_ratios=(2, 3))
    lengths, levels = above.subplots(1, 2)
    _histogram(lengths, [clip.seconds for clip in inspection.clips], "length in s", "clips")
    _histogram(levels, [clip.rms_dbfs for clip in inspection.clips], "level (RMS) in dBFS", "")
    columns = min(3, len(examples))
    axes = np.ravel(below.subplots(-(-len(examples) // columns), columns, squeeze=False))
    for each, example in zip(axes, examples):
        overview = Overview(len(example.waveform) / example.sample_rate_hz, example.sample_rate_hz)
        overview.add(example.waveform[:, None])
        draw_spectrogram(each, overview)
        each.set_title(short(example.label), fontsize=8, loc="left")
        each.set_yticks([hz for hz in FEW_HZ if hz < example.sample_rate_hz / 2])
        each.tick_params(labelsize=7)
    for each in axes[len(examples) :]:
        each.set_visible(False)
    return save(figure, path)


def _balance(axes, by_class, fold_names):
    rows, before = np.arange(len(by_class)), np.zeros(len(by_class))
    shades = colormaps["Blues"](np.linspace(0.35, 0.95, len(fold_names)))
    for shade, (fold, name) in zip(shades, fold_names.items()):
        counts = np.array([sum(clip.fold == fold for clip in clips) for _, clips in by_class])
        axes.barh(rows, counts, left=before, color=shade, height=0.8, label=name)
        before += counts
    axes.set_yticks(rows, [short(label) for label, _ in by_class], fontsize=8)
    axes.set_ylim(len(by_class) - 0.4, -0.6)
    axes.set_xlabel("clips")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="x")
    axes.figure.legend(loc="outside lower center", ncols=min(5, len(fold_names)), fontsize=7)


def _histogram(axes, values, told, counted):
    axes.hist(values, HISTOGRAM_BINS, color=BLUE)
    axes.axvline(np.median(values), color=GREY, linewidth=0.8)
    axes.set_yscale("log")
    axes.set(xlabel=told, ylabel=counted)
