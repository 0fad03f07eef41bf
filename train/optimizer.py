"""StableAdamW as ModernBERT used it: Adam whose step is cut, tensor by tensor, where gradients outrun their history.

For each tensor p with gradient g, at its t-th step:

    b1 = (beta1^t - beta1) / (beta1^t - 1)            b2 likewise: debiased, so nothing is corrected afterwards
    m <- b1 m + (1 - b1) g                            v <- b2 v + (1 - b2) g^2
    rms = sqrt(mean(g^2 / max(v, eps^2)))             one number a tensor
    lr_t = lr / max(1, rms)
    p <- p (1 - lr_t / peak * weight_decay)           decay is relative to the peak, not multiplied by the rate
    p <- p - lr_t m / (sqrt(v) + eps)

Weights are decayed, norms and biases (tensors of one dimension) are not. `peak` is the current phase's: ModernBERT's
own code kept the first phase's, so that a lower peak lowered the decay too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


class StableAdamW:
    """Steps all parameters at once with multi-tensor kernels, and asks the device for no value.

    State is kept by the parameters' names, so that a checkpoint can be read by people and by other programs.
    """

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], *, betas: tuple[float, float], eps: float) -> None:
        self.parameters = dict(named)
        self.betas, self.eps = betas, eps
        self.t = 0
        """Steps done."""
        self.exp_avg = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.exp_avg_sq = {name: torch.zeros_like(p) for name, p in self.parameters.items()}

    @torch.no_grad()
    def step(self, *, lr: float, peak: float, weight_decay: float) -> None:
        """Take one step down the gradients; every parameter must have one."""
        self.t += 1
        params: list[Tensor] = list(self.parameters.values())
        grads = [_grad_of(name, p) for name, p in self.parameters.items()]
        m, v = list(self.exp_avg.values()), list(self.exp_avg_sq.values())
        b1, b2 = (debiased(beta, self.t) for beta in self.betas)
        torch._foreach_lerp_(m, grads, 1.0 - b1)
        torch._foreach_mul_(v, b2)
        torch._foreach_addcmul_(v, grads, grads, 1.0 - b2)

        rates = self._rates(grads, v, lr)
        decayed = [n for n, p in enumerate(params) if p.dim() > 1]
        if weight_decay and decayed:
            kept = (1.0 - rates * (weight_decay / peak)).unbind()
            torch._foreach_mul_([params[n] for n in decayed], [kept[n] for n in decayed])
        roots = torch._foreach_sqrt(v)
        torch._foreach_add_(roots, self.eps)
        steps = torch._foreach_div(m, roots)
        torch._foreach_mul_(steps, list(rates.unbind()))
        torch._foreach_add_(params, steps, alpha=-1)

    def _rates(self, grads: list[Tensor], v: list[Tensor], lr: float) -> Tensor:
        """(N,): the learning rate of each tensor."""
        scaled = torch._foreach_clamp_min(v, self.eps**2)
        torch._foreach_sqrt_(scaled)
        scaled = torch._foreach_div(grads, scaled)
        sizes = [g.numel() ** 0.5 for g in grads]
        rms = torch.stack(torch._foreach_div(torch._foreach_norm(scaled), sizes))
        return torch.full_like(rms, lr) / rms.clamp_min(1.0)

    def zero_grad(self) -> None:
        for p in self.parameters.values():
            p.grad = None

    def grad_norm(self) -> Tensor:
        """() float32: the norm of all gradients together."""
        norms = torch._foreach_norm([_grad_of(name, p) for name, p in self.parameters.items()])
        whole: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return whole

    def state(self) -> dict[str, Tensor]:
        """`exp_avg.<name>` and `exp_avg_sq.<name>` of every parameter; `t` is kept beside it."""
        moments = (("exp_avg", self.exp_avg), ("exp_avg_sq", self.exp_avg_sq))
        return {f"{kind}.{name}": tensor for kind, of in moments for name, tensor in of.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor], t: int) -> None:
        """Go on from what `state` gave. Raises ValueError naming what is missing, foreign or of another shape."""
        own = self.state()
        if strangers := sorted(own.keys() ^ state.keys()):
            raise ValueError(f"{len(strangers)} tensors of the optimizer do not match, first {strangers[0]}")
        for name, tensor in own.items():
            if tensor.shape != state[name].shape:
                raise ValueError(f"{name} has shape {tuple(state[name].shape)}, not {tuple(tensor.shape)}")
            tensor.copy_(state[name])
        self.t = t


def debiased(beta: float, t: int) -> float:
    """Weight of the history in a running mean that begins at 0: 0 at the first step, nearly beta later on."""
    return (beta**t - beta) / (beta**t - 1.0)


def _grad_of(name: str, p: nn.Parameter) -> Tensor:
    if p.grad is None:
        raise ValueError(f"{name} has no gradient; it takes no part in the loss")
    return p.grad
