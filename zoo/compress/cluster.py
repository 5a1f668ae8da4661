"""Clustering: the weights of a kernel share a few values, which TF-MOT's `cluster_weights` trains.

A file that holds places in a table of values takes less flash then (`zoo.export.slim`), and any file packs better.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from zoo.backend import keras

import numpy as np
from tensorflow_model_optimization.clustering import keras as tfmot
from tensorflow_model_optimization.python.core.clustering.keras.cluster_config import GradientAggregation

from zoo.compress import check_backbone, copy_of
from zoo.errors import ZooError

layers = keras.layers

CLUSTERED = (layers.Conv1D, layers.Conv2D, layers.Dense)  # by exact type: TF-MOT leaves depthwise kernels as they are
WORTH = 8  # weights for each value of the table: a smaller kernel wins nothing


@dataclass(frozen=True)
class Cluster:
    """Step: the backbone, each of its kernels with `clusters` different weights at most, values and places fine-tuned.

    clusters: 2 to 128; of 16 a place takes 4 bits. plan: of the fine-tuning. Kernels of fewer than WORTH weights for
    each value stay as they are.

    Source: Han et al. 2016, "Deep Compression", section 3; TF-MOT's weight clustering.
    """

    clusters: int
    plan: Any

    lowers: ClassVar = ("gzip_bytes",)  # in the float file a shared weight takes as many bytes as another

    def __post_init__(self):
        if not 2 <= self.clusters <= 128:
            raise ZooError(f"Cluster: {self.clusters} values; a table of 2 to 128 has places of 1 to 7 bits")

    def __call__(self, backbone, finetune):
        """A new backbone. Raises: ZooError where it has no kernel that is worth a table."""
        check_backbone(backbone)
        clustered = [
            layer.name
            for layer in backbone.layers
            if type(layer) in CLUSTERED and layer.kernel.shape.num_elements() >= WORTH * self.clusters
        ]
        if not clustered:
            raise ZooError(f"{backbone.name}: no kernel has {WORTH * self.clusters} weights; take fewer clusters")

        def wrap(layer):
            if layer.name not in clustered:
                return layer
            # By their sum the gradients of a value's hundreds of weights would throw it about.
            return tfmot.cluster_weights(
                layer,
                self.clusters,
                cluster_centroids_init=tfmot.CentroidInitialization.KMEANS_PLUS_PLUS,
                cluster_gradient_aggregation=GradientAggregation.AVG,
            )

        wrapped = keras.models.clone_model(copy_of(backbone), clone_function=wrap)
        finetune(wrapped, self.plan, "fine_tune")
        shared = copy_of(tfmot.strip_clustering(wrapped))
        for name in clustered:
            values = len(np.unique(shared.get_layer(name).kernel))
            if values > self.clusters:
                raise RuntimeError(f"{backbone.name}: {name} has {values} different weights, not {self.clusters}")
        return shared

    def quick(self):
        """The same step over one epoch."""
        return replace(self, plan=self.plan.with_epochs(1))
