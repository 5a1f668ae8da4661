"""One hand for all pictures: colours, fonts, labels, and how a figure begins and ends."""

from matplotlib import rc_context
from matplotlib.figure import Figure

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
    figure.savefig(path)
    return path


def short(name):
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"
