"""StableAdamW as ModernBERT used it: Adam whose step is cut, tensor by tensor, where gradients outrun their history.

For each tensor p with gradient g, at its t-th step:

    b1 = (beta1^t - beta1) / (beta1^t - 1)            b2 likewise: debiased, so nothing is corrected afterwards
    m <- b1 m + (1 - b1) g                            v <- b2 v + (1 - b2) g^2
    rms = sqrt(mean(g^2 / max(v, eps^2)))             one number a tensor; AdamW: always 1
    lr_t = lr / max(1, rms)
    p <- p (1 - lr_t / peak * weight_decay)           decay is relative to the peak, not multiplied by the rate
    p <- p - lr_t m / (sqrt(v) + eps)

Weights are decayed, norms and biases (tensors of one dimension) are not. `peak` is the current phase's: ModernBERT's
own code kept the first phase's, so that a lower peak lowered the decay too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn

from model.tensors import decays
from train.settings import Optimizer
from train.sharded import fill, group_of, piece


class StableAdamW:
    """Steps all parameters at once with multi-tensor kernels, and asks the device for no value.

    State is kept by the parameters' names, so that a checkpoint can be read by people and by other programs.
    Parameters in pieces (FSDP2) are stepped piece by piece, with one exchange of a number a tensor; what is asked of a
    tensor, its RMS and its gradient's norm, is asked of the whole one.
    """

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]], *, betas: tuple[float, float], eps: float) -> None:
        self.parameters = dict(named)
        self.betas, self.eps = betas, eps
        self.t = 0
        """Steps done."""
        self.exp_avg = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.exp_avg_sq = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self._group = group_of(self.parameters.values())
        sizes = [p.numel() ** 0.5 for p in self.parameters.values()]
        self._roots = torch.tensor(sizes, device=next(iter(self.parameters.values())).device)

    @torch.no_grad()
    def step(self, *, lr: float, peak: float, weight_decay: float) -> None:
        """Take one step down the gradients; every parameter must have one."""
        grads = self._gradients()
        self.t += 1
        params = [piece(p) for p in self.parameters.values()]
        m, v = ([piece(moment) for moment in of.values()] for of in (self.exp_avg, self.exp_avg_sq))
        b1, b2 = (debiased(beta, self.t) for beta in self.betas)
        torch._foreach_lerp_(m, grads, 1.0 - b1)
        torch._foreach_mul_(v, b2)
        torch._foreach_addcmul_(v, grads, grads, 1.0 - b2)

        rates = self._rates(grads, v, lr)
        decayed = [n for n, p in enumerate(self.parameters.values()) if decays(p.shape)]
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
        rms = self._norms(scaled) / self._roots
        return torch.full_like(rms, lr) / rms.clamp_min(1.0)

    def _norms(self, pieces: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
        """(N,): the norm of each whole tensor."""
        norms = torch.stack(torch._foreach_norm(pieces))
        if self._group is None:
            return norms
        squares = norms.double().square_()
        dist.all_reduce(squares, group=self._group)
        return squares.sqrt_().to(norms.dtype)

    def zero_grad(self) -> None:
        for p in self.parameters.values():
            p.grad = None

    def grad_norm(self) -> Tensor:
        """() float32: the norm of all gradients together."""
        all_: Tensor = torch.linalg.vector_norm(self._norms(self._gradients()))
        return all_

    def _gradients(self) -> list[Tensor]:
        """This process's piece of each."""
        return [piece(_grad_of(name, p)) for name, p in self.parameters.items()]

    def state(self) -> dict[str, Tensor]:
        """`exp_avg.<name>` and `exp_avg_sq.<name>` of every parameter; `t` is kept beside it.

        They lie as their parameters do: of parameters in pieces, train.sharded.whole gathers one after another.
        """
        moments = (("exp_avg", self.exp_avg), ("exp_avg_sq", self.exp_avg_sq))
        return {f"{kind}.{name}": tensor for kind, of in moments for name, tensor in of.items()}

    def load(self, state: Mapping[str, Tensor], t: int) -> None:
        """Go on from whole tensors by the names that `state` gives; each process takes its pieces of them.

        Raises ValueError naming what is missing, foreign or of another shape.
        """
        own = self.state()
        if strangers := sorted(own.keys() ^ state.keys()):
            raise ValueError(f"{len(strangers)} tensors of the optimizer do not match, first {strangers[0]}")
        for name, tensor in own.items():
            try:
                fill(tensor, state[name])
            except ValueError as fault:
                raise ValueError(f"{name} has {fault}") from None
        self.t = t


class AdamW(StableAdamW):
    """Every tensor at the full rate, however large its gradients are: to compare with.

    Loshchilov & Hutter's (arXiv 1711.05101, algorithm 2), whose decay follows the schedule and not the rate. It is
    torch.optim.AdamW with a weight_decay of `weight_decay / peak` on matrices and of 0 on norms and biases.
    """

    def _rates(self, grads: list[Tensor], v: list[Tensor], lr: float) -> Tensor:
        return torch.full((len(grads),), lr, dtype=grads[0].dtype, device=grads[0].device)


def optimizer_of(settings: Optimizer, named: Iterable[tuple[str, nn.Parameter]]) -> StableAdamW:
    """The optimizer that a recipe asks for, before its first step."""
    kinds = {"stable-adamw": StableAdamW, "adamw": AdamW}
    return kinds[settings.name](named, betas=settings.betas, eps=settings.eps)


def debiased(beta: float, t: int) -> float:
    """Weight of the history in a running mean that begins at 0: 0 at the first step, nearly beta later on."""
    return (beta**t - beta) / (beta**t - 1.0)


def _grad_of(name: str, p: nn.Parameter) -> Tensor:
    if p.grad is None:
        raise ValueError(f"{name} has no gradient; it takes no part in the loss")
    return p.grad
