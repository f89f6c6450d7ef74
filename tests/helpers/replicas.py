"""One of several processes that train the same converted module together."""

from pathlib import Path

import onnx
import torch
from networks import sample
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

import nmtool


def train(rank: int, count: int, name: str, folder: Path) -> None:
    """Three steps on data of its own; the parameters go to a file."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=count)
    module = nmtool.to_torch(onnx.load(folder / "model.onnx")).train()
    replica = DistributedDataParallel(module)
    optimizer = torch.optim.SGD(replica.parameters(), lr=0.1)
    for step in range(3):
        optimizer.zero_grad()
        replica(sample(name, 4, seed=10 * step + rank)).square().mean().backward()
        optimizer.step()
    torch.save(dict(module.named_parameters()), folder / f"{rank}.pt")
    distributed.destroy_process_group()
