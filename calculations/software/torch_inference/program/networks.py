"""The networks that can be run, and what each of them reads and is held against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from calculations.software.torch_inference.program.formats import SIZES, Tensor
from calculations.software.torch_inference.program.problem import Problem

FOLDER = "calculations.software.torch_inference.networks"


@dataclass(frozen=True)
class Field:
    """One tensor of a partition: its shape without the first axis, and the types that it may have.

    `counted`  whether its bits count towards the throughput
    """

    name: str
    shape: tuple[int, ...]
    dtypes: tuple[str, ...]
    counted: bool = True
    needed: bool = True


@dataclass(frozen=True)
class Network:
    """`module` has build(seed) and load(path); the network that they return takes `inputs` in order
    and answers one number a sample. `target` is what answers are held against, where it is known.
    """

    name: str
    module: str
    inputs: tuple[Field, ...]
    target: Field

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*self.inputs, self.target)

    def bits(self, tensors: Mapping[str, Tensor]) -> int:
        """Bits that one sample brings to the network, as they are stored."""
        named = [tensors[field.name] for field in self.inputs if field.counted]
        return 8 * sum(tensor.row_bytes for tensor in named)

    def build(self, seed: int) -> Any:
        return import_module(self.module).build(seed)

    def load(self, path: Path) -> Any:
        """Raises Problem for weights of another network."""
        module = import_module(self.module)
        try:
            return module.load(path)
        except module.WeightsRefused as error:
            raise Problem(
                "bad_weights",
                f"The weights cannot be used: {error}.",
                "Name the safetensors file of this network's weights; its state_dict saved by "
                "safetensors.torch.save_file is one.",
            ) from None

    def samples(self, tensors: Mapping[str, Tensor]) -> int:
        """Return how many samples a partition holds. Raises ValueError with what is wrong."""
        counts = {}
        for field in self.fields:
            tensor = tensors.get(field.name)
            if tensor is None and not field.needed:
                continue
            if tensor is None:
                have = ", ".join(sorted(tensors)[:6]) or "nothing"
                raise ValueError(f"has no tensor {field.name!r}; it holds {have}")
            shapes = (field.shape, (1,)) if field is self.target else (field.shape,)
            if not tensor.shape or tensor.shape[1:] not in shapes:
                wanted = " × ".join(map(str, ("N", *field.shape)))
                found = " × ".join(map(str, tensor.shape)) or "a single value"
                raise ValueError(f"{field.name} has the shape {found}; {wanted} is needed")
            if tensor.dtype not in field.dtypes:
                wanted = " or ".join(field.dtypes)
                raise ValueError(f"{field.name} is of type {tensor.dtype}; {wanted} is needed")
            counts[field.name] = tensor.shape[0]
        if len(set(counts.values())) > 1:
            words = ", ".join(f"{count} of {name}" for name, count in counts.items())
            raise ValueError(f"has not as many rows in each tensor: {words}")
        return next(iter(counts.values()))

    def generated(self, samples: int) -> dict[str, Tensor]:
        """The header of a partition that is made up."""
        return {
            field.name: Tensor(
                field.dtypes[0],
                (samples, *field.shape),
                0,
                samples * SIZES[field.dtypes[0]] * _elements(field.shape),
            )
            for field in self.fields
        }


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count


NETWORKS = {
    "redshift": Network(
        "redshift",
        f"{FOLDER}.redshift",
        (
            Field("image", (5, 32, 32), ("F32",)),
            Field("magnitude", (5,), ("F64", "F32")),
        ),
        Field("redshift", (), ("F32", "F64"), counted=False, needed=False),
    )
}
