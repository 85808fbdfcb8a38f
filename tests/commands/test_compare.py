"""The command on folders whose names and settings look like markup."""

from minireason.records import EvalSample, write_records
from minireason.runfolder import write_json


def sample(verdict):
    return EvalSample(
        benchmark="sums",
        question_id="q",
        index=0,
        question="1 + 1?",
        answer="2",
        response="2",
        verdict=verdict,
        extracted="2",
        method="exact",
        finish_reason="stop",
        num_tokens=1,
    )


def test_brackets_in_names_and_prompts_are_shown_as_they_are(command, tmp_path):
    for name, prompt, verdict in (("[a]", "[/b] {question}", "correct"), ("c", "q", "incorrect")):
        (tmp_path / name / "samples").mkdir(parents=True)
        path = tmp_path / name / "samples" / "sums.parquet"
        write_records(path, [sample(verdict)], EvalSample)
        write_json(tmp_path / name / "summary.json", {"sampling": {"prompt": prompt}})
    code, out, err = command("compare", tmp_path / "[a]", tmp_path / "c")
    assert code == 0, err
    assert "Against [a], paired" in " ".join(out.split())
    assert "prompt differs: [a] '[/b] {question}', c 'q'" in out


def test_one_evaluation_cannot_be_compared(command, tmp_path):
    (tmp_path / "samples").mkdir()
    write_records(tmp_path / "samples" / "sums.parquet", [sample("correct")], EvalSample)
    write_json(tmp_path / "summary.json", {"sampling": {}})
    code, _, err = command("compare", tmp_path)
    assert code == 2 and "needs two or more" in err


def test_a_summary_that_is_none_is_one_line(command, tmp_path):
    (tmp_path / "samples").mkdir()
    write_records(tmp_path / "samples" / "sums.parquet", [sample("correct")], EvalSample)
    write_json(tmp_path / "summary.json", [1])
    code, _, err = command("compare", tmp_path, tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert "summary.json is no summary" in err


def test_a_folder_is_no_page(command, tmp_path):
    code, _, err = command("compare", tmp_path, "--out", tmp_path)
    assert code == 2 and "is a directory" in err
