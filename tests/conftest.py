"""A base model of random weights, taught in seconds to answer any question with a letter.

A quarter of its answers to multiple-choice questions are right, so that preference pairs and
rewards exist. The tests that use it do not depend on the weights that the package carries.
"""

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# A run started in the background inherits an ignored SIGINT, which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """The folder of the tiny base model."""
    from random import Random

    from minireason.model.chat import Chat
    from minireason.model.load import LanguageModel, save_model
    from minireason.model.threads import use_threads
    from minireason.model.tiny import build_model, build_tokenizer
    from minireason.problems.facts import tokenizer_corpus
    from minireason.train.data import Layout, PackedData
    from minireason.train.learner import Learner
    from minireason.train.loop import train
    from minireason.train.objectives.next_token import NextToken
    from minireason.train.optimizer import OptimizerSettings
    from minireason.workbench import conversation

    use_threads(1)
    folder = tmp_path_factory.mktemp("base")
    corpus = list(tokenizer_corpus(200, seed=0))
    tokenizer = build_tokenizer(corpus)
    model, chat, rng = build_model(len(tokenizer), seed=0, num_layers=1), Chat(tokenizer), Random(0)
    units = []
    for text in corpus[::3]:
        answer = {"role": "assistant", "content": f"\\boxed{{{rng.choice('ABCD')}}}"}
        units.append([conversation(chat, [{"role": "user", "content": text}, answer])])
    layout = Layout(
        seq_length=512, batch_size=4, micro_batch_size=4, packing="best-fit", epochs=9, max_steps=40
    )
    settings = OptimizerSettings(3e-3, 0.0, 0.9, 0.95, 1.0, 0.1, "constant", 1000)
    train(Learner(model, settings), PackedData(units, layout, seed=0), NextToken(), folder)
    save_model(LanguageModel(model, tokenizer), folder)
    return folder


@pytest.fixture(scope="session")
def smoke_arguments(base):
    """Recipe and overrides of the smoke run: small shards, questions the base can answer.

    The base's tokenizer has seen few texts, so that a long solution may not fit. The learning
    rates are small enough for the model to go on answering with letters.
    """
    overrides = [f"model.base={base}", "questions.choice_fraction=1.0", "rollout.shard_size=8"]
    overrides += [f"{stage}.overlong=drop" for stage in ("midtrain", "sft", "dpo")]
    overrides += [f"{stage}.learning_rate=1e-5" for stage in ("midtrain", "sft")]
    overrides += ["rlvr.learning_rate=1e-6"]  # a weight off by rounding must not flip a token
    return [str(RECIPES / "smoke.toml"), *(word for o in overrides for word in ("--set", o))]


@pytest.fixture(scope="session")
def smoke_recipe(smoke_arguments):
    from minireason.recipe_file import load_recipe

    return load_recipe(Path(smoke_arguments[0]), smoke_arguments[2::2])


@pytest.fixture(scope="session")
def smoke_run(smoke_recipe, tmp_path_factory):
    """The folder of a whole uninterrupted run of recipes/smoke.toml; do not write to it."""
    from minireason.progress import Progress
    from minireason.runner import Runner

    runner = Runner(smoke_recipe, tmp_path_factory.mktemp("smoke") / "run", Progress(is_quiet=True))
    runner.run(runner.choose())
    return runner.run_dir


@pytest.fixture
def command(monkeypatch, capsys):
    """Run the command line in this process: exit code, standard output, standard error."""
    from minireason.cli import main

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["minireason", *map(str, arguments)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture(scope="session")
def forked():
    """Processes forked from one that has imported torch.

    A forked process is as real to signals and files as a new one, and starts in no time.
    """
    import multiprocessing

    context = multiprocessing.get_context("forkserver")
    stages = [f"minireason.stages.{name}" for name in ("dpo", "evaluate", "report", "rlvr", "sft")]
    context.set_forkserver_preload(["minireason.cli", "minireason.runner", *stages])
    return context


@pytest.fixture(scope="session")
def start(forked, tmp_path_factory):
    """Start the command line in a process of its own."""
    folder = tmp_path_factory.mktemp("output")

    def begin(*arguments, name="output"):
        output = folder / f"{name}.txt"
        code = (
            "import os, sys\n"
            f"file = os.open({str(output)!r}, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)\n"
            "os.dup2(file, 1), os.dup2(file, 2)\n"
            f"sys.argv = ['minireason', *{[str(a) for a in arguments]!r}]\n"
            "from minireason.cli import main\n"
            "main()\n"
        )
        process = forked.Process(target=exec, args=(code, {}))
        process.start()
        process.output = output
        return process

    return begin


@pytest.fixture
def processes(forked, tmp_path_factory):
    """Start a function of a test file, or `processes.command`, in several processes at once."""
    from processes import Processes

    begun = []

    def begin(size, function, *arguments):
        folder = tmp_path_factory.mktemp("processes")
        begun.append(Processes(forked, folder, size, function, arguments))
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()


@pytest.fixture
def serve(monkeypatch):
    """Start chat servers on this machine that answer as they are told."""
    from chat_server import ChatServer

    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    servers = []

    def start(answer):
        servers.append(ChatServer(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
