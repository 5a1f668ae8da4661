"""For the device: a model's file hears recordings and microphones. Needs numpy and LiteRT, no TensorFlow."""

from zoo.runtime.interpreter import LiteRT

__all__ = ["LiteRT"]
