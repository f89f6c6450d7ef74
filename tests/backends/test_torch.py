"""Where the interpreter runs."""

import numpy as np
import pytest

from build import model, weights
from nmtool import backends
from nmtool.errors import SetupError, UsageError
from nmtool.verbs.inject import inject
from nmtool.verbs.run import run

torch = pytest.importorskip("torch")

NOISY = inject(
    model("g (float[N,40] x) => (float[N,20] y) { y = MatMul(x, w) }", w=weights(40, 20)), seed=5, eta=0.1
).model


def test_only_devices_that_are_there():
    with pytest.raises(UsageError, match="cpu or cuda, not 'tpu'"):
        backends.load(NOISY, "torch", device="tpu")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(SetupError, match="no cuda device"):
        backends.load(NOISY, "torch", device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no cuda device")
def test_a_gpu_computes_what_the_cpu_does():
    on_gpu, on_cpu = (
        run(NOISY, {"x": weights(3, 40)}, trial=2, backend="torch", device=device) for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(on_gpu["y"], on_cpu["y"], rtol=1e-5, atol=1e-5)
