import torch

from trainers.grpo.rollout_batches import replace_groups

PAD = 9


def batch(kept, prompts, completions, masks) -> dict:
    return {
        "prompt_ids": torch.tensor(prompts), "prompt_mask": torch.tensor(prompts).ne(PAD).int(),
        "completion_ids": torch.tensor(completions), "completion_mask": torch.tensor(masks),
        "advantages": torch.tensor(masks).float(), "gold": torch.arange(len(kept)), "is_kept": torch.tensor(kept),
        "num_items_in_batch": torch.tensor(sum(map(sum, masks))),
    }  # fmt: skip


def test_a_fresh_group_takes_the_place_of_a_silent_one_and_widths_are_made_alike() -> None:
    """Groups of two. The first is silent; of the fresh ones the second has a signal. Its prompts are one token longer,
    its completions one shorter: prompts are filled on the left, completions on the right.
    """
    ours = batch([False, False, True, True], [[1], [1], [2], [2]], [[5, 5, 5]] * 4, [[1, 1, 1]] * 4)
    fresh = batch(
        [False, False, True, True], [[PAD, 3], [PAD, 3], [4, 4], [4, 4]], [[6, 6]] * 4, [[1, 1], [1, 1], [1, 0], [1, 1]]
    )
    merged = replace_groups(ours, fresh, 2, pad_token_id=PAD)
    assert merged["prompt_ids"].tolist() == [[4, 4], [4, 4], [PAD, 2], [PAD, 2]]
    assert merged["prompt_mask"].tolist() == [[1, 1], [1, 1], [0, 1], [0, 1]]
    assert merged["completion_ids"].tolist() == [[6, 6, PAD], [6, 6, PAD], [5, 5, 5], [5, 5, 5]]
    assert merged["completion_mask"].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]]
    assert merged["advantages"].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1]]
    assert merged["gold"].tolist() == [2, 3, 2, 3]
    assert merged["is_kept"].all()
    assert merged["num_items_in_batch"] == 9
    assert ours["gold"].tolist() == [0, 1, 2, 3]  # what was given stays as it was


def test_with_nothing_fresh_the_batch_stays_and_spare_groups_are_left() -> None:
    ours = batch([False] * 4, [[1]] * 4, [[5]] * 4, [[1]] * 4)
    assert replace_groups(ours, batch([False] * 4, [[2]] * 4, [[6]] * 4, [[1]] * 4), 2, pad_token_id=PAD) is ours
    one = replace_groups(ours, batch([True, True], [[2]] * 2, [[6]] * 2, [[1]] * 2), 2, pad_token_id=PAD)
    assert one["prompt_ids"].flatten().tolist() == [2, 2, 1, 1]
    assert one["is_kept"].tolist() == [True, True, False, False]
