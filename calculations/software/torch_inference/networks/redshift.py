"""The redshift network: AstroMAE's encoder, an inception branch and the magnitudes, fused.

The one definition; plug-in, bench and the model example take this file. It needs torch 2, to load
weights safetensors, and nothing else. Layers: arXiv 2409.01825, table III, and its checkpoint.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

BANDS = 5  # SDSS u, g, r, i, z
SIDE = 32  # pixels
IMAGE_SHAPE = (BANDS, SIDE, SIDE)
MAGNITUDES = 5

PATCH = 8
WIDTH = 192
HEADS = 3
DEPTH = 12
PATCHES = (SIDE // PATCH) ** 2
JOINED = 1096  # what the encoder and the inception branch each hand to the fusion
HIDDEN = 1024

#: Name of a part -> its parameters. `tokens` are the class token and the positions.
PARTS = {
    "patch_embed": 61_632,
    "tokens": 3_456,
    "cells": 5_439_744,
    "pooling": 37_440,
    "vit_block": 1_413_840,
    "inception": 1_447_000,
    "magnitude_mlp": 4_204_544,
    "fusion": 3_295_233,
}
PARAMETERS = 15_902_889
TRAINABLE = 10_398_057
BUFFER_ELEMENTS = 19_098
SEED = 20_240_903

_FROZEN = ("patch_embed", "tokens", "cells")
_TOKENS = ("cls_token", "pos_embed")


class WeightsRefused(ValueError):
    """A file of weights that is not this network's; the message says what is wrong with it."""


def build(seed: int = SEED) -> nn.Module:
    """Return the network with weights that the seed alone decides, ready for inference.

    It is called with images (B, 5, 32, 32) and magnitudes (B, 5) and answers redshifts (B, 1).
    Random weights cost the same work as trained ones; their answers mean nothing.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network_class()()
    for name, parameter in network.named_parameters():
        parameter.requires_grad = part_of(name) not in _FROZEN
    return network.eval()


def load(path: Path | str) -> nn.Module:
    """Return the network with the weights of a safetensors file, as float32, ready for inference.

    Raises WeightsRefused for what is no such file or another network's, and OSError.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: there is no such file of weights")
    try:
        weights = load_file(path, device="cpu")
    except SafetensorError as error:
        raise WeightsRefused(f"{path} is no safetensors file: {error}") from None
    network = build()
    expected = network.state_dict()
    _refuse_others(path, {n: tuple(t.shape) for n, t in weights.items()}, expected)
    for name, tensor in weights.items():
        if expected[name].is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise WeightsRefused(f"{path}: {name} holds values that are no finite numbers")
    network.load_state_dict(weights)
    return network


def save(network: nn.Module, path: Path | str) -> None:
    """Write the weights as a safetensors file that `load` takes."""
    from safetensors.torch import save_file

    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, str(path), metadata={"network": "redshift"})


def part_of(name: str) -> str:
    """Return the part to which a parameter of that name belongs."""
    first = name.split(".")[0]
    return "tokens" if first in _TOKENS else first


def parameters_by_part(network: nn.Module) -> dict[str, int]:
    counts = dict.fromkeys(PARTS, 0)
    for name, parameter in network.named_parameters():
        counts[part_of(name)] += parameter.numel()
    return counts


def _refuse_others(
    path: Path | str, shapes: dict[str, tuple[int, ...]], expected: dict[str, Tensor]
) -> None:
    missing = sorted(expected.keys() - shapes.keys())
    unknown = sorted(shapes.keys() - expected.keys())
    if missing or unknown:
        names = [f"{name} is missing" for name in missing[:3]]
        names += [f"{name} is unknown" for name in unknown[:3]]
        count = len(missing) + len(unknown)
        raise WeightsRefused(
            f"{path} does not hold this network's weights, {count} names differ: {', '.join(names)}"
        )
    for name, shape in shapes.items():
        wanted = tuple(expected[name].shape)
        if shape != wanted:
            raise WeightsRefused(f"{path}: {name} has the shape {shape} in place of {wanted}")


@lru_cache(maxsize=1)
def _network_class() -> type[nn.Module]:
    import torch
    from torch import nn

    class Redshift(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patch_embed = nn.Conv2d(BANDS, WIDTH, kernel_size=PATCH, stride=PATCH)
            self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
            self.pos_embed = nn.Parameter(torch.zeros(1, PATCHES + 1, WIDTH))
            nn.init.trunc_normal_(self.cls_token, std=0.02)
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
            self.cells = nn.Sequential(*(_cell_class()() for _ in range(DEPTH)))
            self.pooling = nn.Sequential(nn.LayerNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, WIDTH))
            self.vit_block = _two_layers(WIDTH, JOINED, JOINED)
            self.inception = _inception_branch()
            self.magnitude_mlp = nn.Sequential(
                nn.Linear(MAGNITUDES, HIDDEN),
                *(
                    layer
                    for _ in range(4)
                    for layer in (nn.ReLU(inplace=True), nn.Linear(HIDDEN, HIDDEN))
                ),
            )
            self.fusion = _two_layers(2 * JOINED + HIDDEN, HIDDEN, 1)

        def forward(self, image: Tensor, magnitude: Tensor) -> Tensor:
            tokens = self.patch_embed(image).flatten(2).transpose(1, 2)
            first = self.cls_token.expand(tokens.shape[0], -1, -1)
            tokens = self.cells(torch.cat((first, tokens), dim=1) + self.pos_embed)
            encoded = self.vit_block(self.pooling(tokens[:, 1:].mean(dim=1)))
            if image.device.type == "cpu":  # a quarter more samples/s, most of it in max pooling
                image = image.contiguous(memory_format=torch.channels_last)
            seen = self.inception(image)
            magnitudes = self.magnitude_mlp(magnitude.to(image.dtype))
            return self.fusion(torch.cat((encoded, seen, magnitudes), dim=1))

    return Redshift


