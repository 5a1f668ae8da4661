"""The papers' tables: each cited number has its source, contradictions stand, ours are beside what they belong to."""

import base64
import csv
import re
import shutil
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from zoo import plots, report
from zoo.report import papers, published, runs

ROOT = Path(__file__).parents[2]
CITED = ROOT / "docs/results/published.csv"


@pytest.fixture(scope="module")
def rows():
    return published.read_published(CITED.parent)


def run_of(model, dataset, fold="5", epochs="350", **figures):
    """A row of runs.csv."""
    figures = {"keras_accuracy": "0.9", "keras_low": "0.8222", "keras_high": "0.9639", **figures}
    sizes = {"parameters": "4712378", "macs": "541703116", "tflite_bytes": "18849588", "test_clips": "80"}
    told = {"model": model, "dataset": dataset, "test_fold": fold, "epochs": epochs, "seed": "0", "steps": "train"}
    return {**dict.fromkeys(runs.COLUMNS, ""), **told, **sizes, **figures}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A results folder with the cited numbers and two runs of ours."""
    folder = tmp_path_factory.mktemp("papers") / "results"
    (folder / "boards").mkdir(parents=True)
    shutil.copy(CITED, folder)
    with open(folder / "runs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, runs.COLUMNS)
        writer.writeheader()
        writer.writerows([run_of("acdnet", "esc10"), run_of("micro_acdnet", "esc10", "all", tflite_bytes="525428")])
    for path in ("acdnet-esc10-fold5-350epochs", "micro_acdnet-esc10-foldall-350epochs"):
        (folder / path).mkdir()
        (folder / path / "card.md").write_text("a card")
    report.write_pages(folder)
    return folder


def table(page, heading):
    """The rows of the table under a heading, as lists of cells."""
    lines = page[page.index(f"\n### {heading}") + 1 :].split("\n\n")[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_cited_number_names_its_paper_and_its_place_there(rows):
    assert len(rows) > 300 and tuple(rows[0]) == published.COLUMNS
    for row in rows:
        assert row["paper"] in published.PAPERS and row["model"] and row["metric"], row
        assert re.fullmatch(r"table \d+|section \d+(\.\d+)*|abstract|page, findings", row["place"]), row
        assert row["unit"] in ("%", "", "M", "B", "MB", "kB", "bytes", "s", "W", "fold"), row
        for number in filter(None, (row["value"], row["plus_minus"])):
            Decimal(number)  # raises for "1,806.57" and for "88 %"
    keys = [tuple(row[name] for name in published.COLUMNS[:6]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_what_is_to_stand_beside_a_number_is_a_model_of_a_recipe_and_a_figure_that_runs_have(rows):
    recipes = [path.stem for path in (ROOT / "recipes").glob("*.py")]
    for row in rows:
        for ours in row["ours"].split():
            model, _, file = ours.partition("/")
            assert any(f"{model}_".startswith(f"{recipe}_") for recipe in recipes), row
            assert file in ("", *runs.FILES.values()), row
            run = run_of(model, row["dataset"] or "esc10", int8_bytes="1", micro_bytes="1", micro_one_call_bytes="1")
            assert papers._figure(run, file or "keras", row) or row["metric"].startswith("accuracy"), row


def test_where_a_paper_disagrees_with_itself_both_values_stand(rows):
    found = {
        (row["model"], row["setting"], row["dataset"], row["metric"]): set(values)
        for row, values in published.contradictions(rows)
    }
    assert found == {
        ("ACDNet", "", "esc10", "accuracy"): {"96.65", "96.75"},
        ("Micro-ACDNet", "", "urbansound8k", "accuracy"): {"78.27", "78.28"},
        ("AclNet", "", "esc50", "FLOPs"): {"1070", "1806.57"},
        ("AclNet", "", "esc50", "size"): {"40.54", "40.57"},
        ("ResNet-152", "dynamic", "gtzan", "accuracy"): {"77.5", "71.5"},
        ("ResNet-152", "fp16", "gtzan", "accuracy"): {"78", "74"},
        ("ResNet-152", "dynamic, on a Raspberry Pi", "gtzan", "accuracy"): {"76.34", "77.21"},
    }


def test_a_rounding_is_no_contradiction(rows):
    told = {"paper": "a", "dataset": "b", "model": "c", "setting": "", "metric": "d", "unit": "M", "place": "table 1"}
    assert published.contradictions([{**told, "value": "544"}, {**told, "value": "544.42"}]) == []
    assert len(published.contradictions([{**told, "value": "544"}, {**told, "value": "544.52"}])) == 1


def test_ours_stand_beside_theirs_in_the_columns_of_their_data_set_alone(results):
    page = (results / "papers.md").read_text()
    head, _, *body = table(page, "Table 13")
    assert head[2:] == [f"{name}, accuracy, %" for name in ("esc10", "esc50", "urbansound8k", "audio_event")]
    assert [row for row in body if row[0] == "ACDNet"] == [["ACDNet", "", "96.75", "87.10", "84.45", "92.57"]]
    ours = [row for row in body if row[0].startswith("ours")]
    accuracy = "90.00 (82.22 to 96.39)"
    assert ours == [
        ["ours: [acdnet](acdnet-esc10-fold5-350epochs/card.md)", "esc10, fold 5 alone, 80 clips, 350 epochs", accuracy]
        + [""] * 3,
        ["ours: [micro_acdnet](micro_acdnet-esc10-foldall-350epochs/card.md)",
         "esc10, all folds, 80 clips, 350 epochs", accuracy, "", "", ""],
    ]  # fmt: skip
    assert not any(row[0].startswith("ours") for row in table(page, "Table 14"))  # of ESC-50, which we did not run


def test_their_interval_is_labelled_as_theirs_and_none_of_ours_is_made_so(rows):
    of_equation_6 = [row for row in rows if "equation 6" in row["metric"]]
    assert len(of_equation_6) == 4 and all("their" in row["metric"] and not row["ours"] for row in of_equation_6)


def test_beside_each_papers_numbers_stands_how_its_epoch_was_chosen(results):
    page = " ".join((results / "papers.md").read_text().split())
    assert "Their best epoch seems to be chosen on the test fold (their section 3.2.2); ours never is" in page
    chapters = page.split("## Mohaimenuzzaman, Bergmeir, West")[1].split(" ## ")
    for chapter in (chapters[0], *(chapter for chapter in chapters[1:] if "accuracy, %" in chapter)):
        assert "epoch" in chapter or "judged" in chapter


def test_a_cell_that_the_text_does_not_hold_is_blank(results):
    page = (results / "papers.md").read_text()
    mou = page[page.index("## Mou and Milanova") :]
    assert table(mou, "Table 2")[2:] == [["CNN", "raw audio", ""], ["CNN", "mel spectrograms", ""]]
    assert table(mou, "Table 3")[-1] == ["theirs", "", "", ""]


def test_the_run_over_all_folds_stands_for_a_model_and_else_the_longest_of_each_fold():
    several = [run_of("a", "esc10", "4", "100"), run_of("a", "esc10", "5", "100"), run_of("a", "esc10", "5", "350")]
    assert papers.compared(several) == [several[0], several[2]]
    whole = run_of("a", "esc10", "all", "30")
    assert papers.compared([*several, whole]) == [whole]
    assert "all folds" in papers.trained_on(whole) and "fold 5 alone" in papers.trained_on(several[2])


class Page(HTMLParser):
    """Pictures and links of a page, how many tables and rows it has, and what was never closed."""

    def __init__(self, text):
        super().__init__()
        self.images, self.links, self.started, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.started.append(tag)
        if tag != "meta":
            self.open.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_startendtag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs)["src"])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_html_page_holds_both_pages_with_every_picture_inside(results, tmp_path):
    path = tmp_path / "elsewhere" / "results.html"
    report.write_html(path, results)
    page = Page(path.read_text())
    assert page.open == [] and page.started[0] == "html"
    markdown = (results / "README.md").read_text() + (results / "papers.md").read_text()
    assert page.started.count("table") == len(re.findall(r"^\|---", markdown, re.MULTILINE))
    assert len(page.images) == markdown.count("![") == 1
    for image in page.images:
        kind, data = image.split(",")
        assert kind == "data:image/png;base64" and base64.b64decode(data).startswith(b"\x89PNG")
    cards = [link for link in page.links if link.endswith("card.md")]
    assert len(cards) > 2 and all((path.parent / link).is_file() for link in cards)


def test_what_others_measured_is_drawn_hollow(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots.scores, "save", lambda figure, path: drawn.append(figure))
    rows = [("ours", 1e5, 0.9, (0.8, 0.95))]
    plots.accuracy_against_size(rows, tmp_path / "x.png", "title", [("theirs", 2e7, 0.96, (np.nan, np.nan))])
    markers = [line for line in drawn[0].axes[0].lines if line.get_marker() == "o"]
    faces = {line.get_xdata()[0]: line.get_markerfacecolor() for line in markers}
    assert faces[2e7] == "white" and faces[1e5] == markers[0].get_color() != "white"
