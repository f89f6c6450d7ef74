"""Information in the classes that a noisy classifier decides for: plug-in estimates with correction of their bias.

With noise W and the decision Y, I(X; Y) = H(Y) - H(Y | X). Two kinds of noise are two questions:

- *Read noise*, drawn anew for each inference: the receiver does not know it, I(X; Y) is over inputs and noise.
- *Chip noise*, drawn once and known by what comes after (it could be calibrated): I(X; Y | W), the mean over chips. For
  one chip the network is a function of the input, so that this is H(Y | W), and I(X; Y | W) >= I(X; Y).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Information:
    """An estimate.

    Attributes:
        bits: with its bias corrected, at least 0.
        plugin_bits: without.
        std: standard error over draws of the noise, by the jackknife; None for a single draw.
    """

    bits: float
    plugin_bits: float
    std: float | None


def entropy(probabilities: Float64) -> Float64:
    """Entropy in bits along the last axis."""
    logs = np.log2(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return np.asarray(-(probabilities * logs).sum(axis=-1))


def read_information(decisions: Int64, classes: int) -> Information:
    """I(X; Y) of read noise.

    The entropies of class frequencies are too low, by (m - 1) / (2 n) nats for m classes that occur in n draws (Miller 1955,
    "Note on the bias of information estimates"): that is added, to H(Y | x) of each input and to H(Y).

    Args:
        decisions: class numbers [draws, samples]; draws are independent, samples may share their noise.
        classes: how many there are.
    """

    def estimate(counts: Float64, draws: int) -> tuple[float, float]:
        total = counts.sum(axis=0)
        plugin = float(entropy(total / total.sum()) - entropy(counts / draws).mean())
        inputs = (np.count_nonzero(counts, axis=1) - 1).mean() / (2 * draws)
        outputs = (np.count_nonzero(total) - 1) / (2 * total.sum())
        return plugin, plugin + float(outputs - inputs) / np.log(2)

    return _estimated(_one_hot(decisions, classes), estimate)


def chip_information(decisions: Int64, classes: int) -> Information:
    """I(X; Y | W) of chip noise: the mean over chips of the entropy of their decisions.

    It has no bias to correct: X takes all its values on every chip.

    Args:
        decisions: class numbers [chips, samples].
        classes: how many there are.
    """
    shares = _one_hot(decisions, classes).mean(axis=1)
    return _mean(entropy(shares))


def label_information(decisions: Int64, labels: Int64, classes: int) -> Information:
    """I(label; Y) of read noise, with the correction of `read_information` for each label.

    Args:
        decisions: class numbers [draws, samples].
        labels: class numbers [samples], which need not be those of the decisions.
        classes: how many classes are decided between.
    """
    values, of = np.unique(labels, return_inverse=True)
    sizes = np.bincount(of)

    def estimate(counts: Float64, draws: int) -> tuple[float, float]:
        joint = np.zeros((len(values), classes))
        np.add.at(joint, of, counts)
        total = joint.sum(axis=0)
        shares = sizes / sizes.sum()
        plugin = float(entropy(total / total.sum()) - (shares * entropy(joint / joint.sum(axis=1, keepdims=True))).sum())
        cells, columns = np.count_nonzero(joint), np.count_nonzero(total)
        bias = (columns - 1 - (cells - len(values))) / (2 * total.sum())
        return plugin, plugin + bias / np.log(2)

    return _estimated(_one_hot(decisions, classes), estimate)


def label_chip_information(decisions: Int64, labels: Int64, classes: int) -> Information:
    """I(label; Y | W) of chip noise, the mean over chips; over the given samples it has no bias.

    Args:
        decisions: class numbers [chips, samples].
        labels: class numbers [samples].
        classes: how many classes are decided between.
    """
    values, of = np.unique(labels, return_inverse=True)
    bits = []
    for chip in _one_hot(decisions, classes):
        joint = np.zeros((len(values), classes))
        np.add.at(joint, of, chip)
        joint /= joint.sum()
        bits.append(entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1)) - entropy(joint.reshape(-1)))
    return _mean(np.array(bits))


def _one_hot(decisions: Int64, classes: int) -> Float64:
    """[draws, samples, classes]"""
    return np.eye(classes)[decisions]


def _estimated(chosen: Float64, estimate: Callable[[Float64, int], tuple[float, float]]) -> Information:
    """The estimate from counts [samples, classes] and the number of draws, and its error by leaving draws out."""
    draws = len(chosen)
    counts = chosen.sum(axis=0)
    plugin, bits = estimate(counts, draws)
    std = None
    if draws > 1:
        left_out = np.array([estimate(counts - each, draws - 1)[1] for each in chosen])
        std = float(np.sqrt((draws - 1) * left_out.var()))
    return Information(max(bits, 0.0), plugin, std)


def _mean(bits: Float64) -> Information:
    mean = float(bits.mean())
    return Information(mean, mean, float(bits.std(ddof=1) / np.sqrt(len(bits))) if len(bits) > 1 else None)
