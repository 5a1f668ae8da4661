"""`python -m zoo bench --target tflm`: the report against a model counted by hand, and one line for what is none."""

import json
import re
from types import SimpleNamespace

from zoo.backend import keras, tf

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from zoo.__main__ import main
from zoo.errors import ZooError
from zoo.export import graph, tflite, untrusted
from zoo.measure import microcontroller

layers = keras.layers
FUZZED = 200


SETTINGS = "constexpr std::uint32_t kSampleRateHz = 4000;\nconstexpr std::size_t kColumnStrideSamples = 40;\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of small files: int8.tflite and float.tflite of one net, and micro/ of two."""
    folder = tmp_path_factory.mktemp("models")
    image = keras.Input((16, 12, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="wide")(image)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(4, 3, strides=2, name="narrow")(x)
    net = keras.Model(
        image, layers.Dense(5, bias_initializer="ones", name="dense")(layers.Flatten(name="flat")(x)), name="net"
    )
    examples = np.random.default_rng(0).uniform(-1, 1, (4, 16, 12, 3)).astype(np.float32)
    (folder / "int8.tflite").write_bytes(tflite.to_int8(net, examples))
    (folder / "float.tflite").write_bytes(tflite.to_float(net))

    (folder / "exported/micro").mkdir(parents=True)
    pcm = keras.Input((40, 1, 1), name="pcm")
    front = keras.Model(pcm, layers.Conv2D(3, (10, 1), strides=(10, 1), name="front")(pcm), name="front")
    hop = np.random.default_rng(1).uniform(-1, 1, (4, 40, 1, 1)).astype(np.float32)
    (folder / "exported/micro/frontend.tflite").write_bytes(tflite.to_int16x8(front, hop))
    (folder / "exported/micro/body.tflite").write_bytes((folder / "int8.tflite").read_bytes())
    (folder / "exported/micro/settings.h").write_text(SETTINGS)
    return folder


@pytest.fixture(scope="module")
def report(made):
    return microcontroller.report(made / "int8.tflite")


def test_bytes_and_multiplies_of_each_operator_are_those_counted_by_hand(report):
    rows = [(row["operator"], row["bytes"], row["macs"]) for row in report["files"][0]["operators"]]
    assert rows == [
        ("CONV_2D", 16 * 12 * 8, 16 * 12 * 8 * 3 * 3 * 3),
        ("MAX_POOL_2D", 8 * 6 * 8, 0),
        ("CONV_2D", 3 * 2 * 4, 3 * 2 * 4 * 3 * 3 * 8),
        ("RESHAPE", 24, 0),
        ("FULLY_CONNECTED", 5, 24 * 5),
    ]
    assert report["files"][0]["macs"] == sum(macs for _, _, macs in rows)


def test_the_peak_is_named_with_its_holders(report):
    """The wide convolution (1,536 B) with its input (576 B) is more than with the pool's output (384 B)."""
    file = report["files"][0]
    peak = file["operators"][file["peak_operator"]]
    assert file["peak_operator"] == 0 and peak["held_bytes"] == 1_536 + 576
    assert [held["bytes"] for held in peak["held"]] == [1_536, 576] and "wide" in peak["held"][0]["tensor"]


def test_the_measured_head_holds_the_peak_and_little_else(report):
    """TFLM places tensors at multiples of 16 bytes; the reference kernels of int8 take a few bytes of scratch."""
    file = report["files"][0]
    held_bytes = file["operators"][file["peak_operator"]]["held_bytes"]
    assert held_bytes <= file["arena"]["head_bytes"] <= held_bytes + 256


def test_the_parts_of_the_arena_sum_up(report):
    arena = report["files"][0]["arena"]
    assert sum(arena["tail_sections"].values()) == arena["tail_bytes"] > 0
    assert arena["head_bytes"] + arena["tail_bytes"] == arena["total_bytes"] == report["ram_bytes"]


def test_constants_are_the_weights_and_biases_in_their_bytes(made):
    """Of the float file: 4 bytes for each parameter, and the few integers that tell RESHAPE its shape."""
    weights = (3 * 3 * 3 * 8 + 8) + (3 * 3 * 8 * 4 + 4) + (24 * 5 + 5)
    (file,) = microcontroller.report(made / "float.tflite")["files"]
    assert 4 * weights <= file["constant_bytes"] <= 4 * weights + 16
    assert file["flash_bytes"] == (made / "float.tflite").stat().st_size > file["constant_bytes"]


def test_the_resolvers_list_is_that_of_litert(made, report):
    interpreter = Interpreter(str(made / "int8.tflite"), experimental_preserve_all_tensors=True)
    listed = {op["op_name"] for op in interpreter._get_ops_details()} - {"DELEGATE"}
    calls = {"CONV_2D": "AddConv2D", "MAX_POOL_2D": "AddMaxPool2D"}  # as micro_mutable_op_resolver.h has them
    calls |= {"RESHAPE": "AddReshape", "FULLY_CONNECTED": "AddFullyConnected"}
    assert report["files"][0]["resolver"] == sorted(calls[name] for name in listed)


def test_a_folder_is_told_as_a_stream(made):
    report = microcontroller.report(made / "exported")
    front, body = (file["arena"] for file in report["files"])
    assert report["stream"]["head_bytes"] == max(front["head_bytes"], body["head_bytes"])
    assert report["stream"]["hop_bytes"] == 40 * 2 and report["stream"]["ring_bytes"] == 16 * 12 * 3
    tails_bytes = front["tail_bytes"] + body["tail_bytes"]
    assert report["ram_bytes"] == report["stream"]["head_bytes"] + tails_bytes + 80 + 576
    sizes = [(made / f"exported/micro/{name}.tflite").stat().st_size for name in ("frontend", "body")]
    assert report["flash_bytes"] == sum(sizes)
    assert report["stream"]["macs_per_column"] == 4 * 3 * 10
    body_macs = report["stream"]["macs_per_decision"]
    # 100 columns a second as they come, or the 16 of a window four times.
    assert report["stream"]["macs_per_s"] == {
        "stream": 100 * 120 + 4 * body_macs, "whole windows": 4 * (16 * 120 + body_macs),
    }  # fmt: skip


def test_a_front_end_in_c_counts_its_scratch_column_and_tables(made, tmp_path):
    (tmp_path / "micro").mkdir()
    (tmp_path / "micro/body.tflite").write_bytes((made / "int8.tflite").read_bytes())
    sizes = {"FIELD_SAMPLES": 480, "MELS": 36, "SCRATCH_FLOATS": 5_000}
    defines = "".join(f"#define FRONTEND_{name} {size}\n" for name, size in sizes.items())
    (tmp_path / "micro/frontend.h").write_text(defines + "#define FRONTEND_SCALE 0.25f\n")
    source = "static const float sine[] = {\n    0.0f, 1e-05f, -0.5f,\n};\n"
    source += "static const struct {\n    uint16_t first;\n} bands[2] = {\n    {1, 2}, {3, 4}, /* of 5 */\n};\n"
    (tmp_path / "micro/frontend.c").write_text(source + "float f(int a, int b) { return 0.5f * (a + b); }\n")
    (tmp_path / "micro/settings.h").write_text(SETTINGS)
    report = microcontroller.report(tmp_path)
    assert report["stream"]["head_bytes"] == 5_000 * 4 + 36 and report["stream"]["frontend_tail_bytes"] == 0
    assert report["stream"]["hop_bytes"] == 960 and report["stream"]["macs_per_column"] is None
    assert report["files"][0]["flash_bytes"] == (3 + 2) * 4
    assert "C code" in microcontroller.told(
        report
    ) and "100 columns; with whole windows each time 64 (1.56" in microcontroller.told(report)


def test_boards_get_what_the_report_sums_up(made, report):
    boards = {board["chip"]: board for board in report["boards"]}
    assert boards["RP2040"]["sram_needed_bytes"] == report["ram_bytes"]
    assert boards["CXD5602"]["sram_needed_bytes"] == report["ram_bytes"] + report["flash_bytes"]


def test_json_holds_the_numbers_that_are_printed(made, tmp_path, capsys):
    main(["bench", str(made / "exported"), "--target", "tflm", "--json", str(tmp_path / "report.json")])
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert printed == microcontroller.told(report) + "\n"
    told = {int(number.replace(",", "")) for number in re.findall(r"(?<![\w.])\d[\d,]*(?![\w.])", printed)}
    for file in report["files"]:
        sizes = [file["flash_bytes"], file["constant_bytes"], *file["arena"]["tail_sections"].values(), file["macs"]]
        for row in file["operators"]:
            sizes += [row["bytes"], row["held_bytes"], row["macs"]]
        assert set(sizes) <= told
    assert {size for size in report["stream"].values() if isinstance(size, int)} <= told
    assert {board["sram_needed_bytes"] for board in report["boards"]} <= told


def test_the_picture_is_written_and_neither_file_replaced_unasked(made, tmp_path, capfd, refused):
    picture = tmp_path / "memory.png"
    arguments = ["bench", str(made / "exported"), "--target", "tflm", "--picture", str(picture)]
    main(arguments)
    capfd.readouterr()
    assert picture.read_bytes().startswith(b"\x89PNG")
    picture.write_bytes(b"mine")
    assert "--overwrite" in refused(main, "bench", "--target", "tflm", made / "int8.tflite", "--picture", picture)
    assert picture.read_bytes() == b"mine"
    main([*arguments, "--overwrite"])
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name, content, line",
    [
        ("missing.tflite", None, "No such file"),
        ("empty.tflite", b"", "no .tflite file"),
        ("notes.tflite", b"A note, not a model.", "no .tflite file"),
        ("zeros.tflite", b"\0\0\0\0TFL3" + bytes(100), "damaged"),
    ],
)
def test_what_is_no_model_gets_one_line_and_no_file(name, content, line, tmp_path, refused):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    told = refused(main, "bench", "--target", "tflm", tmp_path / name, "--json", tmp_path / "report.json")
    assert line in told and name in told and not (tmp_path / "report.json").exists()


