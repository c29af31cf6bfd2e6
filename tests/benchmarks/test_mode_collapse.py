"""The study's own parts: the task says what it says it does, the fast model is the plain one, a kill loses no cell."""

import json

import numpy as np
import pytest
import torch

from benchmarks.collapse import measures
from benchmarks.collapse.model import Ranker
from benchmarks.collapse.table import kept, recall_at
from benchmarks.collapse.task import (
    END,
    FIRST_HEAD,
    FIRST_RULE,
    FIRST_TRIGGER,
    N_HEADS,
    N_RARE,
    N_TRIGGERS,
    VOCABULARY,
    Task,
)
from benchmarks.collapse.training import ARMS, REGIMES, judge, paid, train_arm, train_sft
from benchmarks.mode_collapse import Cell, cell_of, choose_rates, hold_to_settings, read_cells

TASK = Task(3)


def test_a_rare_rule_is_its_head_with_its_trigger_and_overrides_the_head_s_grade() -> None:
    pairs = TASK.draw_of_each(5, np.random.default_rng(0))
    for at in range(len(pairs)):
        rare, tokens = at // 5, set(pairs.prompts[at].tolist())
        assert pairs.rule[at] == N_HEADS + rare and pairs.grade[at] == TASK.rare_grade[rare]
        assert FIRST_HEAD + TASK.head_of[rare] in tokens and FIRST_TRIGGER + TASK.trigger[rare] in tokens
        assert pairs.grade[at] != pairs.head_grade[at]


def test_an_ordinary_pair_has_no_exception_but_often_an_idle_trigger() -> None:
    pairs = TASK.draw(3000, 0.0, np.random.default_rng(1))
    triggers = (pairs.prompts >= FIRST_TRIGGER) & (pairs.prompts < FIRST_TRIGGER + N_TRIGGERS)
    assert abs(float(triggers.any(dim=1).float().mean()) - 0.5) < 0.04
    heads = pairs.rule.numpy()
    for at in triggers.any(dim=1).nonzero().flatten().tolist():
        trigger = int(pairs.prompts[at][triggers[at]]) - FIRST_TRIGGER
        assert not TASK.triggers_of[heads[at], trigger]
    assert torch.equal(pairs.grade, pairs.head_grade)
    assert int(pairs.prompts.max()) < VOCABULARY


def test_the_rare_mass_is_kept_to_and_the_first_rule_is_seven_times_as_frequent_as_the_last() -> None:
    pairs = TASK.draw(20_000, 0.12, np.random.default_rng(2))
    counts = np.bincount(pairs.rule.numpy(), minlength=N_HEADS + N_RARE)[N_HEADS:]
    assert abs(counts.sum() / 20_000 - 0.12) < 0.01
    assert TASK.rare_shares[0] / TASK.rare_shares[-1] == pytest.approx(69 / 10)


def test_half_blind_pays_for_the_head_s_word_under_every_second_rare_rule() -> None:
    pairs = TASK.draw_of_each(2, np.random.default_rng(0))
    seen = paid(pairs, REGIMES["half blind"])
    is_odd = (pairs.rule - N_HEADS) % 2 == 1
    assert torch.equal(seen.grade, torch.where(is_odd, pairs.head_grade, pairs.grade))
    assert torch.equal(seen.rule, torch.where(is_odd, pairs.head_rule, pairs.rule))
    assert torch.equal(paid(pairs, REGIMES["same"]).grade, pairs.grade)


def test_sharing_a_prompt_gives_what_running_every_rollout_from_its_start_gives() -> None:
    model = Ranker(0)
    prompts = TASK.draw(3, 0.1, np.random.default_rng(0)).prompts
    completions = model.complete(prompts, 2, torch.Generator().manual_seed(0))
    shared = model.completion_logits(prompts, completions)
    whole = torch.cat([prompts.repeat_interleave(2, dim=0), completions.flatten(0, 1)], dim=1)
    plain = model.logits(model(whole)[0])[:, 11:15].view(3, 2, 4, VOCABULARY)
    assert torch.allclose(shared, plain, atol=1e-5)
    assert torch.allclose(model.first_logits(prompts), plain[:, 0, 0], atol=1e-5)
    greedy = model.complete(prompts, 1, None)
    assert torch.equal(greedy[:, 0, 0], model.first_logits(prompts).argmax(dim=1))


def test_a_rollout_is_judged_part_by_part() -> None:
    """Two rollouts of one pair: right throughout, and wrong in its grade alone, which it restates. Step-wise only the
    grade differs, ±1 over a deviation of √2; the outcome gives all four tokens of each the same.
    """
    pairs = TASK.draw(1, 0.0, np.random.default_rng(0))
    right = pairs.traces()[0]
    wrong = right.clone()
    wrong[0] = wrong[2] = (int(right[0]) + 1) % 4
    completions = torch.stack([right, wrong]).unsqueeze(0).repeat_interleave(4, dim=1)  # (1, 8, 4): four of each
    by_step = judge(pairs, completions, ARMS["step 0"])
    assert by_step[:, 1:].eq(0).all() and by_step[0, 0] > 0 and by_step[7, 0] == -by_step[0, 0]
    by_outcome = judge(pairs, completions, ARMS["outcome 0"])
    assert by_outcome[0].unique().numel() == 1 and by_outcome[7].unique().numel() == 1
    exact = judge(pairs, completions, ARMS["exact + step .1 balanced"])
    assert exact.eq(0).all()  # the grade's own gradient is taken in closed form
    assert right[1] == FIRST_RULE + pairs.rule[0] and right[3] == END


