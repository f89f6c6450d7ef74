"""This process among those that torchrun started; alone, if none did."""

import datetime
import os
import pickle
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch
from numpy.typing import NDArray
from torch import distributed, nn

from nmtool.errors import SetupError, UsageError

_MEETING = "start them with torchrun; where it restarts them, with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"
_PATIENCE = datetime.timedelta(hours=1)  # others wait this long while one validates


@dataclass(frozen=True)
class Process:
    """One of the processes that train one model.

    Attributes:
        rank: its number; rank 0 validates and writes.
        count: how many there are.
        device: where it computes.
    """

    rank: int
    count: int
    device: torch.device

    @classmethod
    def join(cls, device: str, threads: int | None) -> Self:
        """Take part in what torchrun started, as it says in the environment.

        Args:
            device: "cpu", "cuda", or "auto": cuda where there is one.
            threads: of torch; None leaves them as they are.

        Raises:
            SetupError: there is no such device, or the processes do not find each other.
            UsageError: an unknown device.
        """
        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"device must be auto, cpu or cuda, not {device!r}")
        if threads is not None:
            torch.set_num_threads(threads)
        available = torch.cuda.is_available()
        if device == "cuda" and not available:
            raise SetupError("torch finds no cuda device", hint="install a CUDA build of torch, or use --device cpu")
        kind = "cuda" if available and device != "cpu" else "cpu"
        count, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        local = int(os.environ.get("LOCAL_RANK", 0))
        if kind == "cuda":
            torch.cuda.set_device(local)
        if count > 1 and not distributed.is_initialized():
            try:
                distributed.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=_PATIENCE)
            except (RuntimeError, ValueError) as error:
                raise SetupError(f"the processes do not meet: {error}", hint=_MEETING) from error
        return cls(rank, count, torch.device(kind, local) if kind == "cuda" else torch.device(kind))

    @property
    def leads(self) -> bool:
        """Whether it is the one that validates and writes."""
        return self.rank == 0

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module with gradients averaged over all processes; running statistics are those of rank 0."""
        return nn.parallel.DistributedDataParallel(module) if self.count > 1 else module

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.count == 1:
            return flag
        together = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(together, distributed.ReduceOp.MAX)
        result, held = bool(together), weakref.ref(together)
        del together
        _let_go(held)
        return result

    def share(self, value: Any) -> Any:
        """The value of rank 0."""
        if self.count == 1:
            return value
        content = torch.frombuffer(bytearray(pickle.dumps(value)), dtype=torch.uint8)
        size = int(self._broadcast(torch.tensor(len(content)))[()])
        return pickle.loads(self._broadcast(content if self.leads else content.new_empty(size)).tobytes())

    def _broadcast(self, tensor: torch.Tensor) -> NDArray[Any]:
        sent = tensor.to(self.device, copy=True)
        distributed.broadcast(sent, src=0)
        result, held = sent.numpy(force=True).copy(), weakref.ref(sent)
        del sent
        _let_go(held)
        return result

    @contextmanager
    def together(self) -> Iterator[None]:
        """What the processes do together; afterwards this one takes no part any more.

        Raises:
            SetupError: another process was lost.
        """
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
                raise
            raise SetupError(
                f"another process was lost: {error}", hint="its own message says why; go on with --resume"
            ) from error
        finally:
            if self.count > 1 and distributed.is_initialized():
                distributed.destroy_process_group()


def _let_go(tensor: weakref.ref[torch.Tensor]) -> None:
    """Wait until gloo's thread, too, has let go of a tensor that was sent.

    The thread takes Python's lock for that; if the process group ends before, torch waits for the thread while it holds
    the lock, forever (pytorch issue 56297).
    """
    while tensor() is not None:
        time.sleep(0.0001)
