"""For the device: a model hears recordings and microphones. Needs numpy and LiteRT, no TensorFlow.

classifier = Classifier("exported/micro_acdnet-esc10")
classifier.classify(waveform, sample_rate_hz)  # {"dog": 0.97, ...}
"""

from zoo.runtime.classifier import Classifier
from zoo.runtime.events import Detection, Event

__all__ = ["Classifier", "Detection", "Event"]
