"""Information in the classes that a noisy classifier decides for: plug-in estimates, corrected by the jackknife.

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
        std: standard error over draws of the noise; None for a single draw.
    """

    bits: float
    plugin_bits: float
    std: float | None


def entropy(probabilities: Float64) -> Float64:
    """Entropy in bits along the last axis."""
    logs = np.log2(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    return np.asarray(-(probabilities * logs).sum(axis=-1))


def read_information(decisions: Int64, classes: int) -> Information:
    """I(X; Y) of read noise, of which a plug-in estimate from few draws is far too high.

    Args:
        decisions: class numbers [draws, samples]; draws are independent, samples may share their noise.
        classes: how many there are.
    """

    def plugin(counts: Float64) -> float:
        total = counts.sum(axis=0)
        shares = counts / counts.sum(axis=1, keepdims=True)
        return float(entropy(total / total.sum()) - entropy(shares).mean())

    return _jackknifed(_one_hot(decisions, classes), plugin)


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
    """I(label; Y) of read noise.

    Args:
        decisions: class numbers [draws, samples].
        labels: class numbers [samples], which need not be those of the decisions.
        classes: how many classes are decided between.
    """
    values, of = np.unique(labels, return_inverse=True)

    def plugin(counts: Float64) -> float:
        joint = np.zeros((len(values), classes))
        np.add.at(joint, of, counts)
        return _mutual(joint / joint.sum())

    return _jackknifed(_one_hot(decisions, classes), plugin)


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
        bits.append(_mutual(joint / joint.sum()))
    return _mean(np.array(bits))


def _mutual(joint: Float64) -> float:
    """Mutual information of the two axes of a table of probabilities."""
    return float(entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1)) - entropy(joint.reshape(-1)))


def _one_hot(decisions: Int64, classes: int) -> Float64:
    """Decisions as [draws, samples, classes]."""
    return np.eye(classes)[decisions]


def _jackknifed(chosen: Float64, plugin: Callable[[Float64], float]) -> Information:
    """The estimate that `plugin` makes of counts [samples, classes], corrected by what it is without each draw.

    Its bias, of order 1 / draws, is (draws - 1) times the mean change (Quenouille 1956, "Notes on bias in estimation";
    for entropies Zahl 1977, "Jackknifing an index of diversity"). Unlike the correction of Miller and Madow that needs
    no independence of the samples, which share their noise where a draw is a chip.
    """
    draws, counts = len(chosen), chosen.sum(axis=0)
    estimate = plugin(counts)
    if draws == 1:
        return Information(max(estimate, 0.0), estimate, None)
    without = np.array([plugin(counts - each) for each in chosen])
    corrected = draws * estimate - (draws - 1) * float(without.mean())
    return Information(max(corrected, 0.0), estimate, float(np.sqrt((draws - 1) * without.var())))


def _mean(bits: Float64) -> Information:
    mean = float(bits.mean())
    return Information(mean, mean, float(bits.std(ddof=1) / np.sqrt(len(bits))) if len(bits) > 1 else None)
