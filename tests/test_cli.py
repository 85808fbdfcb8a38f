"""Bad input ends with one line on standard error and exit code 2, and loses nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from minireason import cli

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "recipes" / "smoke.toml"
ROWS = [
    {"question": f"What is {n} plus {n}?", "answer": str(2 * n), "solution": f"\\boxed{{{2 * n}}}"}
    for n in range(1, 6)
]
COMMANDS = ["run", "rollout", "verify", "curate", "evaluate", "compare", "report", "ablate"]
COMMANDS += ["chat", "export", "gate", "scale", "serve", "publish", "train"]
TRAIN_COMMANDS = ["pretrain", "midtrain", "sft", "dpo", "rlvr"]
RUN_OPTIONS = ["--out", "--from", "--until", "--only", "--set", "--processes"]
RUN_OPTIONS += ["--dry-run", "--help"]


@pytest.fixture
def fails(command, tmp_path):
    """Run a command that must fail as bad input does; return its one line."""

    def run(*arguments, out=tmp_path / "run"):
        code, _, err = command(*arguments, "--out", out)
        lines = [line for line in err.splitlines() if not line.lstrip().startswith(("→", "✓"))]
        errors = [line for line in lines if line.startswith("error: ")]
        assert code == 2, err
        assert len(errors) == 1, err
        assert err.splitlines()[-1] == errors[0]
        assert "Traceback" not in err
        return errors[0]

    return run


@pytest.fixture
def traces(tmp_path):
    """Arguments for a run on a file of questions with solutions."""

    def write(*rows):
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        path = tmp_path / "train.jsonl"
        path.write_text("".join(line + "\n" for line in lines))
        return [
            *("--set", f'questions.sources=["{path}"]', "--set", "questions.limit=0"),
            *("--set", "rollout.teacher=traces"),
        ]

    return write


def listed(help_text):
    """The first words of the rows in a help page's boxes."""
    rows = [line.strip("│ ").split() for line in help_text.splitlines() if line.startswith("│")]
    return [row[0] for row in rows if row]


def test_the_commands_are_these(command):
    code, out, _ = command("--help")
    assert code == 0
    assert [word for word in listed(out) if not word.startswith("--")] == COMMANDS


def test_the_train_commands_are_these(command):
    _, out, _ = command("train", "--help")
    assert [word for word in listed(out) if not word.startswith("--")] == TRAIN_COMMANDS


def test_the_options_of_run_are_these(command):
    _, out, _ = command("run", "--help")
    assert [word for word in listed(out) if word.startswith("--")] == RUN_OPTIONS


