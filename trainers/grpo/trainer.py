"""TRL's GRPO trainer with our advantages, our refilled groups and the supervised term that keeps rules alive.

Hooks, three of them private, which is why TRL is pinned (a test names them): the sampler repeats prompts as planned,
`_generate` may put the expert's answer into groups that are seldom right, `_generate_and_score_completions` draws anew
for groups without a signal and puts (B, T) advantages in the place of TRL's (B,), `compute_loss` adds expert rows to
every micro-batch. TRL keeps the loops, generation, KL and clipping.

Left out of textbook GRPO: several optimisation passes over the same rollouts, and rollouts of another process's model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from transformers import TrainerState
from trl import GRPOTrainer

from storage.errors import UserError
from storage.grades import Scale
from trainers.grpo.config import GrpoConfig
from trainers.grpo.judging import exact_grades, judge
from trainers.grpo.prompt_order import PromptOrder
from trainers.grpo.rollout_batches import replace_groups
from trainers.objectives.advantages import AdvantageMethod, Rollouts, advantages, carries_signal
from trainers.objectives.grade_gradient import exact_grade_loss, with_rest
from trainers.objectives.losses import IGNORED
from trainers.objectives.mode_balance import DrawnRows, SftWeight, sft_loss
from trainers.objectives.rewards import REWARDS, Gold
from trainers.objectives.sampling import coefficient_of_variation, expert_places, in_accuracy_window
from trainers.objectives.segments import GRADE, NOWHERE
from trainers.objectives.token_log_probs import completion_log_probs
from trainers.order.planned_order import PlannedOrder
from trainers.rows.encoding import EncodedRow
from trainers.rows.padding import RightPadding
from trainers.runs.recorder import RunRecorder, take

STREAM = 1_000_003  # between the seeds of draws that must not go together; neighbours of a seed are other runs
LOGGED = (
    "loss", "reward", "sft_loss", "sft_weight", "silent_rate", "group_accuracy", "expert_rate",
    "grade_variation", "kl", "entropy", "completions/mean_length", "completions/clipped_ratio", "grad_norm",
    "learning_rate", *(f"rewards/{name}" for name in REWARDS), *(f"missing/{name}" for name in REWARDS),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class GrpoPlan:
    """What a run trains on, row by row: prompts to sample from, what judges them, and the expert's own completions."""

    prompts: Sequence[str]
    golds: Sequence[Gold]
    experts: Sequence[EncodedRow]
    cited_rules: Sequence[Sequence[str]]
    scale: Scale
    grade_token_ids: tuple[int, ...]


