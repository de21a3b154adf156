"""People who answer each in their own way, about a taste that is known."""

import pytest
import torch

from models import Labels
from models.preference import LEFT, RIGHT
from models.rewardors._features import FAMILIES, F
from models.rewardors._labelers import Manner, opposites, size, surprise
from models.rewardors.common import Common

WORLDS, KNOWN = 400, 300
EMBEDDING = torch.randn(WORLDS, F, generator=torch.Generator().manual_seed(0))
UTILITY = EMBEDDING[:, FAMILIES["symmetry"]][:, :3] @ torch.tensor([1.0, -1.0, 0.5]) / 1.5
REFERENCE = torch.arange(WORLDS) < 150


def asked(count: int, *, sharp: float = 3.0, bias: float = 0.0, lapse: float = 0.0, who: int = 0) -> Labels:
    """Answers of Bradley and Terry's, favoring the left by so many logits, and a share of them at random."""
    draw = torch.Generator().manual_seed(10 + who)
    left = torch.randint(0, KNOWN, (count,), generator=draw)
    right = (left + torch.randint(1, KNOWN, (count,), generator=draw)) % KNOWN
    chance = torch.sigmoid(sharp * (UTILITY[left] - UTILITY[right]) + bias)
    chance = torch.where(torch.rand(count, generator=draw) < lapse, 0.5, chance)
    answer = torch.where(torch.rand(count, generator=draw) < chance, LEFT, RIGHT)
    return Labels(left, right, answer, torch.full_like(left, who))


def together(*people: Labels) -> Labels:
    columns = ("left", "right", "answer", "labeler")
    return Labels(*[torch.cat([getattr(each, name) for each in people]) for name in columns])


def crowd() -> Labels:
    """One who is careful, one who is less so, and one who answers the opposite."""
    return together(asked(60), asked(60, sharp=1.2, who=1), asked(60, sharp=-3.0, who=2))


def fitted(labels: Labels) -> Common:
    rewardor = Common()
    rewardor.fit(EMBEDDING, labels, REFERENCE)
    return rewardor


def accuracy(rewardor: Common) -> float:
    score, truth = rewardor.score(EMBEDDING[KNOWN:]), UTILITY[KNOWN:]
    first, second = torch.triu_indices(len(score), len(score), 1)
    return float(((score[first] > score[second]) == (truth[first] > truth[second])).float().mean())


@pytest.fixture(scope="module")
def known() -> Common:
    return fitted(crowd())


def test_who_answers_the_opposite_is_found_and_made_use_of(known):
    labels = crowd()
    first, second, third = known.state()["reliability"].tolist()
    assert first > second > 0 > third
    blind = fitted(Labels(labels.left, labels.right, labels.answer, 0 * labels.labeler))
    assert accuracy(known) > accuracy(blind) + 0.1


def test_it_does_not_matter_who_has_which_number(known):
    labels, order = crowd(), torch.tensor([2, 0, 1])
    other = fitted(Labels(labels.left, labels.right, labels.answer, order[labels.labeler]))
    torch.testing.assert_close(other.forward(EMBEDDING), known.forward(EMBEDDING), atol=2e-3, rtol=0)
    for name in ("reliability", "side_bias", "lapse"):
        torch.testing.assert_close(other.state()[name][order], known.state()[name], atol=1e-3, rtol=0)


def test_a_side_that_is_favored_is_seen_and_mirrored_when_sides_are():
    leaning = together(asked(80, bias=1.5), asked(80, bias=-1.5, who=1), asked(80, who=2))
    rewardor = fitted(leaning)
    left, right, fair = rewardor.state()["side_bias"].tolist()
    assert left > 0.2 > abs(fair)
    assert right < -0.2
    mirrored = fitted(Labels(leaning.right, leaning.left, 1 - leaning.answer, leaning.labeler))
    torch.testing.assert_close(mirrored.state()["side_bias"], -rewardor.state()["side_bias"])
    torch.testing.assert_close(mirrored.forward(EMBEDDING), rewardor.forward(EMBEDDING))


def test_who_answers_at_random_weighs_little():
    both = together(asked(100), asked(100, lapse=1.0, who=1))
    state = fitted(both).state()
    assert state["reliability"][1] * (1 - state["lapse"][1]) < 0.6 * state["reliability"][0] * (1 - state["lapse"][0])


def test_thirty_answers_hardly_say_how_somebody_answers():
    rewardor, usual = fitted(asked(30)), Manner.usual(1)
    state = rewardor.state()
    assert float(state["reliability"]) == 1, "there is nobody to compare with"
    assert float((state["lapse"] - usual.lapse).abs()) < 0.1
    assert float(state["side_bias"].abs()) < 0.2


def test_whoever_is_new_answers_like_people_in_general(known):
    more = together(crowd(), asked(5, who=4))
    rewardor = Common()
    rewardor.load(known.state())
    rewardor.refit(EMBEDDING, more, REFERENCE)
    assert torch.equal(rewardor.state()["reliability"][:3], known.state()["reliability"])
    assert rewardor.state()["reliability"][3:].tolist() == [1, 1]


def test_the_opposite_of_the_opposite_is_the_same():
    code = torch.randn(size(3), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for labeler, other in enumerate(opposites(code)):
        turned = torch.where(torch.arange(3) == labeler, -1, 1) * Manner.unpack(code).reliability
        torch.testing.assert_close(Manner.unpack(other).reliability, turned)
        torch.testing.assert_close(opposites(other)[labeler], code)
    assert opposites(code[:4]) == []


@pytest.mark.parametrize("labelers", [1, 3])
def test_the_usual_manner_is_the_most_probable_one(labelers):
    code = torch.zeros(size(labelers), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(surprise(code), code)
    assert slope.abs().max() < 1e-9
    draw = torch.Generator().manual_seed(0)
    for _ in range(20):
        away = code.detach() + torch.randn(len(code), generator=draw)
        assert surprise(away) > surprise(code)
