"""The arrows between modules, read from the sources: who may import whom, and where a third party has its home."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What a device has no room for.
HEAVY = {"tensorflow", "tf_keras", "keras", "kapre", "tensorflow_io", "tensorflow_datasets", "matplotlib", "librosa"}

# Third party -> the modules that may import it; a package stands for all of its modules.
HOMES = {
    "tensorflow": ("zoo.backend",),
    "tf_keras": ("zoo.backend",),
    "keras": ("zoo.backend", "zoo.export.keras3"),  # keras3.py is run in a process of its own, never imported
    "kapre": ("zoo.frontends", "zoo.export.keras3"),
    "tensorflow_io": ("zoo.audio",),
    "tensorflow_datasets": ("zoo.datasets",),
    "apache_beam": ("zoo.datasets.audioset",),
    "tensorflow_model_optimization": ("zoo.compress.cluster", "zoo.compress.magnitude", "zoo.compress.qat"),
    "keras_tuner": ("zoo.compress.search",),
    "matplotlib": ("zoo.plots",),
    "PIL": ("zoo.plots",),  # matplotlib stands on it
    "tflite_micro": ("zoo.export.slim", "zoo.export.tflm"),
    "ai_edge_litert": ("zoo.export", "zoo.runtime"),
    "flatbuffers": ("zoo.export", "zoo.runtime.metadata"),
    "soundfile": ("zoo.audio", "zoo.datasets", "zoo.inspection", "zoo.robustness"),
    "soxr": (),  # on the device zoo.runtime.extras asks for these
    "sounddevice": (),
    "scipy": (
        "zoo.datasets.synth10",
        "zoo.labelling",
        "zoo.leakage",
        "zoo.measure.false_alarms",
        "zoo.open_set",
        "zoo.preprocess",
        "zoo.prototypes",
        "zoo.robustness",
        "zoo.teachers",
    ),
    "h5py": ("zoo.export.keras_files", "zoo.pretrained"),
    "markdown": ("zoo.report.pages",),
    "psutil": (),  # /proc tells what is asked for
}
# What everything stands on, and what imports nothing of the zoo but the error.
GROUND = ("zoo.errors", "zoo.progress", "zoo.atomic", "zoo.child", "zoo.calls")
# Module -> all that it may import of the zoo beside the ground.
ARROWS = {
    **dict.fromkeys(GROUND, ()),
    "zoo.backend": (),
    "zoo.audio": ("zoo.backend",),
    "zoo.models": ("zoo.backend", "zoo.compress.binary", "zoo.models"),
    "zoo.fourier": ("zoo.backend",),
    "zoo.frontends": ("zoo.backend", "zoo.fourier"),
    "zoo.assembly": ("zoo.backend",),
    "zoo.corpus": ("zoo.backend", "zoo.audio", "zoo.preprocess"),
    "zoo.pipeline": ("zoo.backend", "zoo.audio", "zoo.augment", "zoo.corpus"),
    "zoo.datasets": ("zoo.backend", "zoo.audio", "zoo.datasets"),
    "zoo.distribution": ("zoo.backend",),
    "zoo.training": ("zoo.backend", "zoo.distribution"),
    "zoo.evaluation": (),
    "zoo.judging": ("zoo.corpus", "zoo.evaluation"),
    "zoo.labelling": ("zoo.backend", "zoo.assembly", "zoo.evaluation", "zoo.open_set"),
    "zoo.compress.distill": ("zoo.backend", "zoo.labelling"),
    "zoo.pretrained": ("zoo.backend", "zoo.export.graph"),
    "zoo.transfer": ("zoo.backend", "zoo.assembly", "zoo.export.keras_files", "zoo.pretrained", "zoo.runtime.sums"),
    "zoo.decisions": (),
    "zoo.comparison": ("zoo.decisions", "zoo.evaluation"),
    "zoo.open_set": ("zoo.evaluation",),
    "zoo.jobs": ("zoo.measure.machine",),
    "zoo.report": ("zoo.decisions", "zoo.evaluation", "zoo.plots", "zoo.report"),
    "zoo.preprocess": (),
    "zoo.robustness": ("zoo.audio",),
    "zoo.prototypes": ("zoo.open_set",),
    "zoo.measure.false_alarms": ("zoo.evaluation", "zoo.runtime"),
    "zoo.leakage": (),
    "zoo.inspection": ("zoo.leakage", "zoo.preprocess", "zoo.runtime"),
    "zoo.hearing": ("zoo.backend", "zoo.audio"),
    "zoo.embeddings": ("zoo.backend", "zoo.frontends", "zoo.hearing", "zoo.runtime"),
    "zoo.teachers": (
        "zoo.backend",
        "zoo.corpus",
        "zoo.embeddings",
        "zoo.export.keras_files",
        "zoo.hearing",
        "zoo.labelling",
        "zoo.pipeline",
    ),
    "zoo.runtime": ("zoo.runtime",),
}
# Module -> what it may not import, straight or through others.
NEVER = {
    "zoo.__main__": (*HEAVY, "numpy", "ai_edge_litert"),
    "zoo.runtime": (*HEAVY, "zoo.backend"),
    "zoo.export.tflm": ("tensorflow", "zoo.backend"),
    "zoo.training": ("zoo.datasets", "zoo.pipeline", "zoo.frontends", "zoo.compress", "zoo.audio"),
    "zoo.compress": ("zoo.training",),
    "zoo.plots": ("tensorflow", "zoo.backend"),
    "zoo.evaluation": ("tensorflow", "zoo.backend"),
    "zoo.report": ("tensorflow", "zoo.backend"),
    "zoo.comparison": ("tensorflow", "zoo.backend"),
    "zoo.jobs": (*HEAVY, "numpy"),
    "zoo.measure.cpu": (*HEAVY, "scipy", "soundfile", "zoo.backend", "zoo.export"),
    "zoo.measure.process_memory": (
        *HEAVY,
        "numpy",
        "zoo.measure.guarded",
        "zoo.runtime",
    ),  # at its top, where it counts
}


def module_of(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def within(module, packages):
    return any(module == package or module.startswith(package + ".") for package in packages)


def imported_by(path, modules, at_import_only=False):
    """All names that a source imports, each as far down as it is a module: `from zoo import audio` is zoo.audio."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body if at_import_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide the arrows"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in modules else node.module)
    return names