@pytest.mark.parametrize("arguments", [[], ["train"], ["--help"], ["train", "sft", "--help"]])
def test_help_is_there_where_it_is_looked_for(arguments, command):
    _, out, err = command(*arguments)
    assert "Usage: " in out + err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sft.bacth_size=4", "unknown key 'sft.bacth_size'; the nearest is 'sft.batch_size'"),
        ("sfft.batch_size=4", "unknown key 'sfft'; the nearest is 'sft'"),
        ("sft.batch_size=0", "sft.batch_size is 0; input should be greater than or equal to 1"),
        ("rollout.top_p=1.5", "rollout.top_p is 1.5"),
        ("rollout.teacher=oracle", "rollout.teacher is 'oracle'; input should be 'embedded'"),
        ("sft.batch_size", "is not of the form section.key=value"),
        ("batch_size=4", "is not of the form section.key=value"),
        ('run.stages=["sft", "midtrain"]', "in the order"),
        ("questions.limit=0", "procedural questions are endless"),
        ("rollout.teacher=openai", "rollout.base_url is empty"),
    ],
)
def test_a_bad_override_is_one_line(override, message, fails, tmp_path):
    assert message in fails("run", SMOKE, "--set", override)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[sft]\nbatchsize = 3\n", "unknown key 'sft.batchsize'; the nearest is 'sft.batch_size'"),
        ("[sft\n", "is not valid TOML"),
        ("seed = 3\n", "unknown key 'seed'"),
    ],
)
def test_a_bad_recipe_is_one_line_naming_the_file(text, message, fails, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    line = fails("run", path)
    assert message in line and str(path) in line


def test_a_missing_recipe_is_one_line(fails, tmp_path):
    assert "does not exist" in fails("run", tmp_path / "none.toml")
    assert "does not exist" in fails("run", tmp_path)


@pytest.mark.parametrize("name", ["none", "empty"])
def test_a_missing_model_folder_is_one_line(name, fails, tmp_path):
    (tmp_path / "empty").mkdir()
    base = f"model.base={tmp_path / name}"
    line = fails("run", SMOKE, "--set", base, "--only", "evaluate-base")
    assert str(tmp_path / name) in line


def test_an_unreadable_model_is_one_line(fails, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    base = f"model.base={tmp_path}"
    assert "cannot load the model" in fails("evaluate", SMOKE, "--set", base)


def test_a_malformed_line_is_one_line_with_file_and_number(fails, traces):
    arguments = traces(ROWS[0], '{"question": "What')
    assert "train.jsonl:2: not valid JSON" in fails("rollout", SMOKE, *arguments)


def test_a_question_without_an_answer_is_one_line_with_file_and_number(fails, traces):
    arguments = traces(*ROWS, {"question": "What is 7 plus 7?"})
    assert "train.jsonl:6: no answer" in fails("rollout", SMOKE, *arguments)


def test_a_missing_question_file_is_one_line(fails, tmp_path):
    sources = f'questions.sources=["{tmp_path / "none.jsonl"}"]'
    assert "none.jsonl does not exist" in fails("rollout", SMOKE, "--set", sources)


def test_an_unknown_source_is_one_line(fails):
    line = fails("rollout", SMOKE, "--set", 'questions.sources=["procedral"]')
    assert "procedral does not exist" in line


@pytest.mark.parametrize("benchmark", ["embeded-math", "nowhere/test.jsonl"])
def test_an_unknown_benchmark_is_one_line(benchmark, fails):
    line = fails("rollout", SMOKE, "--set", f'evaluate.benchmarks=["{benchmark}"]')
    assert benchmark in line


def test_two_benchmarks_of_one_name_are_one_line(fails, tmp_path):
    names = '["a/test.jsonl", "b/test.jsonl"]'
    assert "would be called 'test'" in fails("run", SMOKE, "--set", f"evaluate.benchmarks={names}")


def test_an_empty_selection_is_one_line_naming_the_filter_and_keeps_what_was_done(
    fails, traces, tmp_path
):
    wrong = [{**row, "solution": "\\boxed{1000}"} for row in ROWS]
    line = fails("run", SMOKE, *traces(*wrong), "--until", "curate")
    assert "dropped: 5 incorrect" in line
    assert (tmp_path / "run" / "verify" / "manifest.json").is_file()


def test_a_pass_rate_that_no_prompt_has_is_one_line(fails, smoke_run, smoke_arguments, tmp_path):
    run_dir = copied(smoke_run, tmp_path / "run", "questions", "dpo", "curate")
    bounds = ["--set", "rlvr.min_pass_rate=0.999", "--set", "rlvr.max_pass_rate=1.0"]
    line = fails("train", "rlvr", *smoke_arguments, *bounds)
    assert "no prompts left of 10 rows; dropped:" in line and "solved too rarely" in line
    assert (run_dir / "dpo" / "manifest.json").is_file()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no file"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("def other(question, response, answer):\n    return 1.0\n", "reward"),
    ],
)
def test_a_reward_of_one_s_own_that_cannot_be_loaded_stops_a_run_before_its_first_step(
    text, message, fails, tmp_path
):
    path = tmp_path / "mine.py"
    if text:
        path.write_text(text)
    line = fails("run", SMOKE, "--set", f'rlvr.rewards={{"{path}:reward" = 1.0}}')
    assert f"the reward '{path}:reward' cannot be loaded: " in line and message in line
    assert not (tmp_path / "run" / "questions").exists()


def copied(run_dir, target, *steps):
    import shutil

    for step in steps:
        shutil.copytree(run_dir / step, target / step)
    return target


