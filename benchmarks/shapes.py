"""What is measured and what is required: shapes, their operations, and the bars.

T time steps, B streams, V vocabulary, H hidden units, L layers, G = 4H, as in
`charloom.engines.base`. Only the operations of the matrix products are counted:

    forward:  2 G (H + inputs) per layer, inputs = 0 for the one-hot first   + 2 H V
    training: 3 times that

so everything else that a program computes (cell, loss, optimizer) lowers its rate.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a network and of its batches."""

    name: str
    V: int = 65
    H: int
    L: int
    B: int = 1
    T: int = 1

    @property
    def forward_operations(self) -> int:
        """Operations of the products in the forward pass, per character.

        >>> TRAINING[0].forward_operations      # 2 * 300 * 75 + 2 * 75 * 27
        49050
        """
        G = 4 * self.H
        return 2 * G * self.H * (2 * self.L - 1) + 2 * self.H * self.V

    @property
    def training_operations(self) -> int:
        """Operations of the products in a training step, per character."""
        return 3 * self.forward_operations

    def __str__(self) -> str:
        batch = f" B{self.B} T{self.T}" if self.T > 1 else f" B{self.B}"
        return f"V{self.V} H{self.H} L{self.L}{batch}"


BLOG = Shape(name="blog", V=27, H=75, L=1, B=32, T=15)
SMALL = Shape(name="H128", H=128, L=2, B=50, T=50)
LARGE = Shape(name="H512", H=512, L=2, B=64, T=64)
TRAINING = (BLOG, SMALL, LARGE)

ONE_SMALL = Shape(name="H128", H=128, L=2)
ONE_LARGE = Shape(name="H512", H=512, L=2)
MANY_LARGE = Shape(name="H512", H=512, L=2, B=64)

FAST, EXACT = "charloom bfloat16", "charloom float32"
BYTES = "charloom int8"
TORCH, TORCH_BF16 = "PyTorch float32", "PyTorch bfloat16*"
TORCH_SINGLE = "PyTorch 1 thread"
JAX, KERAS = "JAX scan", "Keras on JAX"
ONEDNN, ONEDNN_BF16 = "oneDNN float32*", "oneDNN bfloat16*"
OWN_TRAINING, OWN_TEXTS = "charloom training bfloat16", "charloom generate() bfloat16"
PEAKS = {
    FAST: "peak bfloat16",
    OWN_TEXTS: "peak bfloat16",
    BYTES: "peak bfloat16",
    EXACT: "peak float32",
}
"""The bare product in each of our precisions, in operations per second; int8 is compared with
the faster of the two that are measured."""

ROUND_TRIP = "round trip"
"""Round trips of a cache line to the other core and back, per second. Not constant on a virtual
machine that is moved between cores."""

LIBRARIES = {
    ROUND_TRIP: "ours",
    FAST: "ours",
    EXACT: "ours",
    BYTES: "ours",
    OWN_TRAINING: "ours",
    OWN_TEXTS: "ours",
    "peak bfloat16": "ours",
    "peak float32": "ours",
    TORCH: "peers:torch",
    TORCH_BF16: "peers:torch",
    TORCH_SINGLE: "peers:torch_single",
    JAX: "peers:jax",
    KERAS: "peers:keras",
    ONEDNN: "peers:onednn",
    ONEDNN_BF16: "peers:onednn",
}
"""The module that has each contestant; see contest.Worker."""

TRAIN, GENERATE, EVALUATE = "training", "generation", "evaluation"
MANY = "generation, 64 streams"
CONTESTS = (
    (TRAIN, TRAINING, (FAST, EXACT, TORCH, TORCH_BF16, JAX, KERAS, ONEDNN, ONEDNN_BF16)),
    (GENERATE, (ONE_SMALL, ONE_LARGE), (FAST, EXACT, BYTES, OWN_TEXTS, TORCH, TORCH_SINGLE, KERAS)),
    (MANY, (MANY_LARGE,), (FAST, EXACT, TORCH, KERAS)),
    (EVALUATE, (SMALL, LARGE), (FAST, OWN_TRAINING)),
)
"""Task, shapes, contestants; the peaks and the round trip take part in every task."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """The rate of `ours` must be at least `least` times that of `peer` in the same task.

    Where the peer is a peak, our operations count as a share of it.
    """

    task: str
    shape: Shape
    ours: str
    peer: str
    least: float | None
    stretch: float | None = None


BARS = (
    Bar(task=TRAIN, shape=BLOG, ours=FAST, peer=TORCH, least=8, stretch=12),
    Bar(task=TRAIN, shape=BLOG, ours=FAST, peer=JAX, least=4, stretch=7),
    Bar(task=TRAIN, shape=SMALL, ours=FAST, peer=TORCH, least=3),
    Bar(task=TRAIN, shape=SMALL, ours=FAST, peer=ONEDNN_BF16, least=1),
    Bar(task=TRAIN, shape=SMALL, ours=FAST, peer=PEAKS[FAST], least=None, stretch=0.6),
    Bar(task=TRAIN, shape=LARGE, ours=FAST, peer=TORCH, least=2.2),
    Bar(task=TRAIN, shape=LARGE, ours=FAST, peer=TORCH_BF16, least=1.5),
    Bar(task=TRAIN, shape=LARGE, ours=FAST, peer=ONEDNN_BF16, least=1.1),
    Bar(task=TRAIN, shape=LARGE, ours=FAST, peer=PEAKS[FAST], least=None, stretch=0.8),
    Bar(task=TRAIN, shape=BLOG, ours=EXACT, peer=TORCH, least=1),
    Bar(task=TRAIN, shape=SMALL, ours=EXACT, peer=TORCH, least=1),
    Bar(task=TRAIN, shape=LARGE, ours=EXACT, peer=TORCH, least=1.25),
    Bar(task=TRAIN, shape=SMALL, ours=EXACT, peer=ONEDNN, least=0.95),
    Bar(task=TRAIN, shape=LARGE, ours=EXACT, peer=ONEDNN, least=0.95),
    Bar(task=TRAIN, shape=LARGE, ours=EXACT, peer=PEAKS[EXACT], least=None, stretch=0.9),
    Bar(task=GENERATE, shape=ONE_SMALL, ours=FAST, peer=TORCH, least=30, stretch=60),
    Bar(task=GENERATE, shape=ONE_SMALL, ours=BYTES, peer=TORCH, least=30, stretch=60),
    Bar(task=GENERATE, shape=ONE_LARGE, ours=FAST, peer=TORCH, least=25, stretch=60),
    Bar(task=GENERATE, shape=ONE_LARGE, ours=BYTES, peer=TORCH, least=25, stretch=60),
    Bar(task=MANY, shape=MANY_LARGE, ours=FAST, peer=PEAKS[FAST], least=0.4, stretch=0.6),
    Bar(task=EVALUATE, shape=SMALL, ours=FAST, peer=OWN_TRAINING, least=2.5, stretch=3),
    Bar(task=EVALUATE, shape=LARGE, ours=FAST, peer=OWN_TRAINING, least=2.5, stretch=3),
)