def test_a_file_that_is_cut_short_gets_one_line(made, tmp_path, refused):
    (tmp_path / "cut.tflite").write_bytes((made / "int8.tflite").read_bytes()[:-500])
    assert "cut short" in refused(main, "bench", "--target", "tflm", tmp_path / "cut.tflite")


def test_a_folder_without_a_model_gets_one_line(made, tmp_path, refused):
    assert "no micro/body.tflite" in refused(main, "bench", "--target", "tflm", tmp_path)
    (tmp_path / "micro").mkdir()
    (tmp_path / "micro/body.tflite").write_bytes((made / "int8.tflite").read_bytes())
    assert "no front end" in refused(main, "bench", "--target", "tflm", tmp_path)


def test_an_operator_that_litert_has_optimised_alone_is_no_damage(tmp_path):
    """TFLM has ELU; LiteRT's reference kernels have not."""
    sound = keras.Input((8,), name="sound")
    (tmp_path / "elu.tflite").write_bytes(tflite.to_float(keras.Model(sound, layers.ELU(name="elu")(sound))))
    assert microcontroller.report(tmp_path / "elu.tflite")["files"][0]["resolver"] == ["AddElu"]


def test_multiplies_of_a_fused_lstm_are_those_of_its_eight_matrices():
    sound = keras.Input((20, 4), name="sound")
    read = graph.read(tflite.to_float(keras.Model(sound, layers.LSTM(3, name="lstm")(sound))))
    assert sum(operator.macs for operator in read.operators) == 20 * 4 * (4 * 3 + 3 * 3)


