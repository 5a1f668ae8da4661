"""A trained model becomes the files that users take: Keras, TFLite, microcontroller."""
