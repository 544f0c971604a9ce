"""The dropout masks of `engines.random`, computed on a device in 32-bit integers.

PyTorch has few operations on unsigned integers, so the 32 bits are those of an int32: sums
and products wrap around to the same bits, a shift to the right has to clear the sign's
copies, and a comparison has to flip the sign.
"""

from __future__ import annotations

import torch  # pyright: ignore[reportMissingImports]

from ..random import dropout_threshold

_SIGN = -(2**31)


def signed(bits: int) -> int:
    """The int32 that has these 32 bits.

    >>> signed(0xFFFFFFFF), signed(5 + 2**32)
    (-1, 5)
    """
    return (bits + 2**31) % 2**32 - 2**31


def mix32(x: torch.Tensor) -> torch.Tensor:
    """Scramble the bits of int32 numbers in place, as `engines.random.mix32` does.

    >>> mix32(torch.tensor([0, 1, 2], dtype=torch.int32)).tolist() == [0, 0x6D3FA73, 0xDA7F4E7]
    True
    """
    x ^= (x >> 16) & 0xFFFF
    x *= 0x21F0AAAD
    x ^= (x >> 15) & 0x1FFFF
    x *= signed(0xD35A2D97)
    x ^= (x >> 15) & 0x1FFFF
    return x


def dropout_mask(
    key: torch.Tensor,
    layer: int,
    shape: tuple[int, ...],
    dropout: float,
    *,
    first: int = 0,
    streams: int | None = None,
) -> torch.Tensor:
    """(T, B, H) True where an output is kept; `key` is one int32 on the device.

    The B streams may be some of `streams` side by side, from `first` on.

    >>> from charloom.engines import random
    >>> mask = dropout_mask(torch.tensor(7, dtype=torch.int32), 1, (3, 2, 5), 0.4)
    >>> bool((mask.numpy() == random.dropout_mask(7, 1, (3, 2, 5), 0.4)).all())
    True
    """
    layer_key = mix32(key + signed(layer * 0x9E3779B9))
    T, B, H = shape
    whole = B if streams is None else streams

    def count(size: int) -> torch.Tensor:
        return torch.arange(size, dtype=torch.int32, device=key.device)

    stream = first + count(B)[:, None]
    position = (count(T)[:, None, None] * whole + stream) * H + count(H)
    bits = mix32(position ^ layer_key)
    return (bits ^ _SIGN) >= signed(dropout_threshold(dropout) ^ 2**31)
