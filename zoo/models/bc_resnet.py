"""BC-ResNet: residual blocks that filter over time what is left of a spectrogram without its frequencies.

Each block convolves over frequency, averages the frequencies away, convolves over time, and adds the result to every
frequency again: the broadcast residual.

Source: Kim et al. 2021, "Broadcasted Residual Learning for Efficient Keyword Spotting", table 1; bcresnet.py and
subspectralnorm.py of github.com/Qualcomm-AI-research/bcresnet.
"""

from zoo.backend import keras

layers = keras.layers

# Of each stage: width in multiples of 8 tau, and whether its first block halves the frequencies. Dilation over time
# doubles from stage to stage.
STAGES = ((1.0, False), (1.5, True), (2.0, True), (2.5, False))
BLOCKS = (2, 2, 4, 4)
SUB_BANDS = 5  # each with a norm of its own


def build(input_shape, num_classes, tau=1, blocks=BLOCKS):
    """Functional model (frames, mels, 1) -> softmax scores (num_classes,), with 8 `tau` channels to begin with.

    blocks: how many in each stage.

    Raises: ValueError where the mels, halved three times, are not a multiple of the sub-bands.
    """
    if input_shape[1] % (8 * SUB_BANDS):
        raise ValueError(f"bc_resnet: needs a multiple of {8 * SUB_BANDS} mels for its sub-bands; got {input_shape[1]}")
    base = int(8 * tau)

    inputs = keras.Input(input_shape, name="input")
    x = _convolution(inputs, "stem", 2 * base, 5, strides=(1, 2), padding="same")
    x = _norm_and_relu(x, "stem")
    for stage, ((width, halves), number) in enumerate(zip(STAGES, blocks, strict=True), start=1):
        for block in range(1, number + 1):
            is_first = block == 1
            name = f"stage{stage}_block{block}"
            x = _block(x, name, int(width * base), 2 ** (stage - 1), is_first, is_first and halves)
    x = layers.ZeroPadding2D((2, 0), name="head_padding")(x)  # over time the size stays
    x = layers.DepthwiseConv2D(5, use_bias=False, name="head_depthwise")(x)
    x = _norm_and_relu(_convolution(x, "head_pointwise", 4 * base), "head")
    x = layers.GlobalAveragePooling2D(name="average_pool")(x)
    x = layers.Dense(num_classes, name="dense")(x)
    scores = layers.Softmax(name="scores")(x)
    return keras.Model(inputs, scores, name="bc_resnet")


def _block(x, name, width, dilation, is_transition, halves):
    """ReLU(x + f(x) + g(average over frequencies of f(x))); a transition changes the width, and leaves x out."""
    terms = [] if is_transition else [x]
    if is_transition:
        x = _norm_and_relu(_convolution(x, f"{name}_transition", width), f"{name}_transition")
    x = layers.DepthwiseConv2D((1, 3), padding="same", use_bias=False, name=f"{name}_over_frequency")(x)
    if halves:  # TensorFlow's depthwise convolution has one stride for both axes
        x = layers.MaxPooling2D(1, strides=(1, 2), name=f"{name}_halved")(x)
    x = _sub_spectral_norm(x, f"{name}_over_frequency")
    terms.append(x)
    x = layers.AveragePooling2D((1, x.shape[2]), name=f"{name}_mean")(x)
    x = layers.DepthwiseConv2D(
        (3, 1), padding="same", dilation_rate=(dilation, 1), use_bias=False, name=f"{name}_over_time"
    )(x)
    x = layers.Activation("swish", name=f"{name}_swish")(_norm(x, f"{name}_over_time"))
    x = _convolution(x, f"{name}_pointwise", width)
    x = layers.SpatialDropout2D(0.1, name=f"{name}_dropout")(x)
    x = layers.Add(name=f"{name}_add")([*terms, x])
    return layers.ReLU(name=f"{name}_relu")(x)


def _sub_spectral_norm(x, name):
    """Batch normalisation of each channel in each sub-band: the pairs become channels, and frequencies again."""
    frames, bands, channels = x.shape[1:]
    rows = bands // SUB_BANDS
    if rows > 1:
        x = layers.Reshape((frames, SUB_BANDS, rows, channels), name=f"{name}_split")(x)
        x = layers.Permute((1, 3, 2, 4), name=f"{name}_swap")(x)
    x = layers.Reshape((frames, rows, SUB_BANDS * channels), name=f"{name}_pairs")(x)
    x = _norm(x, name)
    if rows > 1:
        x = layers.Reshape((frames, rows, SUB_BANDS, channels), name=f"{name}_unpair")(x)
        x = layers.Permute((1, 3, 2, 4), name=f"{name}_swap_back")(x)
    return layers.Reshape((frames, bands, channels), name=f"{name}_bands")(x)


def _convolution(x, name, filters, kernel_size=1, **kwargs):
    return layers.Conv2D(filters, kernel_size, use_bias=False, kernel_initializer="he_normal", name=name, **kwargs)(x)


def _norm(x, name):
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_norm")(x)


def _norm_and_relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(_norm(x, name))