def test_a_folder_that_an_older_zoo_wrote_gets_one_line(made, tmp_path, refused):
    for name in ("frontend", "body"):
        (tmp_path / "micro").mkdir(exist_ok=True)
        (tmp_path / f"micro/{name}.tflite").write_bytes((made / f"exported/micro/{name}.tflite").read_bytes())
    told = refused(main, "bench", "--target", "tflm", tmp_path)
    assert "settings.h: not there, or not as this zoo writes it; export the model again" in told


def test_open_shapes_are_refused_and_an_open_batch_is_not(tmp_path, refused):
    for name, steps in (("open", None), ("batch", 20)):
        sound = keras.Input((steps, 4), name="sound")
        model = keras.Model(sound, layers.Conv1D(3, 5, name="conv")(sound))
        (tmp_path / f"{name}.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    assert "shape (-1, -1, 4) is open" in refused(main, "bench", "--target", "tflm", tmp_path / "open.tflite")
    assert microcontroller.report(tmp_path / "batch.tflite")["files"][0]["macs"] == 16 * 3 * 5 * 4


def test_a_model_that_no_arena_holds_gets_one_line(tmp_path, refused):
    """One convolution from 256 MiB to as many."""
    image = keras.Input((8_192, 8_192, 1), name="image")
    (tmp_path / "huge.tflite").write_bytes(tflite.to_float(keras.Model(image, layers.Conv2D(1, 1)(image))))
    told = refused(main, "bench", "--target", "tflm", tmp_path / "huge.tflite")
    assert re.search(r"needs [\d,]+ B of arena at once", told)


def test_a_damaged_file_gives_a_report_or_a_zoo_error_never_a_crash(made):
    """Cut short, bytes flipped anywhere, or in the tables, which stand before the weights and after them."""
    rng = np.random.default_rng(0)
    model = (made / "int8.tflite").read_bytes()
    damaged = [model[: rng.integers(len(model))] for _ in range(FUZZED // 4)]
    while len(damaged) < FUZZED:
        content = np.frombuffer(model, np.uint8).copy()
        places = rng.integers(len(content) // (1 + len(damaged) % 3), size=rng.integers(1, 5))
        content[places] ^= rng.integers(1, 256, size=len(places), dtype=np.uint8)
        damaged.append(content.tobytes())
    answers = untrusted.open_files(damaged)
    reports = 0
    for content, opened in zip(damaged, answers):
        if isinstance(opened, ZooError):
            assert "\n" not in str(opened)
        else:
            microcontroller.told_file(microcontroller.report_file("fuzzed.tflite", content, opened))
            reports += 1
    assert 0 < reports < FUZZED  # both kinds were met


def test_a_file_that_kills_the_process_does_so_for_itself_alone(made, monkeypatch):
    good = (made / "int8.tflite").read_bytes()
    ended = SimpleNamespace(count=0)
    run_child = untrusted._run_child

    def dying(paths):
        """As if TFLM had died on the second file."""
        ended.count += 1
        run_child(paths[:1])
        return "dies"

    monkeypatch.setattr(untrusted, "_run_child", dying)
    first, second, third = untrusted.open_files([good, good, good])
    assert isinstance(second, ZooError) and "TFLM dies on it" in str(second)
    assert first.arena == third.arena and ended.count == 2
