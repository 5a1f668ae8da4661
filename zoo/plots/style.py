"""One hand for all pictures: colours, fonts, labels, and how a figure begins and ends."""

import io

from matplotlib import rc_context
from matplotlib.figure import Figure
from PIL import Image

# Okabe and Ito's colours, which stay apart for colour-blind eyes.
BLUE, ORANGE, GREEN, SKY = "#0072B2", "#D55E00", "#009E73", "#56B4E9"
INK, GREY, PALE = "#222222", "#8A8A8A", "#EDEDED"

STYLE = {
    "figure.dpi": 150,
    "savefig.bbox": "tight",
    "figure.constrained_layout.h_pad": 0.08,
    "font.size": 9,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
}
styled = rc_context(STYLE)  # decorates whatever draws
LONGEST_LABEL = 32
ROUND_STEPS = (1, 2, 5, 10)


def told_size(size_bytes):
    return f"{size_bytes / 1e6:.3g} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.3g} kB"


def new_figure(title, width, height, layout="constrained"):
    figure = Figure(figsize=(width, height), layout=layout)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def save(figure, path):
    """Writes a PNG of 256 colours, a third of the bytes: lines and flat areas have no more."""
    drawn = io.BytesIO()
    figure.savefig(drawn)
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def short(name):
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
