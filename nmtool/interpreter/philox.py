"""The random numbers of docs/noise-spec.md in torch, on any device."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from nmtool.errors import SetupError
from nmtool.library import library_path, simd_levels


@dataclass(frozen=True, eq=False)
class Source:
    """Where noise comes from: that of nmtool.noise.reference, with a trial that may be a tensor.

    Attributes:
        seed: 64-bit integer of the whole model.
        stream: the physical array, 0 <= stream < 2**56.
        trial: which noise sample, taken modulo 2**32; an int64 tensor of shape () where it changes from step to step of
            a compiled model, which every new integer would compile again.
        draw: which draw on the array, 0 <= draw < 256.
        mirrored: the other half of an antithetic pair: -z for each normal z, and for each uniform its mirror image.
    """

    seed: int
    stream: int
    trial: int | Tensor = 0
    draw: int = 0
    mirrored: bool = False


Words: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10
_MASK32 = 0xFFFFFFFF
_GROUP = 64  # elements per group: 16 counters x 4 words
_CHUNK = {"cpu": 1 << 16, "cuda": 1 << 23}  # elements drawn at a time: temporaries stay in cache, and small


def normals(source: Source, size: int, device: torch.device | str = "cpu") -> Tensor:
    """Standard normals of elements 0 <= e < size, float32.

    The operator library draws them where it is installed, on a CPU (0.7 ns each) and, built with CUDA, on a GPU. Else
    torch does, 20 ns each on a CPU core: Box-Muller in float64 from the exact float32 u and a of the specification,
    rounded once.
    """
    z = _numbers("normals", source, size, torch.device(device), _box_muller)
    return -z if source.mirrored else z


def uniforms(source: Source, size: int, device: torch.device | str = "cpu") -> Tensor:
    """Uniforms in [0, 1) of elements 0 <= e < size, float32 with 24 random bits."""
    u = _numbers("uniforms", source, size, torch.device(device), lambda words: (words >> 8).float() * 2.0**-24)
    return (1 - 2.0**-24) - u if source.mirrored else u


def philox4x32(counter: Words, key: tuple[int, int]) -> Words:
    """Philox4x32-10 on int64 tensors that hold 32-bit words; the words of the counter broadcast.

    A product of two words needs 64 bits without sign. int64 arithmetic wraps around, so its bits are right, and the
    mask takes off what the arithmetic shift copies from the sign.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> 32) & _MASK32 ^ c1 ^ k0,
            p1 & _MASK32,
            (p0 >> 32) & _MASK32 ^ c3 ^ k1,
            p0 & _MASK32,
        )
        k0, k1 = (k0 + _WEYL[0]) & _MASK32, (k1 + _WEYL[1]) & _MASK32
    return c0, c1, c2, c3


def _box_muller(words: Tensor) -> Tensor:
    u = (words[:, 0::2] | 1).float().double() * 2.0**-32
    a = words[:, 1::2]
    a = (a - ((a & 0x80000000) << 1)).float().double() * 2.0**-31
    radius, angle = torch.sqrt(-2.0 * torch.log(u)), torch.pi * a
    return torch.stack((radius * torch.cos(angle), radius * torch.sin(angle)), dim=2).float()


def _numbers(
    kind: str, source: Source, size: int, device: torch.device, transform: Callable[[Tensor], Tensor]
) -> Tensor:
    if _LIBRARY is not None and (device.type == "cpu" or (device.type == "cuda" and _library_has_gpu_kernels())):
        trial = torch.as_tensor(source.trial, dtype=torch.int64, device=device)
        return _drawn_by_library(kind, trial, source.seed, source.stream, source.draw, size)
    return _elements(source, size, device, transform)


def _open_library() -> tuple[ctypes.CDLL, bytes] | None:
    """The operator library and its fastest SIMD level, or None: then torch draws the same numbers, slower."""
    try:
        return ctypes.CDLL(str(library_path())), simd_levels()[-1].encode()
    except (SetupError, OSError):
        return None


