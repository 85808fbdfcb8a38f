"""The page in a real browser, once: a probe at its end asks, acts, and leaves what it found."""

import html
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from minireason.records import PolicySample, read_records, write_records
from minireason.report import write_rollouts_page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium to run the page")

NONE = dict.fromkeys(
    ("search", "step", "verdict", "learnt", "truncated", "least_reward", "most_reward"), ""
) | {"where": "question", "least_tokens": "", "most_tokens": ""}
FILTERS: list[dict[str, str]] = [
    {},
    {"step": "20"},
    {"verdict": "correct"},
    {"verdict": "unknown"},
    {"learnt": "yes"},
    {"learnt": "no", "truncated": "no"},
    {"truncated": "yes"},
    {"least_reward": "0"},
    {"least_reward": "-0.95", "most_reward": "-0.5"},
    {"most_tokens": "200"},
    {"least_tokens": "150", "most_tokens": "300", "verdict": "incorrect"},
    {"search": "A HALL has 23"},
    {"search": "seats-1"},
    {"search": "adding it up", "where": "response"},
    {"search": "<script>", "where": "response"},
    {"search": "nowhere to be found"},
]
ORDERS = [
    ("step", -1),
    ("reward", 1),
    ("reward", -1),
    ("advantage", -1),
    ("num_tokens", 1),
    ("id", 1),
]
EVIL = (
    "</script><script>document.title='gone'</script><img src=x onerror=\"document.title='gone'\">"
)

