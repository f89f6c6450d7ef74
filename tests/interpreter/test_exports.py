"""Networks of many kinds, as torch itself exports them, back in torch: same outputs, every parameter trained."""

import io

import onnx
import pytest

torch = pytest.importorskip("torch")

from torch import nn

import nmtool

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's own


class Convolutional(nn.Sequential):
    shape = (3, 8, 8)

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.Hardswish(),
            nn.Conv2d(6, 6, 3, groups=6, stride=2, padding=1),
            nn.PReLU(6),
            nn.AvgPool2d(3, 2, 1, ceil_mode=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(6, 4),
        )


class Transformer(nn.Module):
    shape = (5, 8)

    def __init__(self):
        super().__init__()
        self.norm, self.last = nn.LayerNorm(8), nn.LayerNorm(8)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.position = nn.Parameter(torch.randn(1, 5, 8))

    def forward(self, x):
        x = x + self.position
        batch, time, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(batch, time, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        mask = torch.ones(time, time).tril().bool()
        scores = (q @ k.transpose(-2, -1) / (width // 2) ** 0.5).masked_fill(~mask, -1e9)
        x = x + self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, time, width))
        return x + self.mlp(self.last(x))


class Recurrent(nn.Module):
    shape = (7, 3)

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(8, 4, bidirectional=True, batch_first=True)
        self.rnn = nn.RNN(8, 4, batch_first=True)

    def forward(self, x):
        return self.rnn(self.gru(self.lstm(x)[0])[0])[0]


class UNet(nn.Module):
    shape = (2, 8, 8)

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.GroupNorm(2, 4), nn.SiLU())
        self.up = nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1)
        self.norm = nn.InstanceNorm2d(4, affine=True)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        low = self.down(x)
        smooth = nn.functional.interpolate(low, scale_factor=2, mode="bilinear", align_corners=False)
        return self.last(torch.cat([self.norm(self.up(low)), smooth], 1))


class Embedding(nn.Module):
    shape = (6,)

    def __init__(self):
        super().__init__()
        self.table, self.out = nn.Embedding(10, 4), nn.Linear(4, 10, bias=False)

    def forward(self, x):
        return self.out(self.table(x).cumsum(1)).log_softmax(-1)


NETWORKS = [Convolutional, Transformer, Recurrent, UNet, Embedding]


@pytest.mark.parametrize("opset", [9, 13, 17, 20])
@pytest.mark.parametrize("network", NETWORKS)
def test_exported_by_torchscript(network, opset):
    if (opset == 9 and network in (UNet, Embedding)) or (opset < 14 and network is Transformer):
        pytest.skip("torch does not export it to this opset")
    torch.manual_seed(0)
    net = network().eval()
    for parameter in net.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)  # the exporter merges parameters that are equal
    x = torch.randint(0, 10, (2, 6)) if network is Embedding else torch.randn(2, *network.shape)
    file = io.BytesIO()
    keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    torch.onnx.export(net, (x[:1],), file, dynamo=False, opset_version=opset, dynamic_axes={}, **keep)
    module = nmtool.to_torch(onnx.load_from_string(file.getvalue()))
    with torch.no_grad():
        torch.testing.assert_close(module.eval()(x), net(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(module(x[:1]), net(x[:1]), rtol=1e-4, atol=1e-5)
    module(x).square().sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    ours = sum(parameter.numel() for parameter in module.parameters())
    assert ours >= sum(parameter.numel() for parameter in net.parameters())