class ModeBalancedTrainer(GRPOTrainer):
    """Stepwise GRPO beside SFT on expert rows. The dataset has the columns `prompt` and `row`."""

    def __init__(self, *, plan: GrpoPlan, config: GrpoConfig, **kwargs: Any) -> None:
        self._plan = plan
        self._settings = config
        prompts = partial(
            PromptOrder, [gold.grade for gold in plan.golds], plan.cited_rules,
            draw=config.prompt_draw, by_rule=config.prompts_by_rule, n_prompts=config.prompts_per_step,
        )  # fmt: skip
        self._prompts, self._reserve = prompts(seed=config.seed), prompts(seed=config.seed + STREAM)
        self._experts = DrawnRows(
            plan.cited_rules, config.sft_draw, n_rows=config.sft_rows, seed=config.seed + 2 * STREAM
        )
        self._sft_weight = SftWeight(config.sft_weight, config.sft_schedule, config.sft_weight_end, config.n_steps)
        self._asked: list[int] = []  # rows of the prompts that are sampled right now, one a rollout
        self._expert_places: list[int] = []  # rollouts among them that are the expert's own answer
        super().__init__(reward_funcs=self._exact_grades, **kwargs)
        self._padding = RightPadding(self._tokenizer.pad_token_id)

    def _get_train_sampler(self, dataset: Any = None) -> PlannedOrder:  # noqa: ARG002 - the hook's signature
        """Each step's prompts, as often as a group is large, and the whole once a micro-batch, as TRL asks."""
        order: list[int] = []
        for step in range(self._settings.n_steps):
            generation = [row for row in self._prompts.at(step) for _ in range(self._settings.group_size)]
            order += generation * self._settings.accumulation_steps
        return PlannedOrder(order)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write no card: it would look things up on the network."""

    def _exact_grades(self, completion_ids: list[list[int]], row: list[int], **_: Any) -> list[float | None]:
        """Return the strict outcome of each completion: what TRL logs as the reward."""
        golds = [self._plan.golds[at] for at in row]
        return list(exact_grades(completion_ids, golds, self._plan.scale, self._tokenizer))

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        """Return TRL's completions, with the expert's answer in place of a wrong one where `expert_below` asks for it.

        Its tokens were not sampled, so what they add is no estimate of the policy's gradient: it is a step towards the
        expert's answer, as long as the advantage says.
        """
        prompt_ids, completion_ids, tool_mask, completions, *rest = super()._generate(prompts)
        self._expert_places = []
        if self._settings.expert_below:
            is_right = torch.tensor(self._exact_grades(completion_ids, self._asked)) == 1
            places = expert_places(is_right.reshape(-1, self._settings.group_size), below=self._settings.expert_below)
            completion_ids, completions = list(completion_ids), list(completions)
            for at in places.tolist():
                expert = list(self._plan.experts[self._asked[at]].completion)
                if self._exact_grades([expert], [self._asked[at]]) == [1.0]:  # not one that was cut in mid-reason
                    completion_ids[at] = expert
                    completions[at] = str(self._tokenizer.decode(expert, skip_special_tokens=True))
                    self._expert_places.append(at)
        return prompt_ids, completion_ids, tool_mask, completions, *rest

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Return a batch whose groups have a signal as far as `max_rounds` draws give one, with (B, T) advantages."""
        config, step = self._settings, self.state.global_step
        batch = self._sampled(inputs)
        for turn in range(config.max_rounds - 1):
            is_silent = ~batch["is_kept"].reshape(-1, config.group_size)[:, 0]
            if not bool(is_silent.any()):
                break
            rows = self._reserve.at(step * config.max_rounds + turn)[: int(is_silent.sum())]
            fresh = self._sampled(
                [{"prompt": self._plan.prompts[row], "row": row} for row in rows for _ in range(config.group_size)]
            )
            batch = replace_groups(batch, fresh, config.group_size, pad_token_id=self._tokenizer.pad_token_id)
        self._log_groups(batch)
        return batch

    def _sampled(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Return TRL's batch for some prompts with our advantages, `gold` (B,) places of grades and `is_kept` (B,)."""
        config = self._settings
        self._asked = [each["row"] for each in inputs]
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        is_counted = batch["completion_mask"].bool()
        ids = [row[counted].tolist() for row, counted in zip(batch["completion_ids"], is_counted, strict=True)]
        golds = [self._plan.golds[each["row"]] for each in inputs]
        judged = judge(ids, golds, self._plan.scale, self._tokenizer, group_size=config.group_size)
        segments = torch.full_like(batch["completion_ids"], NOWHERE)
        segments[:, : judged.rollouts.segments.shape[1]] = judged.rollouts.segments.to(segments.device)
        if config.is_grade_exact:
            segments = segments.masked_fill(segments == GRADE, NOWHERE)
        rollouts = Rollouts(judged.rollouts.rewards.to(segments.device), segments, config.group_size)
        per_token = advantages(
            rollouts, judged.verdicts.to(segments.device), config.method, clamp=config.advantage_clamp
        )  # fmt: skip
        is_kept = carries_signal(per_token, config.group_size)
        if config.method is not AdvantageMethod.STEP:
            window = in_accuracy_window(judged.is_right, low=config.accuracy_low, high=config.accuracy_high)
            is_kept &= window.to(is_kept.device)
        is_kept = is_kept.repeat_interleave(config.group_size)
        metrics = self._metrics["train"]
        is_own = torch.ones(len(ids), dtype=torch.bool)
        is_own[self._expert_places] = False  # what the expert answers says nothing of the model
        is_right = judged.is_right.flatten()[is_own].float().mean()
        if config.expert_below:
            metrics["expert_rate"].append(len(self._expert_places) * config.group_size / len(ids))
            metrics["reward"][-1] = float(is_right)
        for name, n_missing in judged.n_missing.items():
            metrics[f"missing/{name}"].append(n_missing / len(ids))
            known = judged.rollouts.rewards[is_own, list(REWARDS).index(name)]
            metrics[f"rewards/{name}"].append(float(known.nanmean()))
        metrics["silent_rate"].append(1 - float(is_kept.float().mean()))
        metrics["group_accuracy"].append(float(is_right))
        gold = torch.tensor([self._plan.scale.position(gold.grade) for gold in golds], device=segments.device)
        return batch | {"advantages": per_token * is_kept.unsqueeze(1), "gold": gold, "is_kept": is_kept}

    def _log_groups(self, batch: Mapping[str, torch.Tensor]) -> None:
        kept = batch["gold"][batch["is_kept"]][:: self._settings.group_size]
        counts = torch.bincount(kept, minlength=len(self._plan.scale.values)).tolist()
        if (variation := coefficient_of_variation(counts)) is not None:
            self._metrics["train"]["grade_variation"].append(variation)

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> torch.Tensor:
        """Return the policy's loss plus λ times the expert rows'; UserError when it is not finite."""
        loss: torch.Tensor = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        n_accumulated = self.current_gradient_accumulation_steps
        if self._settings.is_grade_exact:
            loss = loss + self._exact_grade_term(model, inputs) / n_accumulated
        weight = self._sft_weight.at(self.state.global_step, self._metrics["train"]["entropy"][-1])
        if weight:
            supervised = self._supervised(model, n_accumulated)
            self._metrics["train"]["sft_loss"].append(float(supervised.detach()) * n_accumulated)
            loss = loss + weight * supervised
        self._metrics["train"]["sft_weight"].append(weight)
        if not bool(torch.isfinite(loss)):
            raise UserError(
                f"the loss is not a finite number at step {self.state.global_step + 1}. Nothing was saved from this "
                "step. Lower learning_rate in the --config file and train again"
            )
        return loss

    def _exact_grade_term(self, model: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the exact grade loss of the micro-batch's prompts, weighed as one token of a rollout is."""
        logits = model(
            input_ids=inputs["prompt_ids"], attention_mask=inputs["prompt_mask"], logits_to_keep=1, use_cache=False
        ).logits[:, -1].float()  # fmt: skip
        wanted = torch.tensor(self._plan.grade_token_ids, device=logits.device)
        log_probs = (logits / self.temperature).log_softmax(dim=1)[:, wanted]
        rewards = torch.nn.functional.one_hot(inputs["gold"], len(wanted) + 1).to(log_probs.dtype)
        share = (1 / inputs["completion_mask"].sum(dim=1).clamp(min=1)).mean()
        return exact_grade_loss(with_rest(log_probs), rewards, is_normalised=True) * share

    def _supervised(self, model: torch.nn.Module, n_accumulated: int) -> torch.Tensor:
        """Return the expert rows' term of this micro-batch, drawn by step and place: a resumed run draws alike."""
        place = self.state.global_step * self._settings.accumulation_steps
        place += self._step % self._settings.accumulation_steps
        rows = [self._plan.experts[row] for row in self._experts.at(place)]
        batch = self._padding(
            [
                {"input_ids": r.prompt + r.completion, "labels": [IGNORED] * len(r.prompt) + r.completion, "row": 0}
                for r in rows
            ]
        )
        device = self.accelerator.device
        input_ids, labels = batch["input_ids"].to(device), batch["labels"].to(device)
        log_probs, is_counted = completion_log_probs(model, input_ids, labels)
        return sft_loss(log_probs, is_counted, n_accumulated=n_accumulated)


class GrpoRecorder(RunRecorder):
    """Writes metrics and progress of a GRPO run; stops at gradients that are not finite."""

    def line(self, state: TrainerState, logs: Mapping[str, float]) -> dict[str, Any]:
        return {"step": state.global_step, **take(logs, LOGGED)}

    def words(self, state: TrainerState, logs: Mapping[str, float]) -> str:  # noqa: ARG002
        return f"reward {logs['reward']:.3f}"
