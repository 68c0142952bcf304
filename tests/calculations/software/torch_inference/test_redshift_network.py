"""The redshift network has exactly the published layers, and takes its weights from safe files."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install -e .[ml]")

from calculations.software.torch_inference.networks import redshift  # noqa: E402 - after the skip


@pytest.fixture(scope="module")
def network() -> "torch.nn.Module":
    return redshift.build()


@pytest.fixture(scope="module")
def sample() -> "tuple[torch.Tensor, torch.Tensor]":
    generator = torch.Generator().manual_seed(7)
    images = torch.randn(3, *redshift.IMAGE_SHAPE, generator=generator)
    magnitudes = torch.randn(3, redshift.MAGNITUDES, generator=generator, dtype=torch.float64)
    return images, magnitudes


def answer(
    network: "torch.nn.Module", sample: "tuple[torch.Tensor, torch.Tensor]"
) -> "torch.Tensor":
    with torch.inference_mode():
        return network(*sample)


def test_the_network_has_exactly_the_published_parameters(network: "torch.nn.Module") -> None:
    parameters = list(network.parameters())
    assert sum(parameter.numel() for parameter in parameters) == 15_902_889
    assert redshift.PARAMETERS == 15_902_889
    mebibytes = (
        sum(parameter.numel() * parameter.element_size() for parameter in parameters) / 2**20
    )
    assert mebibytes == 60.66470718383789  # as the published workers report it


def test_each_part_has_the_published_parameters(network: "torch.nn.Module") -> None:
    assert redshift.parameters_by_part(network) == {
        "patch_embed": 61_632,
        "tokens": 3_456,
        "cells": 12 * 453_312,
        "pooling": 384 + 37_056,
        "vit_block": 1_413_840,
        "inception": 192 + 32_968 + 1_413_840,
        "magnitude_mlp": 4_204_544,
        "fusion": 3_295_233,
    }
    assert redshift.parameters_by_part(network) == redshift.PARTS
    cells = {sum(p.numel() for p in cell.parameters()) for cell in network.cells}
    assert cells == {453_312}


def test_its_buffers_and_trainable_parameters_are_the_published_ones(
    network: "torch.nn.Module",
) -> None:
    assert sum(buffer.numel() for buffer in network.buffers()) == redshift.BUFFER_ELEMENTS == 19_098
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert trainable == redshift.TRAINABLE == 10_398_057


def test_its_work_is_the_published_one(
    network: "torch.nn.Module", sample: "tuple[torch.Tensor, torch.Tensor]"
) -> None:
    """221.5 MFLOP a sample, counted by torch, which does not count its fused attention."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        answer(network, (sample[0][:1], sample[1][:1]))
    assert counter.get_total_flops() / 1e6 == pytest.approx(221.5, abs=0.05)


def test_a_seed_alone_decides_the_weights(
    network: "torch.nn.Module", sample: "tuple[torch.Tensor, torch.Tensor]"
) -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    again = redshift.build()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(answer(again, sample), answer(network, sample))
    assert not torch.equal(answer(redshift.build(seed=2), sample), answer(network, sample))


def test_image_and_magnitudes_both_count(
    network: "torch.nn.Module", sample: "tuple[torch.Tensor, torch.Tensor]"
) -> None:
    images, magnitudes = sample
    redshifts = answer(network, sample)
    assert redshifts.shape == (3, 1)
    assert redshifts.dtype == torch.float32
    assert not torch.equal(answer(network, (images, magnitudes + 1)), redshifts)
    assert not torch.equal(answer(network, (images.flip(-1), magnitudes)), redshifts)


def test_a_sample_is_answered_alike_alone_and_in_a_batch(
    network: "torch.nn.Module", sample: "tuple[torch.Tensor, torch.Tensor]"
) -> None:
    images, magnitudes = sample
    alone = torch.cat(
        [answer(network, (images[i : i + 1], magnitudes[i : i + 1])) for i in range(3)]
    )
    torch.testing.assert_close(alone, answer(network, sample), rtol=1e-5, atol=1e-6)


def test_weights_come_from_a_safetensors_file(
    tmp_path: Path, sample: "tuple[torch.Tensor, torch.Tensor]"
) -> None:
    other = redshift.build(seed=2)
    redshift.save(other, tmp_path / "model.safetensors")
    loaded = redshift.load(tmp_path / "model.safetensors")
    assert not loaded.training
    assert torch.equal(answer(loaded, sample), answer(other, sample))


def test_weights_of_another_network_are_refused(tmp_path: Path, network: "torch.nn.Module") -> None:
    from safetensors.torch import save_file

    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    file = tmp_path / "model.safetensors"
    broken = {
        "fusion.2.bias is missing": {n: t for n, t in weights.items() if n != "fusion.2.bias"},
        "head is unknown": weights | {"head": torch.zeros(1)},
        r"fusion.2.bias has the shape \(2,\) in place of \(1,\)": weights
        | {"fusion.2.bias": torch.zeros(2)},
        "fusion.2.bias holds values that are no finite": weights
        | {"fusion.2.bias": torch.tensor([float("nan")])},
    }
    for complaint, content in broken.items():
        save_file(content, file)
        with pytest.raises(redshift.WeightsRefused, match=complaint):
            redshift.load(file)


def test_a_file_that_is_no_safetensors_file_is_refused_and_never_unpickled(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    torch.save({"weights": [1]}, file)
    with pytest.raises(redshift.WeightsRefused, match="is no safetensors file"):
        redshift.load(file)
    with pytest.raises(FileNotFoundError, match="no such file of weights"):
        redshift.load(tmp_path / "none.safetensors")
