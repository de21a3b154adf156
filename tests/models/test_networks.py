"""What is true of both networks, and what each sees: a taste for features, and a taste for what moves."""

import pytest
import torch
from torch import Tensor

from models import Labels
from models.preference import LEFT, NEITHER, RIGHT, SKIP
from models.rewardors._descent import LUCK
from models.rewardors._features import F
from models.rewardors.convnet import SIDE, ConvNet
from models.rewardors.ensemble import Ensemble

WORLDS = 400


def stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LATENT = torch.randn(WORLDS, 12, generator=stream(0))


@pytest.fixture(scope="module")
def embedding() -> Tensor:
    """Twelve numbers, seen through many features in very different units, as those of worlds are."""
    seen = LATENT @ torch.randn(12, F, generator=stream(5)) + torch.randn(WORLDS, F, generator=stream(6))
    return seen * torch.linspace(0.1, 30, F)


TASTE = LATENT[:, :4] @ torch.tensor([1.0, -1, 0.5, 1])


def judged(utility: Tensor, count: int, seed: int = 1, below: int = 300) -> Labels:
    left = torch.randint(0, below, (count,), generator=stream(seed))
    right = (left + torch.randint(1, below, (count,), generator=stream(seed + 1))) % below
    answer = torch.where(utility[left] > utility[right], LEFT, RIGHT)
    return Labels(left, right, answer, torch.zeros_like(left))


def accuracy(score: Tensor, utility: Tensor) -> float:
    left, right = torch.triu_indices(len(score), len(score), 1)
    return float(((score[left] > score[right]) == (utility[left] > utility[right])).float().mean())


REFERENCE = torch.arange(WORLDS) < 150


@pytest.fixture(scope="module")
def learned(embedding) -> Ensemble:
    ensemble = Ensemble()
    ensemble.fit(embedding, judged(TASTE, 200), REFERENCE)
    return ensemble


def test_the_ensemble_finds_a_linear_taste(embedding, learned):
    fresh = embedding[300:]  # no label is about these
    assert accuracy(learned.score(fresh), TASTE[300:]) > 0.8


def test_members_agree_where_labels_were_and_differ_away_from_them(embedding, learned):
    far = 4 * embedding[300:]
    seen, fresh, away = (learned.forward(x).std(1).mean() for x in (embedding[:300], embedding[300:], far))
    assert seen < 0.95 * fresh
    assert fresh < 0.8 * away


def test_before_the_first_answer_scores_are_zero_and_random_pairs_differ_by_two_logits(embedding):
    ensemble = Ensemble(members=40)
    ensemble.fit(embedding, judged(TASTE, 0), REFERENCE)
    reward = ensemble.forward(embedding)
    assert ensemble.score(embedding).abs().max() < 1e-5
    assert float((reward[:200] - reward[200:]).square().mean().sqrt()) == pytest.approx(1.35 * 2**0.5, rel=0.1)
    wild = Ensemble(members=40, amplitude=2.7)
    wild.fit(embedding, judged(TASTE, 0), REFERENCE)
    torch.testing.assert_close(wild.forward(embedding), 2 * reward, atol=1e-4, rtol=1e-4)


def test_members_are_functions_centred_on_the_reference(embedding, learned):
    whole = learned.forward(embedding)
    assert whole.shape == (WORLDS, 12)
    alone = torch.cat([learned.forward(row[None]) for row in embedding[:50]])
    torch.testing.assert_close(whole[:50], alone, atol=1e-4, rtol=0)
    assert whole[REFERENCE].mean(0).abs().max() < 1e-4
    assert learned.forward(torch.full((1, F), torch.nan)).isnan().all()


def test_state_is_all_there_is(embedding, learned):
    other = Ensemble()
    other.load(learned.state())
    assert all(value.is_contiguous() for value in other.state().values())
    assert torch.equal(other.forward(embedding), learned.forward(embedding))
    with pytest.raises(RuntimeError, match="fit or load"):
        Ensemble().forward(embedding)


def test_sharpness_multiplies_rewards_and_outlives_a_refit(embedding, learned, monkeypatch):
    monkeypatch.setattr(Ensemble, "steps", 5)
    sharp = Ensemble()
    sharp.load(learned.state())
    assert sharp.sharpen(2.0) == 2.0
    torch.testing.assert_close(sharp.forward(embedding), 2 * learned.forward(embedding))
    sharp.refit(embedding, judged(TASTE, 20), REFERENCE)
    plain = Ensemble()
    plain.fit(embedding, judged(TASTE, 20), REFERENCE)
    torch.testing.assert_close(sharp.forward(embedding), 2 * plain.forward(embedding))


