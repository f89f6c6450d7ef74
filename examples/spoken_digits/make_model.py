"""An LSTM for spoken digits: trains it in torch (a minute on two cores), and writes it with the data for nmtool.

Usage: `python examples/spoken_digits/make_model.py fsdd.npz folder` writes lstm.onnx, train.npz and test.npz to the
folder. `fsdd.npz` has the Free Spoken Digit Dataset: audio int16, all recordings in a row; offsets int64 [3001];
labels int64 [3000]; take int64 [3000], of which those below 5 are the test set; 8 kHz.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

RATE, WINDOW, HOP, BANDS, FRAMES = 8000, 256, 128, 32, 48
EPOCHS, BATCH, HIDDEN = 30, 64, 64


class Network(nn.Module):
    """An LSTM over the frames; its last state is classified."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(BANDS, HIDDEN, batch_first=True), nn.Linear(HIDDEN, 10)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """Logits [N, 10] of frames [N, FRAMES, BANDS]."""
        return self.head(self.lstm(frames)[0][:, -1])


def features(samples: np.ndarray) -> np.ndarray:
    """Logarithms of mel bands of a recording, float32 [FRAMES, BANDS]; silence comes before short ones."""
    samples = samples[-(FRAMES * HOP + WINDOW) :] / 2**15
    samples = np.pad(samples, (FRAMES * HOP + WINDOW - len(samples), 0))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP][:FRAMES] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(frames)) ** 2
    return (np.log(power @ _bands() + 1e-6) / 5 + 1).astype(np.float32)


def _bands() -> np.ndarray:
    """Triangular filters, equally wide on the mel scale, [WINDOW // 2 + 1, BANDS]."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, BANDS + 2) / 2595) - 1) * WINDOW / RATE
    bins = np.arange(WINDOW // 2 + 1)[:, None]
    return np.maximum(0, np.minimum((bins - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - bins) / np.diff(edges)[1:]))


def train(model: nn.Module, frames: torch.Tensor, labels: torch.Tensor) -> None:
    """Adam without noise."""
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, EPOCHS * (len(frames) // BATCH))
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(frames))[: len(frames) // BATCH * BATCH].split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(frames[batch]), labels[batch]).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()


if __name__ == "__main__":
    arrays, folder = np.load(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    offsets, audio = arrays["offsets"], arrays["audio"]
    frames = np.stack([features(audio[a:b]) for a, b in pairwise(offsets)])
    test = arrays["take"] < 5
    for part, chosen in (("train", ~test), ("test", test)):
        np.savez(folder / f"{part}.npz", frames=frames[chosen], label=arrays["labels"][chosen])
    torch.manual_seed(0)
    model = Network()
    train(model, torch.from_numpy(frames[~test]), torch.from_numpy(arrays["labels"][~test]))
    model.eval()
    with torch.no_grad():
        right = (model(torch.from_numpy(frames[test])).argmax(1).numpy() == arrays["labels"][test]).mean()
    torch.onnx.export(
        model,
        (torch.from_numpy(frames[:1]),),
        folder / "lstm.onnx",
        input_names=["frames"],
        output_names=["logits"],
        dynamic_axes={"frames": {0: "batch"}, "logits": {0: "batch"}},
        opset_version=18,
        dynamo=False,
    )
    print(f"{right:.2%} of the test recordings")
