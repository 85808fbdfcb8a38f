"""Carry out an ablation: the base run, every variant with every seed, and the report.

    OUT/base/                    the run up to the model that RLVR starts from, unless one is given
    OUT/VARIANT/seed-K/          a run folder of its own
    OUT/ablation.json, .md, .html

Everything is an ordinary run folder, so the same command goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minireason.ablation.design import Study, Variant, variant_recipe
from minireason.ablation.jobs import Job, run_jobs
from minireason.ablation.outcome import (
    Outcome,
    generated_tokens,
    metrics_lines,
    read_grids,
    read_outcome,
)
from minireason.ablation.summary import (
    Summary,
    comparisons_of,
    effects_of,
    rows_of,
    start_of,
)
from minireason.ablation.variant import PROMPTS, Run, needed, noise_name
from minireason.errors import MinireasonError
from minireason.progress import Progress
from minireason.recipe import Recipe
from minireason.recipe_file import parse_recipe
from minireason.runfolder import StepFolder, lock
from minireason.runner import Runner


@dataclass(frozen=True, slots=True)
class Means:
    """With what an ablation is carried out.

    `base` is a run folder that is taken as it is, where the steps that are needed are finished.
    `tokens` is what a run generates, 0 for the recipe's; `threads` those of a run, 0 likewise.
    """

    base: Path | None = None
    tokens: int = 0
    jobs: int = 1
    threads: int = 0


class Ablation:
    """A recipe's study in a folder."""

    def __init__(
        self, recipe: Recipe, study: Study, out: Path, means: Means, progress: Progress
    ) -> None:
        study.check(recipe)
        self.recipe, self.study, self.out, self.means = recipe, study, out, means
        self.progress = progress
        self.base = Runner(recipe, means.base or out / "base", progress)
        data = recipe.model_dump()
        threads = means.threads or recipe.run.threads
        self.varied = parse_recipe(data | {"run": data["run"] | {"threads": threads}})
        self.variants = study.variants(recipe.rlvr.algorithm)
        self.failed: dict[str, str] = {}

    def run(self) -> Summary:
        """Do what is to do, and sum up what there is.

        Raises MinireasonError where there is nothing to compare.
        """
        with lock(self.out):
            self._finish_base()
            first = self._run_of(self.variants[0], 0, tokens=0)
            tokens = self.means.tokens or self.recipe.rlvr.token_budget
            runs = self._runs(tokens, first)
            self._select_prompts(runs)
            if not tokens:
                tokens = self._spent_by(first)
                runs = self._runs(tokens, first)
            self._train(runs)
            return self._summary(runs, tokens)

    def _finish_base(self) -> None:
        """Run the recipe up to the model before RLVR, unless it is there."""
        names = needed(self.base.steps)
        folders = [StepFolder(name, self.base.run_dir / name, {}, {}) for name in names]
        if self.means.base and all(folder.is_finished for folder in folders):
            return
        before = [step.name for step in self.base.steps].index(PROMPTS)
        steps = self.base.choose(last=self.base.steps[before - 1].name)
        if any(self.base.state(step) != "done" for step in steps):
            self.base.run(steps)

    def _run_of(self, variant: Variant, seed: int, tokens: int) -> Run:
        recipe = variant_recipe(self.varied, variant, self.study.toggles, seed, tokens)
        folder = self.out / variant.name / f"seed-{seed}"
        return Run(variant, seed, folder, recipe, self.study.noise_steps)

    def _runs(self, tokens: int, first: Run) -> list[Run]:
        """Every variant with every seed, seed by seed; without a budget given, the first run keeps
        the recipe's number of steps, and what it generates is everyone's budget."""
        runs = [
            self._run_of(variant, seed, tokens)
            for seed in range(self.study.num_seeds)
            for variant in self.variants
        ]
        is_given = self.means.tokens or self.recipe.rlvr.token_budget
        return runs if is_given else [first, *runs[1:]]

    def _select_prompts(self, runs: Sequence[Run]) -> None:
        """The prompts once for all runs whose settings of them are equal."""
        owners: dict[str, Run] = {}
        for run in runs:
            owner = owners.setdefault(run.prompts_config, run)
            if owner is run:
                run.begin(self.base.run_dir)
        self._do([Job(run, [PROMPTS]) for run in owners.values()])
        for run in runs:
            owner = owners[run.prompts_config]
            if owner.name in self.failed:
                self.failed[run.name] = self.failed[owner.name]
            elif run is not owner:
                run.begin(self.base.run_dir)
                run.link(PROMPTS, owner.folder)

    def _spent_by(self, first: Run) -> int:
        """What the first run generates in its number of steps: the budget of the others."""
        if first.name not in self.failed:
            self._do([Job(first, first.steps)])
        if first.name in self.failed:
            raise MinireasonError(
                f"{first.name} failed, from which the others would have their number of tokens: "
                f"{self.failed[first.name]}"
            )
        tokens = int(generated_tokens(metrics_lines(first.folder)))
        self.progress.say(f"every run generates {tokens:,} tokens, as {first.name} has")
        return tokens

    def _train(self, runs: Sequence[Run]) -> None:
        ready = [run for run in runs if run.name not in self.failed]
        for run in ready:
            run.begin(self.base.run_dir)
        self._do([Job(run, run.steps) for run in ready])

    def _do(self, jobs: Sequence[Job]) -> None:
        """Carry out what is not done of the jobs."""
        missing = [Job(job.run, job.run.missing(job.steps)) for job in jobs]
        to_do = [job for job in missing if job.steps]
        if to_do:
            self.failed |= run_jobs(to_do, self.means.jobs, self.progress)

    def _summary(self, runs: Sequence[Run], tokens: int) -> Summary:
        """Of the runs that are finished, in the order of the variants."""
        noise = noise_name(self.study.noise_steps)
        outcomes: dict[Variant, dict[int, Outcome]] = {}
        for variant in self.variants:
            for run in runs:
                if run.variant == variant and run.name not in self.failed:
                    found = outcomes.setdefault(variant, {})
                    found[run.seed] = read_outcome(run.folder, noise)
        if not outcomes:
            first, why = next(iter(self.failed.items()))
            raise MinireasonError(f"every run failed; {first}: {why}")
        evaluated = next(n for n in needed(self.base.steps) if n.startswith("evaluate-"))
        return Summary(
            name=self.recipe.run.name,
            tokens=tokens,
            study=self.study,
            before=start_of(read_grids(self.base.run_dir / evaluated)),
            rows=rows_of(self.study, outcomes),
            effects=effects_of(self.study, outcomes),
            comparisons=comparisons_of(self.study, outcomes, self.recipe.rlvr.algorithm),
            failed=self.failed,
        )
