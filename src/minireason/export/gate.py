"""The gate: no export is called good until it is measured beside its original.

Both answer the same questions greedily: the responses tell how long the two go along with each
other, and one generation serves agreement, accuracy and loops. Greedy or sampled once with the same
seeds, the paired interval of the loss is as wide (int4 of the tiny model, 570 questions: 7.1 points
both, since 46 and 43 % of the responses are the same to the letter); sampling leaves room for more,
and four samples narrow it to 4.6 points for three times the work (`num_samples`).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from minireason.edge.manifest import MANIFEST, Manifest, read_manifest
from minireason.errors import DataError, SamplingError
from minireason.evaluate.benchmarks import Asked
from minireason.evaluate.sample import ScoredSample
from minireason.evaluate.sampling import Sampling
from minireason.evaluate.settings import weights_hash
from minireason.export.agreement import BrokenError
from minireason.export.asking import Answer, Kept, answer, open_questions
from minireason.export.card import write_card
from minireason.export.footprint import Footprint, Runs, measure_footprint
from minireason.export.gate_result import Gate
from minireason.export.gate_settings import GateSettings
from minireason.export.judging import is_garbage, judged
from minireason.export.logits import open_logits
from minireason.export.measures import OVERALL, agreement, following, losses, responses
from minireason.export.run import MADE_WITH
from minireason.inference.local import LocalBackend
from minireason.inference.resolve import model_folder, open_local
from minireason.progress import Progress
from minireason.rollout.sampling import SamplingParams
from minireason.runfolder import lock, versions, write_json
from minireason.verify.verifier import Verifier

WORK = "gate"
"""The folder of an export that keeps the responses of a gate until its figures are stored."""

NEEDS = {"onnx": "onnxruntime_genai", "gguf": "llama_cpp", "torchao": "torchao"}
"""The package that an extra of this one brings."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An original with its answers: measured once for all its exports."""

    source: Path
    backend: LocalBackend
    weights: str
    settings: GateSettings
    questions: Sequence[Asked]
    answers: Sequence[Answer]
    samples: Sequence[ScoredSample]
    timed_ids: Sequence[int]
    footprint: Footprint


def gate_export(source: Path, exported: Path, settings: GateSettings, progress: Progress) -> Gate:
    """Run the gate of an export, store it in its `export.json` and write its card.

    What was measured elsewhere is not replaced by that it cannot be measured here.
    """
    is_measured = read_manifest(exported).gate is not None
    with lock(exported / WORK, instead="a copy of the export"):
        kept = Kept(exported / WORK, {"versions": versions(*MADE_WITH), "device": settings.device})
        try:
            gate = run_gate(source, exported, settings, progress, kept)
            if not (gate.not_run and is_measured):
                store_gate(exported, gate, source)
            kept.remove()
        finally:
            kept.close()
    return gate


def stored_gate(exported: Path, settings: GateSettings) -> Gate | None:
    """The gate that was stored, if it was run and with these settings."""
    stored = read_manifest(exported).gate
    if stored is None or stored["settings"] != _plain(settings) or stored["not_run"]:
        return None
    return Gate.model_validate(stored)


def store_gate(exported: Path, gate: Gate, source: Path | None = None) -> None:
    """Put the gate into `export.json` and the card; `source` is where the original lies."""
    manifest = read_manifest(exported)
    stored = manifest.model_copy(update={"gate": gate.model_dump(mode="json")})
    write_json(exported / MANIFEST, stored.model_dump(mode="json"))
    write_card(exported, source)


def run_gate(
    source: Path,
    exported: Path,
    settings: GateSettings,
    progress: Progress,
    kept: Kept | None = None,
) -> Gate:
    """Measure an export beside its original. Raises MissingError where one of them is not there.

    Responses that `kept` holds are not asked for again.
    """
    manifest = read_manifest(exported)
    folder = Path(model_folder(str(source)))
    weights = weights_hash(folder)
    if why := why_not_run(manifest):
        named = manifest.source.get("model", str(source))
        return Gate(settings=_plain(settings), original=named, weights=weights, not_run=why)
    _require_source(manifest, weights, exported, folder)
    reference = measure_reference(folder, settings, progress, kept, weights)
    return compare_export(reference, exported, progress, kept)


def why_not_run(manifest: Manifest) -> str:
    """Why this machine cannot run the export; empty where it can."""
    extra = "torchao" if manifest.format == "hf" else manifest.format
    is_plain = manifest.format == "hf" and manifest.bits > 8
    if not is_plain and importlib.util.find_spec(NEEDS[extra]) is None:
        return f"{NEEDS[extra]} is not installed here; pip install 'minireason[{extra}]'"
    if manifest.target == "cpu":
        return ""
    if manifest.format == "onnx" and manifest.target != "npu":
        import onnxruntime_genai as og

        is_there = {"cuda": og.is_cuda_available, "directml": og.is_dml_available}
        if is_there[manifest.target]():
            return ""
    return f"it is for {manifest.target}, which is not here; run `minireason gate` where it is"