@pytest.fixture(scope="module")
def sources():
    """{module: path} of the library and the recipes."""
    return {module_of(path): path for folder in ("zoo", "recipes") for path in sorted((ROOT / folder).rglob("*.py"))}


@pytest.fixture(scope="module")
def imports(sources):
    """{module: all that its source imports, at its top or later}."""
    return {module: imported_by(path, sources) for module, path in sources.items()}


def test_the_library_never_imports_a_recipe(imports):
    assert "zoo.pipeline" in imports and "recipes.run" in imports
    for module, names in imports.items():
        if within(module, ["zoo"]):
            assert not [name for name in names if within(name, ["recipes"])], module


@pytest.mark.parametrize("module", ARROWS)
def test_a_module_imports_nothing_of_the_zoo_but_what_stands_below_it(imports, module):
    for name, names in imports.items():
        if within(name, [module]):
            ground = ["zoo.errors"] if module in GROUND else GROUND
            strays = [o for o in names if within(o, ["zoo"]) and not within(o, ARROWS[module]) and o not in ground]
            assert strays == [], name


@pytest.mark.parametrize("package", HOMES)
def test_a_third_party_is_imported_in_its_home_alone(imports, package):
    strangers = [
        module
        for module, names in imports.items()
        if any(within(name, [package]) for name in names) and not within(module, HOMES[package])
    ]
    assert strangers == []


@pytest.mark.parametrize("module", NEVER)
def test_what_a_module_may_not_know_it_does_not_reach_through_others(sources, module):
    modules = [name for name in sources if within(name, [module])]
    reached, waiting = set(), list(modules)
    while waiting:
        name = waiting.pop()
        for other in imported_by(sources[name], sources, at_import_only=True) if name in sources else ():
            if other not in reached:
                reached.add(other)
                waiting.append(other)
    assert [name for name in sorted(reached) if within(name, NEVER[module])] == []


def test_no_module_imports_itself_in_a_circle(sources):
    edges = {
        name: {other for other in imported_by(path, sources, at_import_only=True) if other in sources}
        for name, path in sources.items()
    }
    while edges:
        free = {name for name, others in edges.items() if not others & edges.keys()}
        assert free, f"a circle among {sorted(edges)}"
        edges = {name: others for name, others in edges.items() if name not in free}


def loaded_by(statement):
    """The top-level packages that a fresh Python holds after `statement`."""
    command = f"{statement}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    child = subprocess.run(
        [sys.executable, "-c", command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    return set(child.stdout.split())


def test_importing_the_zoo_costs_nothing():
    loaded = loaded_by("import zoo, zoo.errors")
    assert "zoo" in loaded and not loaded & (HEAVY | {"numpy", "scipy", "soundfile"})


def test_running_a_tflite_file_loads_no_tensorflow():
    loaded = loaded_by("import zoo.runtime")
    assert "ai_edge_litert" in loaded and not loaded & HEAVY