@lru_cache(maxsize=1)
def _cell_class() -> type[nn.Module]:
    import torch
    from torch import nn

    class NormalCell(nn.Module):
        """ViTAE's: attention and convolutions beside each other, then the usual two layers."""

        def __init__(self) -> None:
            super().__init__()
            self.norm1 = nn.LayerNorm(WIDTH)
            self.attention = _attention_class()()
            self.convolutions = nn.Sequential(
                nn.Conv2d(WIDTH, 4 * WIDTH, kernel_size=1, groups=48),
                nn.BatchNorm2d(4 * WIDTH),
                nn.SiLU(inplace=True),
                nn.Conv2d(4 * WIDTH, WIDTH, kernel_size=1, groups=48),
            )
            self.norm2 = nn.LayerNorm(WIDTH)
            self.mlp = nn.Sequential(
                nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH)
            )

        def forward(self, x: Tensor) -> Tensor:
            # The class token has no place on the map of patches: it gets nothing of it.
            side = SIDE // PATCH
            patches = x[:, 1:].transpose(1, 2).reshape(-1, WIDTH, side, side)
            local = self.convolutions(patches).flatten(2).transpose(1, 2)
            mixed = x + self.attention(self.norm1(x))
            mixed = torch.cat((mixed[:, :1], mixed[:, 1:] + local), dim=1)
            return mixed + self.mlp(self.norm2(mixed))

    return NormalCell


@lru_cache(maxsize=1)
def _attention_class() -> type[nn.Module]:
    import torch
    from torch import nn
    from torch.nn import functional

    class Attention(nn.Module):
        """Queries and values have a bias, keys have none."""

        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
            self.q_bias = nn.Parameter(torch.zeros(WIDTH))
            self.v_bias = nn.Parameter(torch.zeros(WIDTH))
            self.proj = nn.Linear(WIDTH, WIDTH)

        def forward(self, x: Tensor) -> Tensor:
            batch, tokens, _ = x.shape
            bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
            qkv = functional.linear(x, self.qkv.weight, bias)
            query, key, value = (
                qkv.view(batch, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4).unbind(0)
            )
            attended = functional.scaled_dot_product_attention(query, key, value)
            return self.proj(attended.transpose(1, 2).reshape(batch, tokens, WIDTH))

    return Attention


@lru_cache(maxsize=1)
def _inception_class() -> type[nn.Module]:
    import torch
    from torch import nn

    def unit(taken: int, given: int, kernel: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(taken, given, kernel_size=kernel, padding=kernel // 2),
            nn.BatchNorm2d(given),
            nn.ReLU(inplace=True),
        )

    class Inception(nn.Module):
        """Branches of one width. The last one leaves `five` out, whose weights it has all the same:
        so it was trained and so it is stored.
        """

        def __init__(self, taken: int, width: int, *, five: bool = True) -> None:
            super().__init__()
            self.uses_five = five
            self.one = unit(taken, width, 1)
            self.three = nn.Sequential(unit(taken, width, 1), unit(width, width, 3))
            self.five = nn.Sequential(unit(taken, width, 1), unit(width, width, 5))
            self.pool = nn.Sequential(
                nn.MaxPool2d(kernel_size=3, stride=1, padding=1), unit(taken, width, 1)
            )

        def forward(self, x: Tensor) -> Tensor:
            branches = [self.one(x), self.three(x)]
            if self.uses_five:
                branches.append(self.five(x))
            return torch.cat((*branches, self.pool(x)), dim=1)

    return Inception


def _inception_branch() -> nn.Module:
    from torch import nn

    block: Any = _inception_class()
    return nn.Sequential(
        nn.Conv2d(BANDS, 32, kernel_size=1),
        nn.AvgPool2d(2),
        block(32, 16),
        block(64, 16),
        nn.AvgPool2d(2),
        block(64, 8),
        block(32, 8),
        nn.AvgPool2d(2),
        block(32, 4, five=False),
        nn.Flatten(),
        *_two_layers(12 * (SIDE // 8) ** 2, JOINED, JOINED),
    )


def _two_layers(taken: int, hidden: int, given: int) -> nn.Sequential:
    from torch import nn

    return nn.Sequential(nn.Linear(taken, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, given))
