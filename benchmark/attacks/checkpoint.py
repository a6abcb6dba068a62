"""What a long attack has done so far, in a file from which an interrupted run goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from registry.write import set_aside, write_whole


@dataclass
class Progress:
    """After the members that have finished.

    Attributes:
        adversarial: [N,C,H,W], x itself where no member has succeeded.
        misclassified: [N] bool.
        robust: member → the share that stood after it.
        messages: what the package has logged.
    """

    adversarial: Tensor
    misclassified: Tensor
    robust: dict[str, float]
    messages: list[str]

    def save(self, path: Path, identity: str) -> None:
        """`identity` tells the attack, its settings and its images from others."""
        tensors = {
            "adversarial": self.adversarial.contiguous(),
            "misclassified": self.misclassified,
        }
        state = {
            "identity": identity,
            "robust": json.dumps(self.robust),
            "messages": json.dumps(self.messages),
        }
        write_whole(path, save(tensors, state))


def resumed(path: Path | None, identity: str, device: torch.device) -> Progress | None:
    """What a run of the same attack has saved; None where there is nothing, or it is another's. A
    damaged file is set aside.
    """
    if path is None or not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state = file.metadata()
            adversarial = file.get_tensor("adversarial").to(device)
            misclassified = file.get_tensor("misclassified").to(device)
    except SafetensorError:
        set_aside(path)
        return None
    if state["identity"] != identity:
        return None
    robust, messages = json.loads(state["robust"]), json.loads(state["messages"])
    return Progress(adversarial, misclassified, robust, messages)