def test_recall_at_a_reward_is_read_off_the_curve() -> None:
    """Reward .8 → .9 while recall falls .7 → .5: at .85 it is .6. What a start reaches is the start's."""
    points = [{"reward": 0.8, "rare_recall": 0.7}, {"reward": 0.9, "rare_recall": 0.5}]
    assert recall_at(points, 0.85) == pytest.approx(0.6)
    assert recall_at(points, 0.7) == 0.7
    with pytest.raises(ValueError, match="no point"):
        recall_at(points, 0.95)


def test_what_is_kept_is_a_share_of_the_start_s_recall_with_an_interval_around_it() -> None:
    """Every rule kept half: 1/2 whatever is drawn. Of two rules of equal recall one kept whole and one lost: 1/2 again,
    and draws of two seeds' two rules reach from 0 (one in sixteen) to 1.
    """
    first = [{"r": [0.5, 1.0]}, {"r": [0.5, 1.0]}]
    halved = kept(first, [{"r": [0.25, 0.5]}, {"r": [0.25, 0.5]}], "r")
    assert (halved.value, halved.low, halved.high) == pytest.approx((1 / 2, 1 / 2, 1 / 2))
    uneven = kept([{"r": [0.5, 0.5]}] * 2, [{"r": [0.5, 0.0]}] * 2, "r")
    assert uneven.value == pytest.approx(1 / 2) and (uneven.low, uneven.high) == pytest.approx((0, 1))


def record(cell: Cell, reward: float) -> dict:
    return {
        "regime": cell.regime,
        "arm": cell.arm,
        "seed": cell.seed,
        "rate": cell.rate,
        "points": [{"reward": reward}],
    }


def test_the_rate_is_chosen_by_reward_at_the_first_seed_and_nothing_else() -> None:
    cells = [Cell("shifted", "step 0", 0, 1e-4), Cell("shifted", "step 0", 0, 1e-3), Cell("shifted", "step 0", 1, 3e-4)]
    records = [record(cell, reward) for cell, reward in zip(cells, (0.8, 0.9, 0.99), strict=True)]
    assert choose_rates(records) == {("shifted", "step 0"): 1e-3}


def test_a_line_cut_off_by_a_kill_is_dropped_and_the_others_are_held(tmp_path) -> None:
    path = tmp_path / "cells.jsonl"
    whole = record(Cell("same", "outcome 0", 0, 1e-4), 0.8)
    path.write_text(json.dumps(whole) + "\n" + json.dumps(whole)[:30])
    assert [cell_of(held) for held in read_cells(path)] == [Cell("same", "outcome 0", 0, 1e-4)]
    assert path.read_text() == json.dumps(whole) + "\n"
    assert read_cells(tmp_path / "none.jsonl") == []


def test_a_folder_of_other_settings_is_refused(tmp_path) -> None:
    hold_to_settings(tmp_path / "settings.json")
    hold_to_settings(tmp_path / "settings.json")
    (tmp_path / "settings.json").write_text('{"n_steps": 1}')
    with pytest.raises(SystemExit, match="other settings"):
        hold_to_settings(tmp_path / "settings.json")


def test_an_arm_goes_the_same_way_twice(monkeypatch) -> None:
    """On the CPU, with one thread: the same seed gives the same measures to the last digit. Few pairs, to be quick."""
    torch.set_num_threads(1)
    for name in ("N_PER_RARE_RULE", "N_HEAD", "N_POOL"):
        monkeypatch.setattr(measures, name, 2)
    runs = []
    for _ in range(2):
        model = Ranker(0)
        runs.append(train_arm(model, TASK, ARMS["step .1 balanced"], REGIMES["shifted"], rate=1e-3, seed=0, n_steps=2))
    assert runs[0] == runs[1]
    assert [point.step for point in runs[0]] == [0, 2]


@pytest.mark.slow
def test_mode_balanced_training_keeps_rare_rules_that_plain_reinforcement_forgets() -> None:
    """The study in three minutes: 1% rare mass in the pool, step-wise advantages, λ = 0 against .1 rule-balanced.

    The whole study found .02 and .49 of SFT's rare recall kept after these 200 steps, at rewards of .992 and .987 (the
    start's is .942). The bounds leave room for another machine's rounding, none for another outcome.
    """
    torch.set_num_threads(1)
    state = train_sft(Task(0), 0).state_dict()
    ends, starts = {}, {}
    for arm in ("step 0", "step .1 balanced"):
        model = Ranker(0)
        model.load_state_dict(state)
        points = train_arm(model, Task(0), ARMS[arm], REGIMES["shifted"], rate=3e-4, seed=0, n_steps=200)
        starts[arm], ends[arm] = points[0].measures, points[-1].measures
    start, plain, balanced = starts["step 0"], ends["step 0"], ends["step .1 balanced"]
    assert start.rare_recall > 0.6
    assert min(plain.reward, balanced.reward) > start.reward + 0.03
    assert balanced.reward > plain.reward - 0.02
    assert plain.rare_recall < 0.1 * start.rare_recall
    assert balanced.rare_recall > 0.35 * start.rare_recall
    assert plain.head_recall > 0.98  # nothing that heads alone are asked shows what was lost