def test_what_says_nothing_changes_nothing(embedding, monkeypatch):
    """Skipped pairs, a world beside itself, worlds without features."""
    monkeypatch.setattr(Ensemble, "steps", 20)
    told = judged(TASTE, 30)
    more = Labels(
        torch.cat([told.left, torch.tensor([1, 5, 399])]),
        torch.cat([told.right, torch.tensor([2, 5, 3])]),
        torch.cat([told.answer, torch.tensor([SKIP, LEFT, LEFT])]),
        torch.zeros(33, dtype=torch.int64),
    )
    broken = embedding.clone()
    broken[399] = torch.nan
    first, second = Ensemble(), Ensemble()
    first.fit(broken, told, REFERENCE)
    second.fit(broken, more, REFERENCE)
    assert torch.equal(first.forward(embedding), second.forward(embedding))


def test_neither_pulls_below_the_middle(embedding, monkeypatch):
    monkeypatch.setattr(Ensemble, "steps", 60)
    left, right = torch.arange(0, 20), torch.arange(20, 40)
    ensemble = Ensemble()
    ensemble.fit(embedding, Labels(left, right, torch.full((20,), NEITHER), left * 0), REFERENCE)
    assert float(ensemble.score(embedding[:40]).mean()) < float(ensemble.score(embedding[100:]).mean()) - 0.3


def clips(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """One bright square each, drifting at (count,) different speeds on a torus; (count, 32, 64, 64, 3)."""
    speed = 3 * torch.rand(count, generator=stream(seed))
    place, color = (
        torch.randint(64, (count, 2), generator=stream(seed + 1)),
        torch.rand(count, 3, generator=stream(seed + 2)),
    )
    made = torch.zeros(count, 32, 64, 64, 3, dtype=torch.uint8)
    for world in range(count):
        for frame in range(32):
            row = (torch.arange(12) + int(place[world, 0] + frame * speed[world])) % 64
            column = (torch.arange(12) + int(place[world, 1])) % 64
            made[world, frame, row[:, None], column] = (150 + 100 * color[world]).to(torch.uint8)
    return made, speed


@pytest.fixture(scope="module")
def films() -> tuple[Tensor, Tensor]:
    return clips(100)


def test_a_picture_that_does_not_move_can_be_kept_too(films):
    small = ConvNet().embed(films[0][:2, :1])
    assert small.shape == (2, 16 * 3 * SIDE * SIDE)
    assert small.view(2, 16, -1).diff(dim=1).abs().max() == 0
    torch.testing.assert_close(small.mean(), films[0][:2, :1].float().mean() / 255)


@pytest.mark.slow
def test_the_convnet_learns_to_like_what_moves_wherever_it_is(films, monkeypatch):
    monkeypatch.setattr(ConvNet, "steps", 50)
    made, speed = films
    net = ConvNet(members=4)
    kept = net.embed(made)
    net.fit(kept, judged(speed, 120, below=70), torch.arange(100) < 50)
    assert accuracy(net.score(kept[70:]), speed[70:]) > 0.75
    moved = net.embed(made[70:].roll((8, 20), (2, 3)))
    torch.testing.assert_close(net.forward(moved), net.forward(kept[70:]), atol=1e-3, rtol=0)
    nearly = net.score(net.embed(made[70:].roll((1, 2), (2, 3)))) - net.score(kept[70:])
    assert float(nearly.abs().mean()) < 0.2 * float(net.score(kept[70:]).std())


def test_views_are_the_same_world_elsewhere_turned_or_later():
    net, whole = ConvNet(), torch.rand(40, 16, 3, SIDE, SIDE, generator=stream(3))
    view = net.vary(whole.flatten(1), torch.rand(40, LUCK, generator=stream(4))).view(40, 8, 3, SIDE, SIDE)
    # the pixels of each frame are those of one of the clip, in other places; frames stay in order
    shown, there = view.flatten(2).sort(2)[0], whole.flatten(2).sort(2)[0]
    starts = []
    for frames, clip in zip(shown, there, strict=True):
        starts.append([start for start in range(9) if torch.equal(clip[start : start + 8], frames)])
    assert all(len(start) == 1 for start in starts)
    assert len({start[0] for start in starts}) > 5
    straight = net.vary(whole.flatten(1), torch.tensor([0, 0, 0.9, 0.9, 0.9, 0, 0, 0]).expand(40, -1))
    assert torch.equal(straight, whole[:, :8].flatten(1))
