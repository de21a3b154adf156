"""Convolutions by transform are convolutions, in each of their implementations."""

import pytest
import torch

from sims._fourier import COMPILED, convolve, prepare


def numbers(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def symmetric(*shape, seed=1):
    """Kernels that point reflection through cell (0, 0) leaves as they are, of sum 1."""
    kernel = numbers(*shape, seed=seed)
    kernel = kernel + kernel.flip(-2, -1).roll((1, 1), (-2, -1))
    return kernel / kernel.sum((-2, -1), keepdim=True)


def by_definition(field, kernel):
    """The sum over all offsets, for fields and kernels (n, n)."""
    n = len(field)
    return sum(kernel[i, j] * field.roll((i, j), (0, 1)) for i in range(n) for j in range(n))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_is_the_sum_over_all_neighbours(dtype):
    field, kernel = numbers(2, 1, 64, 64), symmetric(2, 1, 64, 64)
    seen = convolve(field.to(dtype), prepare(kernel.to(dtype)))
    for b in range(2):
        error = (seen[b, 0] - by_definition(field[b, 0], kernel[b, 0])).abs().max()
        assert error < (1e-6 if dtype == torch.float32 else 1e-14)


@pytest.mark.parametrize("size", COMPILED)
def test_compiled_and_plain_agree_and_each_kernel_sees_its_channel(size):
    field, kernel, source = numbers(2, 3, size, size), symmetric(2, 4, size, size), (2, 0, 1, 0)
    plain = convolve(field, prepare(kernel), source)
    compiled = convolve(field.float(), prepare(kernel.float()), source)
    assert compiled.dtype == torch.float32
    assert (compiled - plain).abs().max() < 5e-7
    for k, channel in enumerate(source):
        alone = convolve(field[:, channel : channel + 1], prepare(kernel[:, k : k + 1]))
        assert (alone[:, 0] - plain[:, k]).abs().max() < 1e-14


@pytest.mark.parametrize("size", COMPILED)
def test_a_kernel_of_one_cell_shows_what_is_there(size):
    kernel = torch.zeros(1, 1, size, size)
    kernel[..., 0, 0] = 1
    field = numbers(1, 1, size, size).float()
    assert (convolve(field, prepare(kernel)) - field).abs().max() < 1e-6


def test_other_shapes_take_the_plain_way():
    field, kernel = numbers(1, 1, 20, 36).float(), symmetric(1, 1, 20, 36).float()
    wide = convolve(field.double(), prepare(kernel.double()))
    assert (convolve(field, prepare(kernel)) - wide).abs().max() < 1e-6


def test_a_world_comes_out_the_same_bit_by_bit_in_any_company():
    field, spectrum = numbers(5, 1, 64, 64).float(), prepare(symmetric(5, 1, 64, 64).float())
    together = convolve(field, spectrum)
    assert torch.equal(together[3:4], convolve(field[3:4], spectrum[3:4]))
    assert torch.equal(together.flip(0), convolve(field.flip(0), spectrum.flip(0)))
