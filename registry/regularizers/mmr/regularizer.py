"""MMR: push the decision boundaries and the nearest walls of the ReLU cell away from each image."""

from dataclasses import dataclass
from functools import partial

import torch
from torch.overrides import TorchFunctionMode

from benchmark.regularizer import Regularizer, Step, Tensor
from registry.spec import Norm

RELUS = (torch.nn.functional.relu, torch.relu, Tensor.relu)


@dataclass(frozen=True)
class MMR(Regularizer):
    """mean_{k_B} h(d_B/γ) + mean_{j≠y} h(d_D/γ), h(s) = max(0, 1 − s) (Croce et al. 2019).

    Distances in `norm`, of which q is the dual: d_B = |a_u|/‖∇a_u‖_q to the wall of a ReLU's
    pre-activation a_u, d_D = (z_y − z_j)/‖∇(z_y − z_j)‖_q to a boundary; all is differentiated.
    The k_B = `units` nearest walls are chosen by ℓ2 distances whose denominators are estimated
    for all units at once, ‖∇a‖₂² ≈ mean (∇a·g)² over `probes` Gaussian g; what is then penalised is
    exact. Walls of max-poolings are not looked at. A network without ReLU has the second term only.
    """

    norm: Norm = "inf"
    gamma: float = 0.2
    units: int = 10
    probes: int = 8

    def penalty(self, step: Step) -> Tensor:  # [B]
        is_y = step.y[:, None] == torch.arange(step.logits.shape[1], device=step.y.device)
        margins = (step.logits * is_y).sum(1, keepdim=True) - step.logits
        V = step.jacobian(relative=True)
        differences = (V * is_y[:, :, None]).sum(1, keepdim=True) - V
        boundaries = self.hinge(margins, differences).sum(1) / (step.logits.shape[1] - 1)
        cell = Step(
            partial(preactivations, step.model), step.x, step.y, parameters=step.parameters
        )
        a = cell.logits  # [B, M]
        if not a.shape[1]:
            return boundaries
        with torch.no_grad():
            probes = step.randn((self.probes, *step.x.shape))
            slopes = torch.stack([cell.jvp(g) for g in probes])
            distances = a.abs() / slopes.square().mean(0).sqrt().clamp_min(1e-6)
            nearest = distances.topk(min(self.units, a.shape[1]), largest=False).indices.T
            chosen = nearest[:, :, None] == torch.arange(a.shape[1], device=a.device)
        gradients = cell.vjp(chosen.to(a.dtype)).flatten(2)  # [k_B, B, n]
        return boundaries + self.hinge((a.abs() * chosen).sum(2), gradients).mean(0)

    def hinge(self, value: Tensor, gradient: Tensor) -> Tensor:
        """h(d/γ) of functions with these values [...] and gradients [..., n]; a flat one has no
        zero, and 0.
        """
        lengths = gradient.norm(p=1 if self.norm == "inf" else 2, dim=-1)
        flat = lengths < 1e-6
        distances = value / lengths.masked_fill(flat, 1)
        return (1 - distances / self.gamma).clamp_min(0).masked_fill(flat, 0)


class Recorder(TorchFunctionMode):
    """Notes what ReLUs are given, under every transform that a model may run in."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[Tensor] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in RELUS:
            self.inputs.append(args[0].flatten(1))
        return func(*args, **(kwargs or {}))


def preactivations(model, x: Tensor) -> Tensor:
    """[B, M], the inputs of all ReLUs of the model."""
    with Recorder() as recorder:
        model(x)
    return torch.cat([x.new_zeros(len(x), 0), *recorder.inputs], 1)