def test_a_damaged_manifest_is_one_line(fails, smoke_run, smoke_arguments, tmp_path):
    run_dir = copied(smoke_run, tmp_path / "run", "questions", "rollout")
    (run_dir / "questions" / "manifest.json").write_text("{")
    assert "questions/manifest.json is not readable JSON" in fails("verify", *smoke_arguments)


def test_a_changed_key_is_one_line_with_both_values(fails, smoke_run, smoke_arguments, tmp_path):
    copied(smoke_run, tmp_path / "run", "questions")
    line = fails("rollout", *smoke_arguments, "--set", "run.seed=5")
    assert "run.seed was 0, is now 5" in line


def test_a_step_before_its_input_is_one_line(fails):
    assert "reads curate, which is not finished" in fails("train", "sft", SMOKE)


@pytest.mark.parametrize("place", ["/proc/none/run", "{file}/run"])
def test_a_place_that_cannot_be_written_is_one_line(place, fails, tmp_path):
    (tmp_path / "file").write_text("")
    line = fails("run", SMOKE, out=place.format(file=tmp_path / "file"))
    assert line.startswith("error: cannot write to ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "slf"], "there is no step 'slf'; the nearest is 'sft'"),
        (["--from", "nothing"], "there is no step 'nothing'"),
        (["--from", "report", "--until", "sft"], "nothing would run"),
        (["--only", "sft", "--until", "dpo"], "leave out --from and --until"),
    ],
)
def test_an_unknown_step_is_one_line(arguments, message, fails):
    assert message in fails("run", SMOKE, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--toggle", "rebalance"],
            "there is no toggle 'rebalance'; there are prompt_",
        ),
        (["--against", "trpo"], "there is no algorithm 'trpo'; there are grpo"),
        (["--against", "grpo"], "rlvr.algorithm is 'grpo' already"),
        (["--set", 'run.stages=["sft"]'], "run.stages has no 'rlvr'"),
        (["--set", "rlvr.sede=3"], "unknown key 'rlvr.sede'; the nearest is 'rlvr.seed'"),
    ],
)
def test_what_cannot_be_ablated_is_one_line(arguments, message, fails, tmp_path):
    assert message in fails("ablate", SMOKE, *arguments)
    assert not (tmp_path / "run").exists()


def test_a_stage_that_the_recipe_leaves_out_is_one_line(fails):
    assert "there is no step 'pretrain'" in fails("train", "pretrain", SMOKE)


@pytest.mark.parametrize(
    "arguments", [["run"], ["walk"], ["run", "a", "b"], ["run", "a", "--bogus"], ["train", "tpo"]]
)
def test_wrong_usage_shows_how_it_goes(arguments, command):
    code, _, err = command(*arguments)
    assert code == 2
    assert "Usage:" in err and "Traceback" not in err