_LIBRARY = _open_library()


@torch.compiler.assume_constant_result  # a call into C, which cannot be traced
def _library_has_gpu_kernels() -> bool:
    """Whether the library was built with CUDA, and its kernels run on the GPU of this machine."""
    assert _LIBRARY is not None
    library, _ = _LIBRARY
    library.nmtool_cuda_error.restype = ctypes.c_char_p
    return library.nmtool_cuda_error() is None


@torch.library.custom_op("nmtool::draw", mutates_args=(), device_types="cpu")
def _drawn_by_library(kind: str, trial: Tensor, seed: int, stream: int, draw: int, size: int) -> Tensor:
    """The numbers of elements 0 <= e < size; an operator of torch's, so that compiled models can call it."""
    assert _LIBRARY is not None
    library, level = _LIBRARY
    numbers = torch.empty(size, dtype=torch.float32)
    words = (ctypes.c_int64(number) for number in (seed, stream, int(trial)))
    out, start, count = ctypes.c_void_p(numbers.data_ptr()), ctypes.c_uint64(0), ctypes.c_uint64(size)
    getattr(library, f"nmtool_{kind}")(out, start, count, *words, ctypes.c_int32(draw), level)
    return numbers


@_drawn_by_library.register_kernel("cuda")
def _drawn_on_gpu(kind: str, trial: Tensor, seed: int, stream: int, draw: int, size: int) -> Tensor:
    """The same on torch's current stream; the kernel reads the trial where it is, so nothing waits."""
    assert _LIBRARY is not None
    library, _ = _LIBRARY
    numbers = torch.empty(size, dtype=torch.float32, device=trial.device)
    function = getattr(library, f"nmtool_cuda_{kind}")
    function.restype = ctypes.c_char_p
    error = function(
        ctypes.c_void_p(numbers.data_ptr()),
        ctypes.c_uint64(0),
        ctypes.c_uint64(size),
        ctypes.c_int64(seed),
        ctypes.c_int64(stream),
        ctypes.c_void_p(trial.data_ptr()),
        ctypes.c_int32(draw),
        ctypes.c_void_p(torch.cuda.current_stream(trial.device).cuda_stream),
    )
    if error is not None:
        raise SetupError(f"the operator library cannot draw on {trial.device}: {error.decode()}")
    return numbers


@_drawn_by_library.register_fake
def _(kind: str, trial: Tensor, seed: int, stream: int, draw: int, size: int) -> Tensor:
    return torch.empty(size, dtype=torch.float32, device=trial.device)


def _elements(source: Source, size: int, device: torch.device, transform: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply `transform` to the words [groups, 4, 16] of the elements, a chunk at a time; a compiler fuses it anyway."""
    numbers = torch.empty(size, dtype=torch.float32, device=device)
    chunk = max(size, 1) if torch.compiler.is_compiling() else _CHUNK.get(device.type, 1 << 20)
    for start in range(0, size, chunk):
        stop = min(start + chunk, size)
        words = _words(source, start // _GROUP, -(-stop // _GROUP), device)
        numbers[start:stop] = transform(words).reshape(-1)[: stop - start]
    return numbers


def _words(source: Source, first_group: int, end_group: int, device: torch.device) -> Tensor:
    """The random words of some groups, int64 [groups, 4, 16]."""
    seed = source.seed % 2**64
    block = torch.arange(first_group * 16, end_group * 16, device=device)
    others = (source.trial % 2**32, source.stream & _MASK32, (source.stream >> 32) << 8 | source.draw)
    counter = [torch.as_tensor(word, dtype=torch.int64) for word in others]
    words = philox4x32((block, counter[0], counter[1], counter[2]), (seed & _MASK32, seed >> 32))
    return torch.stack([word.reshape(-1, 16) for word in words], dim=1)
