"""Processes of one training run, started by `torchrun`: each has the weights and does a share of the passes.

Every process draws the same batch and the same noise and forms the same loss. Networks that are `spread` are
evaluated on a part of their batch in each process, and the outputs are gathered. Gradients are averaged over
the processes, so that all steps are those of one process with the whole batch, up to rounding, whatever the
loss is; and a run goes on with another number of processes.

Letters: B batch, R processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vaereg.errors import InputError

__all__ = ["Replicas", "join_replicas"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Replicas:
    """This process among those of a run; alone by default."""

    rank: int = 0
    """Number of this process, from 0."""
    count: int = 1
    """Number of processes, R."""
    device: str = "cpu"
    """Device of messages between the processes."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and reports the progress."""
        return self.rank == 0

    def spread(self, *networks: nn.Module) -> None:
        """Evaluate networks, from batches (B, ...) to batches, in parts from now on.

        Copies must have been made before. The batch comes as the first unnamed tensor; other tensors, and
        lists given by name, that are as long as it are parted with it. Batches of fewer than R rows are
        evaluated by every process.
        """
        if self.count > 1:
            for network in networks:
                network.forward = partial(self._in_parts, network.forward)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their means over the processes, in one message."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.count == 1 or not gradients:
            return
        means = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(means)
        means /= self.count
        parts = means.split([gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, parts, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def agree(self, number: float) -> float:
        """Number of the first process, such as a time, for all of them."""
        if self.count == 1:
            return number
        value = torch.tensor([number], dtype=torch.float64, device=self.device)
        dist.broadcast(value, 0)
        return float(value)

    def wait(self) -> None:
        """Wait until all processes have come to this point."""
        if self.count > 1:
            dist.barrier()

    def _in_parts(self, forward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:  # noqa: ANN401
        batch = len(next(item for item in inputs if isinstance(item, Tensor)))
        if batch < self.count:
            return forward(*inputs, **options)
        ends = [batch * (rank + 1) // self.count for rank in range(self.count)]
        sizes = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
        rank_slice = slice(ends[self.rank] - sizes[self.rank], ends[self.rank])

        def part(item: Any) -> Any:  # noqa: ANN401
            if isinstance(item, Tensor) and item.ndim and len(item) == batch:
                return _Part.apply(item, sizes, self.rank)
            return item[rank_slice] if isinstance(item, list) and len(item) == batch else item  # type: ignore[reportUnknownArgumentType]

        output = forward(*map(part, inputs), **{name: part(item) for name, item in options.items()})
        if isinstance(output, Tensor):
            return _Whole.apply(output, sizes, self.rank)
        return type(output)(_Whole.apply(item, sizes, self.rank) for item in output)


@contextmanager
def join_replicas(device: str = "cpu") -> Generator[Replicas, None, None]:
    """Join the other processes of `torchrun`; without it, this process is alone.

    Args:
        device: "cpu" (messages by gloo) or "cuda" (nccl, one device for each process of a machine).

    Raises:
        InputError: There are more processes than devices.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Replicas(device=device)
        return
    if device == "cuda":
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if local >= torch.cuda.device_count():
            raise InputError(f"expected a CUDA device for each process, got {torch.cuda.device_count()}")
        torch.cuda.set_device(local)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Replicas(rank=dist.get_rank(), count=count, device=device)
    finally:
        dist.destroy_process_group()


class _Part(torch.autograd.Function):
    """Part of this process of a batch; its gradient is gathered, and each process has the whole one."""

    @staticmethod
    def forward(ctx: Any, whole: Tensor, sizes: Sequence[int], rank: int) -> Tensor:  # noqa: ANN401
        ctx.sizes = sizes
        return whole.split(list(sizes))[rank].contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (gradient,) = gradients
        return _gather(gradient, ctx.sizes) / len(ctx.sizes), None, None


class _Whole(torch.autograd.Function):
    """Batch of the parts of all processes.

    The gradient of a part is taken R times, since gradients of parameters are averaged afterwards, where
    they must be summed; those of parameters that are not spread are alike in all processes.
    """

    @staticmethod
    def forward(ctx: Any, part: Tensor, sizes: Sequence[int], rank: int) -> Tensor:  # noqa: ANN401
        ctx.sizes, ctx.rank = sizes, rank
        return _gather(part, sizes)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (gradient,) = gradients
        return gradient.split(list(ctx.sizes))[ctx.rank] * len(ctx.sizes), None, None


def _gather(part: Tensor, sizes: Sequence[int]) -> Tensor:
    """Parts of all processes, one after the other; messages are of one size."""
    largest = max(sizes)
    padded = part.new_zeros(largest, *part.shape[1:])
    padded[: len(part)] = part
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([whole[:size] for whole, size in zip(parts, sizes, strict=True)])