def measure_reference(
    source: Path,
    settings: GateSettings,
    progress: Progress,
    kept: Kept | None = None,
    weights: str = "",
) -> Reference:
    """Load the original, have it answer, and time it under transformers in float32.

    `weights` is its hash where that is known: all of its bytes are read for it.
    """
    folder = Path(model_folder(str(source)))
    questions = open_questions(settings)
    backend = _open(folder, settings, settings.device)
    weights = weights or weights_hash(folder)
    asking = _Asking(questions, settings, progress, kept)
    answers, samples = asking.of(backend, weights)
    timed_ids = _timed_ids(answers, settings, backend.max_length)
    footprint = _footprint(folder, "transformers", timed_ids, settings)
    return Reference(
        folder,
        backend,
        weights,
        settings,
        questions,
        answers,
        samples,
        timed_ids,
        footprint,
    )


def compare_export(
    reference: Reference, exported: Path, progress: Progress, kept: Kept | None = None
) -> Gate:
    """Measure one export of the reference's model."""
    manifest, settings = read_manifest(exported), reference.settings
    _require_source(manifest, reference.weights, exported, reference.source)
    found: dict[str, Any] = {
        "settings": _plain(settings),
        "original": manifest.source.get("model", reference.backend.name),
        "weights": reference.weights,
        "versions": versions(*MADE_WITH),
        "original_responses": responses(reference.samples),
        "original_footprint": reference.footprint,
    }
    if why := why_not_run(manifest):
        return Gate(**found, not_run=why)
    runs: Runs = "transformers" if manifest.format == "hf" else "runtime"
    try:
        found["exported_footprint"] = _footprint(exported, runs, reference.timed_ids, settings)
        found |= _measured(reference, exported, manifest, progress, kept)
    except (BrokenError, SamplingError) as error:
        return judged(Gate(**found), manifest, settings, broken=str(error))
    return judged(Gate(**found), manifest, settings)


def _require_source(manifest: Manifest, weights: str, exported: Path, source: Path) -> None:
    """Raises DataError where the export was made from other weights."""
    if manifest.source.get("weights", weights) != weights:
        raise DataError(
            f"{exported} was made from {manifest.model} with other weights than those of "
            f"{source}; give the model it was made from, or export again"
        )


def _measured(
    reference: Reference,
    exported: Path,
    manifest: Manifest,
    progress: Progress,
    kept: Kept | None,
) -> dict[str, Any]:
    """The export fed the original's responses, and unless it is garbage its own answers."""
    settings = reference.settings
    backend = _open(exported, settings, "auto")
    with progress.track("following the original") as advance:
        pair = open_logits(reference.backend.engine), open_logits(backend.engine)
        along = following(*pair, reference.answers, advance)
    if is_garbage(along, settings):  # every answer would run into the limit
        return {"following": along}
    asking = _Asking(reference.questions, settings, progress, kept)
    answers, samples = asking.of(backend, manifest.files)
    lost = losses(reference.samples, samples)
    return {
        "following": along,
        "agreement": agreement(reference.answers, answers),
        "exported_responses": responses(samples),
        "overall": lost.pop(OVERALL),
        "benchmarks": lost,
    }


@dataclass(frozen=True, slots=True)
class _Asking:
    """The gate's questions, asked of the original and of the export in the same way."""

    questions: Sequence[Asked]
    settings: GateSettings
    progress: Progress
    kept: Kept | None

    def of(self, backend: LocalBackend, model: Any) -> tuple[list[Answer], list[ScoredSample]]:
        """The greedy answers, and the samples that are judged: theirs unless more are asked for.

        `model` tells this one from others.
        """
        settings = self.settings
        greedy = SamplingParams(temperature=0.0, max_tokens=settings.max_tokens, seed=settings.seed)
        answers = self._answers(backend, model, Sampling(1, greedy))
        if not settings.num_samples:
            return answers, [one.sample for one in answers]
        params = replace(greedy, temperature=settings.temperature, top_p=settings.top_p)
        sampled = self._answers(backend, model, Sampling(settings.num_samples, params))
        return answers, [one.sample for one in sampled]

    def _answers(self, backend: LocalBackend, model: Any, sampling: Sampling) -> list[Answer]:
        journal = self.kept.journal(model, self.questions, sampling) if self.kept else None
        with Verifier() as verifier:
            return answer(backend, self.questions, sampling, verifier, self.progress, journal)


def _open(folder: Path, settings: GateSettings, device: str) -> LocalBackend:
    return open_local(
        str(folder), device=device, max_batch=settings.max_batch, threads=settings.threads
    )


def _footprint(folder: Path, runs: Runs, ids: Sequence[int], settings: GateSettings) -> Footprint:
    return measure_footprint(
        folder,
        runs,
        ids,
        num_prompt=len(ids) - settings.num_timed,
        num_rounds=settings.num_rounds,
        threads=settings.threads,
    )


def _timed_ids(answers: Sequence[Answer], settings: GateSettings, max_length: int) -> list[int]:
    """Prompt and tokens for the clock: conversations one behind the other, as long as asked."""
    wanted = min(settings.num_prompt + settings.num_timed, max_length)
    ids = [token for one in answers for token in (*one.prompt_ids, *one.token_ids)]
    if not ids:
        raise DataError(f"no question fits the model's {max_length} tokens; ask another benchmark")
    return (ids * -(-wanted // len(ids)))[:wanted]


def _plain(settings: GateSettings) -> dict[str, Any]:
    """The settings as JSON has them, without where this machine has its benchmarks."""
    named = {name: value for name, value in asdict(settings).items() if name != "data"}
    return named | {"benchmarks": list(settings.benchmarks)}
