"""Counts against sums by hand, and against the figures that the ACDNet paper prints."""

from zoo.backend import keras

import pytest

from zoo.errors import ZooError
from zoo.measure.counts import graph_of, layer_table, macs, paper_flops, trainable_parameters

layers = keras.layers


def model_of(input_shape, *stack):
    return keras.Sequential([keras.Input(input_shape), *stack])


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.Conv2D(5, (3, 2), padding="valid"), (8 * 9) * (3 * 2) * 4 * 5),
        (layers.Conv2D(5, 3, padding="same", strides=2), (5 * 5) * (3 * 3) * 4 * 5),
        (layers.Conv2D(6, 3, padding="same", groups=2), (10 * 10) * (3 * 3) * 2 * 6),
        (layers.Conv2D(6, 3, dilation_rate=2), (6 * 6) * (3 * 3) * 4 * 6),
        (layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2), (4 * 4) * (3 * 3) * 4 * 2),
        (layers.SeparableConv2D(7, 3, padding="same"), (10 * 10) * (3 * 3 * 4 + 4 * 7)),
        (layers.Dense(7), (10 * 10) * 4 * 7),
        (layers.MaxPooling2D(2), 0),
        (layers.BatchNormalization(), 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_multiplies_are_those_counted_by_hand(layer, expected):
    assert macs(model_of((10, 10, 4), layer)) == expected


def test_conv1d_is_counted():
    assert macs(model_of((100, 3), layers.Conv1D(8, 9, strides=4))) == 23 * 9 * 3 * 8


@pytest.mark.parametrize("all_steps", [False, True])
def test_an_lstm_multiplies_by_eight_matrices_at_each_step_whatever_it_gives_back(all_steps):
    memory = layers.LSTM(3, return_sequences=all_steps)
    assert macs(model_of((10, 4), memory)) == 10 * 4 * (4 * 3 + 3 * 3)
    assert macs(model_of((10, 4), layers.Bidirectional(memory))) == 2 * 10 * 4 * (4 * 3 + 3 * 3)


def test_a_kind_that_cannot_be_counted_is_refused_by_name():
    with pytest.raises(ZooError, match="memory: cannot count the multiplies of a GRU"):
        macs(model_of((10, 4), layers.GRU(3, name="memory")))
    with pytest.raises(ZooError, match="Conv2DTranspose"):  # a subclass of Conv2D
        macs(model_of((10, 10, 4), layers.Conv2DTranspose(3, 3)))


def test_an_open_length_is_refused():
    with pytest.raises(ZooError, match="build the model for an input of fixed length"):
        macs(model_of((None, 3), layers.Conv1D(8, 9)))


def acdnet(widths, num_classes, pools):
    """The ACDNet paper's table 2 (or 11), written out by hand: see `pools` for the maximum pools."""
    first, second, *others, last = widths
    x = inputs = keras.Input((30_225, 1, 1))

    def convolution(x, filters, *args, **kwargs):
        x = layers.Conv2D(filters, *args, use_bias=False, **kwargs)(x)
        return layers.ReLU()(layers.BatchNormalization()(x))

    x = convolution(x, first, (9, 1), (2, 1))
    x = convolution(x, second, (5, 1), (2, 1))
    x = layers.MaxPooling2D((50, 1))(x)
    x = layers.Permute((3, 1, 2))(x)
    for filters, pool in zip(others, pools):
        x = convolution(x, filters, 3, padding="same")
        x = layers.MaxPooling2D(pool)(x) if pool else x
    x = convolution(layers.Dropout(0.2)(x), last, 1)
    x = layers.Flatten()(layers.AveragePooling2D(x.shape[1:3])(x))
    return keras.Model(inputs, layers.Softmax()(layers.Dense(num_classes)(x)))


def test_acdnets_counts_are_the_papers():
    model = acdnet((8, 64, 32, 64, 64, 128, 128, 256, 256, 512, 512, 50), 50, (2, 0, 2, 0, 2, 0, 2, 0, 2))
    assert trainable_parameters(model) == 4_735_378
    assert macs(model) == 541_869_356
    assert paper_flops(model) == 544_422_040


def test_micro_acdnets_counts_are_the_papers():
    pools = (2, 0, 2, 0, 2, 0, 2, 0, (1, 2))  # rows 20, 10, 5, 2, 1, 1
    model = acdnet((7, 20, 10, 14, 22, 31, 35, 41, 51, 67, 69, 48), 50, pools)
    assert trainable_parameters(model) == 131_474
    assert macs(model) == 14_286_134
    assert paper_flops(model) == 14_822_095


def test_activations_inside_layers_count_for_the_paper_as_layers_of_their_own():
    pool = layers.MaxPooling1D(2)
    inside = model_of((10, 4), layers.Conv1D(8, 3, activation="relu"), pool, layers.Dense(3, "softmax"))
    apart = model_of((10, 4), layers.Conv1D(8, 3), layers.ReLU(), pool, layers.Dense(3), layers.Softmax())
    # (8, 8) biases, activations and pooled elements; (4, 3) biases and scores
    assert paper_flops(inside) == paper_flops(apart) == macs(apart) + 3 * 64 + 2 * 12


@pytest.fixture
def branches():
    x = inputs = keras.Input((8, 4), name="in")
    x = layers.Conv1D(4, 3, padding="same", name="stem")(x)
    a = layers.Conv1D(4, 1, name="a")(x)
    x = layers.Add(name="add")([x, a])
    return keras.Model(inputs, layers.Flatten(name="out")(x))


def named_edges(model):
    rows, edges = graph_of(model)
    assert all(first < last for first, last in edges)
    return {(rows[first].name, rows[last].name) for first, last in edges}


def test_the_graph_has_every_branch(branches):
    assert named_edges(branches) == {("in", "stem"), ("stem", "a"), ("stem", "add"), ("a", "add"), ("add", "out")}


def test_nested_models_are_opened(branches):
    waveform = keras.Input((32,), name="waveform")
    columns = layers.Reshape((8, 4), name="columns")(waveform)
    joined = keras.Model(waveform, layers.Dense(2, name="dense")(branches(columns)))
    expected = named_edges(branches) - {("in", "stem")}
    expected |= {("waveform", "columns"), ("columns", "stem"), ("out", "dense")}
    assert named_edges(joined) == expected
    assert macs(joined) == macs(branches) + 32 * 2


def test_a_model_cut_in_two_costs_the_same(branches):
    middle = branches.get_layer("stem").output
    front, body = keras.Model(branches.input, middle), keras.Model(middle, branches.output)
    assert macs(front) + macs(body) == macs(branches)


def test_a_nested_model_with_two_outputs_keeps_them_apart():
    x = keras.Input((4,))
    both = keras.Model(x, [layers.Dense(2, name="left")(x), layers.Dense(3, name="right")(x)])
    inputs = keras.Input((4,), name="in")
    left, right = both(inputs)
    model = keras.Model(inputs, [layers.ReLU(name="on_right")(right), layers.ReLU(name="on_left")(left)])
    assert named_edges(model) == {("in", "left"), ("in", "right"), ("left", "on_left"), ("right", "on_right")}


def test_a_shared_layer_multiplies_twice_and_is_stored_once():
    x = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    model = keras.Model(x, shared(shared(x)))
    rows = [(row.name, row.parameters, row.macs) for row in layer_table(model)]
    assert rows[1:] == [("shared", 20, 16), ("shared", 0, 16)]
    assert trainable_parameters(model) == 20


def test_the_table_tells_kind_and_output_shape(branches):
    assert [row[1:3] for row in layer_table(branches)] == [
        ("InputLayer", (8, 4)),
        ("Conv1D", (8, 4)),
        ("Conv1D", (8, 4)),
        ("Add", (8, 4)),
        ("Flatten", (32,)),
    ]
