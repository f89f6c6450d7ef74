"""A noisy network so small that its information is known exactly: all inputs of {-1, 1}^n, signs, and a decision.

Weight noise N(0, sigma^2), fresh for each input. Given x the hidden units are independent with P(h_j = 1) =
Phi(w_j x / (sigma sqrt(n))), and given h the scores are independent normals of variance sigma^2 m, so that P(y | h) is
an integral over one of them.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class SignNetwork:
    """Weights [hidden, n] and [classes, hidden], and the standard deviation of the noise on both."""

    first: Float64
    second: Float64
    sigma: float

    @property
    def inputs(self) -> Float64:
        """All of them [2^n, n]."""
        return np.array(list(itertools.product((-1.0, 1.0), repeat=self.first.shape[1])))

    def decisions(self) -> Float64:
        """P(y | x) for all inputs [2^n, classes], exactly."""
        hidden = np.array(list(itertools.product((-1.0, 1.0), repeat=len(self.first))))
        x = self.inputs
        up = _phi(x @ self.first.T / (self.sigma * math.sqrt(x.shape[1])))  # [inputs, hidden]
        given_x = np.prod(np.where(hidden[None] > 0, up[:, None], 1 - up[:, None]), axis=2)  # [inputs, states]
        return given_x @ self._of_states(hidden)

    def draw(self, draws: int, seed: int, *, shared: bool) -> NDArray[np.int64]:
        """Decisions [draws, 2^n], with a noise sample for each input or one for all inputs of a draw."""
        rng, x = np.random.default_rng(seed), self.inputs
        many = 1 if shared else len(x)
        rows = []
        for _ in range(draws):
            first = self.first + self.sigma * rng.standard_normal((many, *self.first.shape))
            second = self.second + self.sigma * rng.standard_normal((many, *self.second.shape))
            h = np.where(np.einsum("bhn,bn->bh", np.broadcast_to(first, (len(x), *self.first.shape)), x) > 0, 1.0, -1.0)
            rows.append(
                np.einsum("bch,bh->bc", np.broadcast_to(second, (len(x), *self.second.shape)), h).argmax(axis=1)
            )
        return np.array(rows)

    def _of_states(self, hidden: Float64) -> Float64:
        """P(y | h): the integral of phi(z) prod_k Phi((s_y - s_k) / deviation + z) over z."""
        scores = hidden @ self.second.T / (self.sigma * math.sqrt(hidden.shape[1]))
        z = np.linspace(-9, 9, 4001)
        weight = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
        found = np.empty_like(scores)
        for y in range(scores.shape[1]):
            product = np.ones((len(scores), len(z)))
            for k in range(scores.shape[1]):
                if k != y:
                    product *= _phi(scores[:, y, None] - scores[:, k, None] + z)
            found[:, y] = product @ weight
        return found


def information(probabilities: Float64, weights: Float64 | None = None) -> float:
    """I(X; Y) in bits from P(y | x) [inputs, classes], and P(x) where they are not equally probable."""
    shares = np.full(len(probabilities), 1 / len(probabilities)) if weights is None else weights
    logs = np.log2(probabilities, out=np.zeros_like(probabilities), where=probabilities > 0)
    marginal = shares @ probabilities
    return float(shares @ (probabilities * logs).sum(axis=1) - (marginal * np.log2(marginal)).sum())


def _phi(values: Float64) -> Float64:
    return np.asarray([math.erfc(-v / math.sqrt(2)) / 2 for v in values.ravel()]).reshape(values.shape)


def network(n: int, hidden: int, classes: int, sigma: float, seed: int = 0) -> SignNetwork:
    """One with random weights."""
    rng = np.random.default_rng(seed)
    return SignNetwork(rng.standard_normal((hidden, n)), rng.standard_normal((classes, hidden)), sigma)
