"""Every picture that a card or a report shows. Each function writes a PNG of its data and gives its path back.

Figures are made without pyplot, so a notebook's own settings and open figures are left alone.
"""

# ruff: noqa: F401
from zoo.plots.by_layer import memory_over_time, pruning_sensitivity, quantisation_sensitivity, widths_and_saliency
from zoo.plots.data import data_set
from zoo.plots.graphs import graphs_before_and_after, layer_graph
from zoo.plots.open_world import open_set, robustness
from zoo.plots.pruning import pruning_study
from zoo.plots.recording import recording_and_events
from zoo.plots.scores import accuracy_against_size, confusion_matrix, per_class_scores, training_curves
from zoo.plots.search import pareto
from zoo.plots.signs import by_classes