PROBE = """
<script>
const key = (sample) => [sample.step, sample.question.id, sample.index];
const press = (name) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
const found = { filters: FILTERS.map((f) => samples.filter((s) => matches(s, f)).map(key)) };
found.orders = ORDERS.map(([name, way]) => ordered(samples, name, way).map(key));
found.stories = told.map((one) =>
  [one.question.id, one.steps.map(([step, group]) => [step, group.length])]);
found.title = document.title;
found.images = document.images.length;
found.rows = at("rows").children.length;
choose(samples.find((s) => s.start.includes("<script>")));
found.evil = at("detail").querySelector("pre").textContent;
choose(samples.find((s) => s.left_out));
found.gap = at("detail").querySelector(".gap").textContent;
choose(view.found[0], true);
press("ArrowDown");
found.down = key(view.chosen);
press("ArrowRight");
found.right = [at("place").textContent, key(view.chosen)];
press("ArrowUp");
found.up = [at("place").textContent, key(view.chosen)];
press("/");
found.focus = document.activeElement.name;
at("filters").elements.verdict.value = "unknown";
at("filters").elements.verdict.dispatchEvent(new Event("input", { bubbles: true }));
found.count = at("count").textContent;
document.querySelector("[data-key=num_tokens] button").click();
found.sorted = [...at("rows").children].map((row) => row.sample.num_tokens);
found.sort = document.querySelector("[data-key=num_tokens]").ariaSort;
document.activeElement.blur();
press("w");
found.story = at("story").textContent;
found.chapters = [...document.querySelectorAll(".chapter")]
  .map((one) => one.querySelectorAll("pre").length);
document.body.replaceChildren(document.createElement("main"));
document.querySelector("main").textContent = "FOUND" + JSON.stringify(found) + "DNUOF";
</script>
"""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, policy_samples) -> list[PolicySample]:
    """The stored samples in the order of the page, one hostile and one huge."""
    folder = tmp_path_factory.getbasetemp() / "browser"
    policy_samples(folder, range(10, 61, 10), 6, 8)
    file = folder / "rlvr/samples/step-000060.parquet"
    stored = read_records(file, PolicySample)
    stored[0] = replace(stored[0], response=EVIL)
    stored[1] = replace(stored[1], response="long " * 10_000, reward=math.nan)
    write_records(file, stored, PolicySample)
    return read_records(folder / "rlvr/samples", PolicySample)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, samples) -> dict[str, Any]:
    """What the probe found on the page of these samples."""
    folder = tmp_path_factory.getbasetemp() / "browser"
    page = write_rollouts_page(folder, folder / "rollouts.html")
    assert page is not None
    asked = {"FILTERS": [NONE | one for one in FILTERS], "ORDERS": ORDERS}
    probe = PROBE
    for name, value in asked.items():
        probe = probe.replace(name, json.dumps(value).replace("<", "\\u003c"))
    text = page.read_text(encoding="utf-8").replace("</body>", probe + "</body>")
    page.write_text(text, encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={folder / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    dumped = re.search(r"FOUND(.*)DNUOF", done.stdout, re.DOTALL)
    assert dumped, done.stdout[-2000:]
    answer: dict[str, Any] = json.loads(html.unescape(dumped[1]))
    return answer


def key(sample: PolicySample) -> list[Any]:
    return [sample.step, sample.question_id, sample.index]


def is_asked_for(sample: PolicySample, asked: dict[str, str]) -> bool:
    """The filter, spelled out."""
    for name, value in asked.items():
        if name == "step" and sample.step != int(value):
            return False
        if name == "verdict" and sample.verdict != value:
            return False
        if name == "learnt" and (sample.advantage is None) == (value == "yes"):
            return False
        if name == "truncated" and (sample.finish_reason == "length") != (value == "yes"):
            return False
        if name == "least_reward" and not (sample.reward or -math.inf) >= float(value):
            return False
        if name == "most_reward" and not (sample.reward or math.inf) <= float(value):
            return False
        if name == "least_tokens" and sample.num_tokens < int(value):
            return False
        if name == "most_tokens" and sample.num_tokens > int(value):
            return False
        if name == "search":
            texts = [sample.question_id, sample.question]
            if asked.get("where") == "response":
                texts = [sample.response]
            if not any(value.lower() in text.lower() for text in texts):
                return False
    return True


@pytest.mark.parametrize("place", range(len(FILTERS)), ids=lambda i: json.dumps(FILTERS[i]))
def test_a_filter_finds_what_it_asks_for(found, samples, place: int) -> None:
    want = [key(sample) for sample in samples if is_asked_for(sample, FILTERS[place])]
    assert found["filters"][place] == want
    assert bool(want) == (FILTERS[place].get("search") != "nowhere to be found")


@pytest.mark.parametrize("place", range(len(ORDERS)), ids=lambda i: str(ORDERS[i]))
def test_an_order_puts_unknown_values_last(found, samples, place: int) -> None:
    name, way = ORDERS[place]

    def value(sample: PolicySample) -> float:
        found = sample.question_id.split("-")[1] if name == "id" else getattr(sample, name)
        return math.nan if found is None else round(float(found), 5)

    values = {tuple(key(sample)): value(sample) for sample in samples}
    got = [values[tuple(one)] for one in found["orders"][place]]
    known = [v for v in got if not math.isnan(v)]
    assert len(got) == len(samples)
    assert known == sorted(known, reverse=way < 0)
    assert got[: len(known)] == known


def test_a_question_is_followed_over_its_steps(found, samples) -> None:
    steps: dict[str, dict[int, int]] = {}
    for sample in samples:
        of_question = steps.setdefault(sample.question_id, {})
        of_question[sample.step] = of_question.get(sample.step, 0) + 1
    assert {name: dict(groups) for name, groups in found["stories"]} == steps
    lengths = [len(groups) for _, groups in found["stories"]]
    assert lengths == sorted(lengths, reverse=True)


def test_hostile_text_is_shown_and_not_run(found) -> None:
    assert found["evil"] == EVIL
    assert (found["title"].endswith("rollouts"), found["images"]) == (True, 0)


def test_a_cut_response_names_its_file(found) -> None:
    assert found["gap"] == (
        "38,000 characters are left out; rlvr/samples/step-000060.parquet holds them"
    )


def test_the_keys_move_through_rows_and_pages(found) -> None:
    newest_first = found["orders"][0]
    assert found["rows"] == 100
    assert found["down"] == newest_first[1]
    assert found["right"] == ["101 to 200 of 288", newest_first[100]]
    assert found["up"] == ["1 to 100 of 288", newest_first[99]]
    assert found["focus"] == "search"


def test_the_form_and_the_headings_act_on_the_list(found, samples) -> None:
    tokens = [s.num_tokens for s in samples if s.verdict == "unknown"]
    assert found["count"].startswith(f"{len(tokens)} of 288 responses, 0 % correct")
    assert found["sorted"] == sorted(tokens, reverse=True)
    assert found["sort"] == "descending"


def test_a_story_shows_every_response_of_its_question(found, samples) -> None:
    unknown = [s for s in samples if s.verdict == "unknown"]
    longest = max(s.num_tokens for s in unknown)
    chosen = max((s for s in unknown if s.num_tokens == longest), key=lambda s: s.step)
    own = [s for s in samples if s.question_id == chosen.question_id]
    assert chosen.question in found["story"]
    assert sum(found["chapters"]) == len(own)
    assert len(found["chapters"]) == len({s.step for s in own})
