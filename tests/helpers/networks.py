"""Small networks of many kinds, and their files as torch's two exporters write them."""

import io
import warnings

import onnx
import torch
from torch import nn

NEWEST = 25
"""Newest opset that torch's exporters know; the one by tracing ends at 20."""


class Cnn(nn.Sequential):
    shape = (3, 8, 8)

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3, stride=2, padding=1),
            nn.PReLU(8),
            nn.MaxPool2d(2, 2, ceil_mode=True),
            nn.AvgPool2d(3, 1, 1),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(32, 4),
        )


class MobileNet(nn.Module):
    """Depthwise convolution, HardSwish, squeeze and excitation."""

    shape = (3, 8, 8)

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), nn.Hardswish())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.Hardswish())
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid()
        )
        self.project, self.head = nn.Conv2d(8, 8, 1), nn.Linear(8, 4)

    def forward(self, x):
        x = self.stem(x)
        y = self.deep(x)
        return self.head((x + self.project(y * self.gate(y))).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, width, *, causal):
        super().__init__()
        self.causal = causal
        self.first, self.last = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        batch, time, width = x.shape
        q, k, v = self.qkv(self.first(x)).reshape(batch, time, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.out(y.transpose(1, 2).reshape(batch, time, width))
        return x + self.mlp(self.last(x))


class Vit(nn.Module):
    shape = (3, 8, 8)

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token, self.position = nn.Parameter(torch.empty(1, 1, 8)), nn.Parameter(torch.empty(1, 5, 8))
        self.blocks = nn.Sequential(Block(8, causal=False), Block(8, causal=False))
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


class Gpt(nn.Module):
    shape = (6,)

    def __init__(self):
        super().__init__()
        self.table, self.position = nn.Embedding(10, 8), nn.Embedding(6, 8)
        self.block, self.norm, self.head = Block(8, causal=True), nn.LayerNorm(8), nn.Linear(8, 10, bias=False)

    def forward(self, tokens):
        x = self.table(tokens) + self.position(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.block(x))).log_softmax(-1)


class Lstm(nn.Module):
    shape = (7, 3)
    layer = nn.LSTM

    def __init__(self):
        super().__init__()
        self.body = self.layer(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.body(x)[0])


class Gru(Lstm):
    layer = nn.GRU


class Rnn(Lstm):
    layer = nn.RNN


class UNet(nn.Module):
    """With transposed convolutions."""

    shape = (2, 8, 8)

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.SiLU())
        self.up = nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x):
        return self.last(torch.cat([self.up(self.down(x)), x], 1))


class UNetResize(UNet):
    """With interpolation instead."""

    def __init__(self):
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.Upsample(scale_factor=0.5),
            nn.Upsample(size=(8, 8), mode="bicubic"),
        )


class Norms(nn.Sequential):
    """Group, instance and layer normalization."""

    shape = (2, 6, 6)

    def __init__(self):
        super().__init__(
            nn.Conv2d(2, 4, 3),
            nn.GroupNorm(2, 4),
            nn.SiLU(),
            nn.Conv2d(4, 4, 1),
            nn.InstanceNorm2d(4, affine=True),
            nn.ELU(),
            nn.LayerNorm(4),
            nn.Flatten(),
            nn.Linear(64, 3),
        )


NETWORKS = {
    network.__name__: network for network in (Cnn, MobileNet, Vit, Gpt, Lstm, Gru, Rnn, UNet, UNetResize, Norms)
}


def build(name):
    """The network in eval mode, with arrays of which no two are equal: exporters merge equal ones."""
    torch.manual_seed(0)
    net = NETWORKS[name]().eval()
    for parameter in net.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return net


def sample(name, batch, seed=0):
    """A batch of random inputs."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, *NETWORKS[name].shape)
    if name == "Gpt":
        return torch.randint(0, 10, shape, generator=generator)
    return torch.randn(shape, generator=generator)


def export(net, x, opset, *, dynamo, **options):
    """The file that torch writes for the inputs x."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not dynamo:
            torch.onnx.export(net, (x,), file, dynamo=False, opset_version=opset, **options)
            return onnx.load_from_string(file.getvalue())
        return torch.onnx.export(net, (x,), dynamo=True, opset_version=opset, verbose=False, **options).model_proto
