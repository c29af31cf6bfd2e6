"""vLLM is TRL's to run: what is configured of it is handed on, and what cannot be had is told before the first step."""

from pathlib import Path

import pytest
import torch

from storage.errors import UserError
from trainers.grpo import train as grpo
from trainers.grpo.config import GrpoConfig, read_config
from trainers.grpo.rollout_batches import replace_groups
from trainers.runs.directory import RunDirectory

SERVED = {"use_vllm": True, "vllm_mode": "server", "vllm_server_base_url": "http://127.0.0.1:8000"}
BASE = {"model": "run_1", "device": "cpu"}


def test_a_server_is_handed_on_to_trl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpo, "find_spec", lambda _: object())
    made = grpo._trl_config(GrpoConfig(**BASE, **SERVED), RunDirectory(tmp_path / "run_2"), n_completion_tokens=8)
    assert (made.use_vllm, made.vllm_mode, made.vllm_server_base_url) == (True, "server", "http://127.0.0.1:8000")


def test_without_it_trl_samples_by_the_model(tmp_path: Path) -> None:
    made = grpo._trl_config(GrpoConfig(**BASE), RunDirectory(tmp_path / "run_2"), n_completion_tokens=8)
    assert made.use_vllm is False


def test_vllm_that_is_missing_or_has_no_gpu_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDirectory(tmp_path / "run_2")
    monkeypatch.setattr(grpo, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"needs vLLM, which is not installed here.*trl\[vllm\]"):
        grpo._trl_config(GrpoConfig(**BASE, **SERVED), run, n_completion_tokens=8)
    monkeypatch.setattr(grpo, "find_spec", lambda _: object())
    with pytest.raises(UserError, match=r"shares the GPU that trains, and this run trains on a CPU"):
        grpo._trl_config(GrpoConfig(**BASE, use_vllm=True), run, n_completion_tokens=8)


@pytest.mark.parametrize("changed", [{"vllm_mode": "server"}, {"vllm_server_base_url": "http://127.0.0.1:8000"}])
def test_a_server_and_its_address_go_together(changed: dict[str, str]) -> None:
    with pytest.raises(UserError, match="go together"):
        read_config(None, {"model": "run_1", "use_vllm": True, **changed})


def test_what_vllm_adds_to_a_batch_moves_with_its_group() -> None:
    """TRL adds each token's log-probability in vLLM and their ratio; the second group is replaced by a wider one."""
    kept = torch.tensor([True, True, False, False])

    def batch(width: int, value: float, is_kept: torch.Tensor) -> dict[str, torch.Tensor]:
        names = ("importance_sampling_ratio", "sampling_per_token_logps", "old_per_token_logps", "completion_mask")
        return {name: torch.full((4, width), value) for name in names} | {"is_kept": is_kept}

    merged = replace_groups(batch(2, 1.0, kept), batch(3, 5.0, ~kept), 2, pad_token_id=0)
    for name in ("importance_sampling_ratio", "sampling_per_token_logps", "old_per_token_logps"):
        assert merged[name].tolist() == [[1, 1, 0], [1, 1, 0], [5, 5, 5], [5, 5, 5]]
