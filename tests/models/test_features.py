import numpy as np
import pytest
import torch
from torch import Tensor

from models.rewardors import _objects
from models.rewardors._features import FAMILIES, F, describe
from models.rewardors._hue import HUES
from models.rewardors._motion import _flow
from models.rewardors._signal import SIDE, bands, complete, power, shrink
from models.rewardors.common import Common


def noise_clip(frames: int = 12, side: int = SIDE, seed: int = 0) -> Tensor:
    """Colored, smooth, wandering noise (T, H, W, 3) uint8."""
    draw = torch.Generator().manual_seed(seed)
    field = torch.fft.rfft2(torch.randn(3, side, side, generator=draw))
    axis = torch.fft.fftfreq(side) * side
    field = field * torch.exp(-(axis[:, None] ** 2 + axis[: side // 2 + 1] ** 2) / 40)
    base = torch.fft.irfft2(field, s=(side, side))
    frames_ = [(base * (1 + 0.2 * t)).roll((t, 2 * t), (1, 2)) for t in range(frames)]
    clip = torch.stack(frames_) / base.std() * 40 + 100
    return clip.clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8)


def discs(*centers: tuple[float, float], radius: float = 5, side: int = SIDE) -> Tensor:
    """White discs on a black torus, (H, W, 3) uint8."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    picture = torch.zeros(side, side)
    for cy, cx in centers:
        dy, dx = ((y - cy + side / 2) % side - side / 2), ((x - cx + side / 2) % side - side / 2)
        picture = torch.maximum(picture, (radius + 0.5 - torch.hypot(dy, dx)).clamp(0, 1))
    return (picture * 255).to(torch.uint8)[..., None].expand(-1, -1, 3)


def still(picture: Tensor, frames: int = 8) -> Tensor:
    return picture.expand(frames, -1, -1, -1)


def family(clip: Tensor, name: str) -> Tensor:
    return describe(clip)[FAMILIES[name]]


def test_families_partition_the_features():
    ends = [0] + [part.stop for part in FAMILIES.values()]
    assert [part.start for part in FAMILIES.values()] == ends[:-1]
    assert ends[-1] == F == len(describe(noise_clip()))


@pytest.mark.parametrize("shift", [(1, 0), (0, 31), (17, 46)])
def test_where_on_the_torus_does_not_matter(shift):
    clip = noise_clip()
    moved = clip.roll(shift, (1, 2))
    for name, part in FAMILIES.items():
        # coarser pixels see a shifted grid: wave sizes and flow then differ by a little
        tolerance = 0.05 if name in ("motion", "color", "hue") else 2e-3
        torch.testing.assert_close(describe(moved)[part], describe(clip)[part], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("turn", [lambda c: c.transpose(1, 2), lambda c: c.flip(1), lambda c: c.rot90(1, (1, 2))])
def test_mirrors_and_quarter_turns_do_not_matter(turn):
    clip = noise_clip()
    torch.testing.assert_close(describe(turn(clip).contiguous()), describe(clip), rtol=0.05, atol=0.05)


def test_other_things_do_matter():
    clip = noise_clip()
    assert (family(clip.flip(0), "change") - family(clip, "change")).abs().max() > 0.1
    assert (family(clip.roll(1, 3), "color") - family(clip, "color")).abs().max() > 0.01
    assert (family(255 - clip, "look") - family(clip, "look")).abs().max() > 0.1
    assert (family(still(clip[0], len(clip)), "change") - family(clip, "change")).abs().max() > 1


def test_the_same_to_the_last_bit_in_any_batch():
    clips = torch.stack([noise_clip(seed=seed) for seed in range(5)])
    rewardor = Common()
    whole = rewardor.embed(clips)
    assert torch.equal(whole, torch.cat([rewardor.embed(clip[None]) for clip in clips]))
    assert torch.equal(whole.flip(0), rewardor.embed(clips.flip(0)))
    assert rewardor.embed(clips[:0]).shape == (0, F)


@pytest.mark.parametrize("shape", [(1, 64, 64), (2, 64, 64), (3, 16, 16), (32, 20, 33), (7, 128, 96), (60, 64, 64)])
@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_finite_for_pictures_and_films_of_any_size(shape, kind):
    values = {"black": 0, "white": 255, "noise": torch.randint(0, 256, (*shape, 3), generator=torch.Generator())}
    clip = torch.zeros(*shape, 3, dtype=torch.uint8) + torch.as_tensor(values[kind]).to(torch.uint8)
    assert describe(clip).isfinite().all()


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_things_are_counted_across_the_seam(count):
    centers = [(0, 0), (20, 40), (40, 10), (32, 63), (50, 45)][:count]
    counted = family(still(discs(*centers)), "objects")[0]
    assert counted == pytest.approx(np.log1p(count), abs=1e-6)


def test_components_join_over_edges_but_not_over_frames():
    solid = np.zeros((2, 8, 8), bool)
    solid[0, 0, 1:3] = solid[0, 7, 2] = True  # one thing over the top edge
    solid[0, 4, 0] = solid[0, 4, 7] = True  # one over the side
    solid[1, 0, 1] = True
    solid[1, 1, 2] = True  # touches by a corner only
    mark, count = _objects.components(solid)
    assert count == 4
    assert mark[0, 0, 1] == mark[0, 7, 2] != mark[0, 4, 0] == mark[0, 4, 7]
    assert len(np.unique(mark[1])) == 3
    assert (mark > 0).tolist() == solid.tolist()


def test_sizes_and_steps_of_things_are_those_drawn():
    frames = torch.stack([discs((10, 8 + 1.5 * t), (40, 30 - 1.5 * t)) for t in range(8)])
    count, size, *_ = numbers = family(frames, "objects").tolist()
    step, diameters, found = numbers[8:11]
    assert count == pytest.approx(np.log1p(2))
    assert size == pytest.approx(np.log(np.pi * 5**2), abs=0.1)
    assert step == pytest.approx(np.log1p(1.5), abs=0.1)
    assert diameters == pytest.approx(1.5 / np.sqrt(np.pi * 25), rel=0.15)
    assert found == 1


def test_symmetric_pictures_match_their_images_and_others_do_not():
    ring = still(discs((30, 20), (30, 44), (18, 32), (42, 32), radius=4))  # every symmetry of the square
    bent = still(discs((10, 10), (10, 30), (34, 10), (40, 50), (22, 41), radius=4))
    kinds = 5  # mirror, diagonal, better of both, half turn, quarter turn
    assert family(ring, "symmetry")[:kinds].min() > 0.97
    assert family(bent, "symmetry")[:kinds].max() < 0.8


def test_a_symmetry_is_told_from_another():
    mirror = still(discs((12, 20), (12, 44), (40, 26), (40, 38), (30, 32), radius=4))
    upright, diagonal, best, half, quarter = family(mirror, "symmetry")[:5].tolist()
    assert upright == best > 0.97
    assert max(diagonal, half, quarter) < 0.9


def test_motion_is_told_from_flicker():
    def flow(frames: Tensor) -> Tensor:
        return _flow(shrink(torch.fft.rfft2(frames[..., 0].float() / 255), 32))

    moving = torch.stack([discs((20 + t, 30 + t), (50, 10 + t), radius=7) for t in range(8)])
    flashing = torch.stack([discs((20, 30), (50, 10), radius=7) // (1 + t % 2) for t in range(8)])
    assert flow(moving)[2] > 0.7 > 0.3 > flow(flashing)[2]


def test_bands_add_up_to_the_variance():
    frame = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spectrum = torch.fft.rfft2(frame)
    everything = bands((0.5, 100.0), SIDE).double()
    assert float(power(spectrum).reshape(1, -1) @ everything) == pytest.approx(float(frame.var(correction=0)))


def test_spectra_are_shrunk_and_completed_like_pictures():
    axis = torch.arange(SIDE) * 2 * torch.pi / SIDE
    picture = torch.sin(3 * axis)[:, None] + torch.cos(5 * axis + 1)
    spectrum = torch.fft.rfft2(picture)[None]
    small = torch.fft.irfft2(shrink(spectrum, 32), s=(32, 32))[0]
    torch.testing.assert_close(small, picture[::2, ::2], atol=1e-4, rtol=0)
    torch.testing.assert_close(complete(spectrum)[0], torch.fft.fft2(picture), atol=1e-2, rtol=0)


def squares(mixed: bool, colors: tuple[tuple[int, int, int], ...], side: int = SIDE) -> Tensor:
    """A still clip of equally many pixels of each color: in halves, or in a fine check."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    kind = (rows // 2 + columns // 2) % len(colors) if mixed else columns * len(colors) // side
    return torch.tensor(colors, dtype=torch.uint8)[kind].expand(8, side, side, 3).contiguous()


def test_hues_are_counted_and_their_places_seen():
    red, green = (200, 0, 0), (0, 200, 0)
    alone, apart, mixed = squares(False, (red,)), squares(False, (red, green)), squares(True, (red, green))
    entropy = [float(family(clip, "hue")[HUES]) for clip in (alone, apart, mixed)]
    assert entropy[0] < 0.6 * entropy[1]
    assert entropy[1] == pytest.approx(entropy[2], abs=1e-4)
    first = HUES + 4  # the likeness of neighbors
    near = [float(family(clip, "hue")[first]) for clip in (alone, apart, mixed)]
    assert near[0] == pytest.approx(1, abs=1e-3)
    assert near[1] > 0.85
    assert near[2] < -0.3
    grey = squares(False, ((90, 90, 90),))
    assert family(grey, "hue").abs().max() < 1e-3