def test_an_unexpected_error_is_one_line_too_and_says_how_to_see_more(command, monkeypatch):
    monkeypatch.setattr("minireason.recipe_file.load_recipe", lambda *_: 1 / 0)
    monkeypatch.delenv("MINIREASON_TRACEBACK", raising=False)
    code, _, err = command("run", SMOKE)
    assert code == 1
    assert (
        err == "error: ZeroDivisionError: division by zero (MINIREASON_TRACEBACK=1 shows where)\n"
    )
    monkeypatch.setenv("MINIREASON_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        command("run", SMOKE)


def test_a_dry_run_prints_the_recipe_and_the_states_and_writes_nothing(
    command, smoke_run, smoke_arguments, smoke_recipe, tmp_path
):
    import tomllib

    run_dir = copied(smoke_run, tmp_path / "run", "questions", "rollout")
    (run_dir / "rollout" / "manifest.json").rename(run_dir / "rollout" / "started.json")
    before = sorted(run_dir.rglob("*"))
    code, out, _ = command("run", *smoke_arguments, "--out", run_dir, "--dry-run")
    printed, _, states = out.partition("\ndone ")
    assert code == 0
    assert tomllib.loads(printed) == smoke_recipe.model_dump()
    first = [line.split() for line in f"done {states}".splitlines()[:3]]
    assert first == [["done", "questions"], ["interrupted", "rollout"], ["to", "do", "verify"]]
    assert sorted(run_dir.rglob("*")) == before


def test_a_dry_run_of_a_new_run_makes_no_folder(command, smoke_arguments, tmp_path):
    code, out, _ = command("run", *smoke_arguments, "--out", tmp_path / "run", "--dry-run")
    assert code == 0
    assert out.count("to do ") == 16
    assert not (tmp_path / "run").exists()


def test_the_run_folder_is_named_after_the_recipe(command, smoke_arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command("run", *smoke_arguments, "--only", "questions")
    assert (tmp_path / "runs" / "smoke" / "questions" / "manifest.json").is_file()


def test_a_report_is_made_of_what_there_is(command, smoke_run, smoke_arguments, tmp_path):
    copied(smoke_run, tmp_path / "run", "questions", "evaluate-base")
    code, out, err = command("report", *smoke_arguments, "--out", tmp_path / "run")
    assert code == 0, err
    assert "report.html" in out and "base" in out


def test_a_real_process_ends_the_same_way(tmp_path):
    code = "from minireason.cli import main; main()"
    arguments = ["run", str(SMOKE), "--set", "sft.batch_size=0", "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {SMOKE}: sft.batch_size is 0;")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_says_how_to_go_on(command, monkeypatch):
    def interrupt(self, chosen):
        raise KeyboardInterrupt

    monkeypatch.setattr("minireason.runner.Runner.run", interrupt)
    code, _, err = command("run", SMOKE)
    assert (code, err) == (130, "interrupted; run the same command again to go on\n")


def test_a_file_of_responses_is_verified_by_itself(command, tmp_path):
    source = tmp_path / "responses.jsonl"
    rows = [{"out": f"\\boxed{{{n}}}", "gold": "4"} for n in (3, 4)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = command(
        "verify", source, "--response-column", "out", "--answer-column", "gold"
    )
    assert code == 0, err
    written = tmp_path / "responses.verified.jsonl"
    assert out.strip() == str(written)
    verdicts = [json.loads(line)["verdict"] for line in written.read_text().splitlines()]
    assert verdicts == ["incorrect", "correct"]
    assert "correct             1   50.0 %" in err
    source.write_text('{"response": "3 and 4.\\nSo 12", "answer": "12"}\n')
    assert "incorrect           1  100.0 %" in command("verify", source)[2]
    assert "correct             1  100.0 %" in command("verify", source, "--unmarked")[2]


def test_a_file_of_responses_that_cannot_be_used_is_named(fails, tmp_path):
    source = tmp_path / "responses.jsonl"
    source.write_text('{"response": "4", "answer": "4"}\n{"response": \n')
    out = tmp_path / "out.jsonl"
    assert "responses.jsonl:2: not valid JSON" in fails("verify", source, out=out)
    assert "does not exist" in fails("verify", tmp_path / "none.jsonl", out=out)
    source.write_text('{"response": "4", "answer": "4"}\n')
    assert "no column 'text'" in fails("verify", source, "--response-column", "text", out=out)


def test_a_file_of_responses_is_judged_where_a_judge_is_given(command, fails, serve, tmp_path):
    from chat_server import completion

    source = tmp_path / "responses.jsonl"
    source.write_text('{"response": "\\\\boxed{two pairs}", "answer": "4", "q": "2 + 2?"}\n')
    server = serve(lambda request, n: completion("Verdict: correct"))
    judge = ("--judge-url", server.url, "--judge-model", "j", "--question-column", "q")
    code, _, err = command("verify", source, *judge)
    assert code == 0 and "correct             1  100.0 %" in err
    assert "2 + 2?" in server.requests[0][1]["messages"][0]["content"]
    assert (tmp_path / "responses.verified.judge.jsonl").is_file()
    out = tmp_path / "out.jsonl"
    assert "a URL and no model" in fails("verify", source, "--judge-url", server.url, out=out)


def test_what_an_error_quotes_does_not_command_the_terminal(capsys):
    assert cli._complain("error: a server said \x1b[2J\x07 no", 2) == 2
    assert capsys.readouterr().err == "error: a server said \ufffd[2J\ufffd no\n"
