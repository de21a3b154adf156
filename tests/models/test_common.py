import math

import pytest
import torch
from torch import Tensor

from models import ANSWERS, Labels
from models.preference import LEFT, NEITHER, RIGHT, SKIP, TIE, better
from models.rewardors._features import FAMILIES, F
from models.rewardors.common import Common

WORLDS = 400


@pytest.fixture(scope="module")
def embedding() -> Tensor:
    return torch.randn(WORLDS, F, generator=torch.Generator().manual_seed(0)) * torch.linspace(0.1, 30, F)


@pytest.fixture(scope="module")
def reference() -> Tensor:
    return torch.arange(WORLDS) < 150


def pairs(count: int, seed: int = 1, below: int = 300) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    left = torch.randint(0, below, (count,), generator=draw)
    return left, (left + torch.randint(1, below, (count,), generator=draw)) % below


def labels(left: Tensor, right: Tensor, answer: Tensor | int) -> Labels:
    answer = answer if isinstance(answer, Tensor) else torch.full_like(left, answer)
    return Labels(left, right, answer, torch.zeros_like(left))


def judged(utility: Tensor, count: int, seed: int = 1) -> Labels:
    left, right = pairs(count, seed)
    return labels(left, right, torch.where(utility[left] > utility[right], LEFT, RIGHT))


def linear(embedding: Tensor) -> Tensor:
    """A taste for the first three features of symmetry, in their own scales."""
    z = embedding / embedding.std(0)
    return z[:, FAMILIES["symmetry"]][:, :3] @ torch.tensor([1.0, -1.0, 0.5])


def bowl(embedding: Tensor) -> Tensor:
    """A taste for medium symmetry: no linear function orders it."""
    return -(embedding / embedding.std(0))[:, FAMILIES["symmetry"]][:, :2].square().sum(1)


def accuracy(rewardor: Common, embedding: Tensor, utility: Tensor) -> float:
    fresh = torch.arange(300, WORLDS)  # no label is about these
    score = rewardor.score(embedding[fresh])
    left, right = torch.triu_indices(len(fresh), len(fresh), 1)
    u = utility[fresh]
    return float(((score[left] > score[right]) == (u[left] > u[right])).float().mean())


@pytest.mark.parametrize(
    ("taste", "count", "least"), [(linear, 100, 0.8), (linear, 300, 0.9), (bowl, 300, 0.7)], ids=lambda p: str(p)[:12]
)
def test_a_known_taste_is_found(embedding, reference, taste, count, least):
    utility = taste(embedding)
    rewardor = Common()
    rewardor.fit(embedding, judged(utility, count), reference)
    assert accuracy(rewardor, embedding, utility) > least


def test_the_family_that_matters_gets_the_weight(embedding, reference):
    metrics = Common().fit(embedding, judged(linear(embedding), 150), reference)
    weights = {name: metrics[f"weight_{name}"] for name in FAMILIES}
    assert sum(weights.values()) == pytest.approx(1)
    assert max(weights, key=weights.__getitem__) == "symmetry"


def test_without_labels_scores_are_zero_and_members_differ(embedding, reference):
    rewardor = Common()
    rewardor.fit(embedding, labels(*pairs(0), LEFT), reference)
    reward = rewardor.forward(embedding)
    assert rewardor.score(embedding).abs().max() < 1e-5
    gap = reward[:100] - reward[100:200]
    assert 1.2 < float(gap.std(1).mean()) < 2.5  # random pairs differ by about 1.9 logits under the prior


def test_options_say_what_is_believed_before_the_first_answer_and_how_unequal_families_may_be(embedding, reference):
    wild, tame = (Common(variance=v).fit(embedding, labels(*pairs(0), LEFT), reference)["doubt"] for v in (14.0, 3.5))
    assert wild == pytest.approx(2 * tame, rel=1e-3)
    told = judged(linear(embedding), 60)
    free, even = (Common(focus=focus).fit(embedding, told, reference)["weight_symmetry"] for focus in (3.0, 0.2))
    assert free > even + 0.1


def test_members_are_functions(embedding, reference):
    rewardor = Common(members=5)
    rewardor.fit(embedding, judged(linear(embedding), 40), reference)
    whole = rewardor.forward(embedding)
    assert whole.shape == (WORLDS, 5)
    torch.testing.assert_close(whole, torch.cat([rewardor.forward(row[None]) for row in embedding]), atol=1e-5, rtol=0)
    assert torch.equal(whole, rewardor.forward(embedding))
    assert whole.std(1).min() > 0
    assert whole[reference].mean(0).abs().max() < 1e-5


def test_members_have_the_moments_of_the_posterior(embedding, reference):
    few, many = Common(members=4), Common(members=4000)
    told = judged(linear(embedding), 60)
    few.fit(embedding, told, reference)
    many.fit(embedding, told, reference)
    torch.testing.assert_close(few.score(embedding), many.score(embedding), atol=1e-4, rtol=0)
    drawn = [Common(members=64) for _ in range(1)]
    drawn[0].fit(embedding, told, reference)
    ratio = drawn[0].forward(embedding).var(1).mean() / many.forward(embedding).var(1).mean()
    assert float(ratio) == pytest.approx(1, abs=0.15)


def test_labels_lower_doubt_most_where_they_are(embedding, reference):
    left, right = pairs(60)
    rewardor = Common(members=200)
    rewardor.fit(embedding, judged(linear(embedding), 60), reference)
    after = rewardor.forward(embedding)
    rewardor.refit(embedding, labels(*pairs(0), LEFT), reference)  # the prior with the same amplitudes
    before = rewardor.forward(embedding)
    asked, others = (
        (after[a] - after[b]).var(1).mean() / (before[a] - before[b]).var(1).mean()
        for a, b in ((left, right), pairs(200, seed=9))
    )
    assert asked < 0.9 * others < others < 1


def test_state_is_all_there_is(embedding, reference):
    rewardor, other = Common(), Common()
    rewardor.fit(embedding, judged(linear(embedding), 30), reference)
    state = rewardor.state()
    assert all(value.is_contiguous() for value in state.values())
    other.load(state)
    for value in state.values():
        value.zero_()  # neither may be touched by what becomes of the tensors in between
    assert torch.equal(rewardor.forward(embedding), other.forward(embedding))
    ours, theirs = rewardor.state(), other.state()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_order_and_the_sides_of_labels_do_not_matter(embedding, reference):
    told = judged(linear(embedding), 50)
    told.answer[::7], told.answer[3::11] = TIE, NEITHER
    order = torch.randperm(50, generator=torch.Generator().manual_seed(2))
    turned = torch.tensor([RIGHT, LEFT, TIE, NEITHER, SKIP])[told.answer]
    rewards = []
    for variant in (
        told,
        labels(told.left[order], told.right[order], told.answer[order]),
        labels(told.right, told.left, turned),
    ):
        rewardor = Common()
        rewardor.fit(embedding, variant, reference)
        rewards.append(rewardor.forward(embedding))
    assert torch.equal(rewards[0], rewards[1])
    assert torch.equal(rewards[0], rewards[2])


def test_skip_changes_nothing_at_all(embedding, reference):
    told = judged(linear(embedding), 30)
    left, right = pairs(20, seed=5)
    more = labels(
        torch.cat([told.left, left]), torch.cat([told.right, right]), torch.cat([told.answer, 0 * left + SKIP])
    )
    plain, skipping = Common(), Common()
    plain.fit(embedding, told, reference)
    skipping.fit(embedding, more, reference)
    assert torch.equal(plain.forward(embedding), skipping.forward(embedding))


def test_ties_pull_together(embedding, reference):
    told, pair = judged(linear(embedding), 40), (torch.tensor([10]), torch.tensor([11]))
    gaps = []
    for ties in (0, 8):
        rewardor = Common()
        left, right = (
            torch.cat([side, one.repeat(ties)]) for side, one in zip((told.left, told.right), pair, strict=True)
        )
        answer = torch.cat([told.answer, torch.full((ties,), TIE)])
        rewardor.fit(embedding, labels(left, right, answer), reference)
        a, b = (rewardor.forward(embedding[row])[0] for row in pair)
        gaps.append((a - b).square().mean().sqrt())
    assert gaps[1] < 0.7 * gaps[0]


def test_neither_pulls_both_below_the_median(embedding, reference):
    left, right = pairs(15, seed=3)
    tied, neither = Common(), Common()
    tied.fit(embedding, labels(left, right, TIE), reference)
    neither.fit(embedding, labels(left, right, NEITHER), reference)
    median = neither.score(embedding[reference]).median()
    shown = torch.cat([left, right])
    assert (neither.score(embedding[shown]) < median).float().mean() > 0.9
    assert neither.score(embedding[shown]).mean() < tied.score(embedding[shown]).mean() - 0.3


@pytest.mark.parametrize("answer", range(len(ANSWERS)), ids=ANSWERS)
@pytest.mark.parametrize("case", ["repeated", "identical", "one world", "circle", "contradictory", "itself"])
def test_odd_labels_break_nothing(embedding, reference, case, answer):
    worlds = embedding.clone()
    left, right = pairs(12)
    if case == "repeated":
        left, right = left[:1].repeat(40), right[:1].repeat(40)
    elif case == "identical":
        worlds[:] = worlds[0]
    elif case == "one world":
        left = torch.zeros_like(left)
    elif case == "circle":
        left, right = torch.arange(12), (torch.arange(12) + 1) % 12
    elif case == "contradictory":
        left, right = torch.cat([left, right]), torch.cat([right, left])
    else:
        right = left
    rewardor = Common()
    metrics = rewardor.fit(worlds, labels(left, right, answer), reference)
    reward = rewardor.forward(worlds)
    assert reward.isfinite().all()
    assert reward.abs().max() < 50
    assert all(math.isfinite(value) for value in metrics.values())
    assert all(value.isfinite().all() for value in rewardor.state().values())  # or no version could be committed


def test_worlds_without_features_are_left_out(embedding, reference):
    holed = embedding.clone()
    holed[5], holed[350] = torch.nan, torch.inf
    told = judged(linear(embedding), 40)
    told.left[0] = 5
    rewardor = Common()
    rewardor.fit(holed, told, reference)
    assert rewardor.forward(holed)[[5]].isnan().all()
    finite = torch.ones(WORLDS, dtype=torch.bool)
    finite[[5, 350]] = False
    assert rewardor.forward(holed[finite]).isfinite().all()
    with pytest.raises(ValueError, match="finite"):
        rewardor.fit(torch.full_like(embedding, torch.nan), told, reference)


@pytest.mark.parametrize("known", [0, 1, 2])
def test_few_reference_worlds_are_enough(embedding, known):
    rewardor = Common()
    rewardor.fit(embedding[: known + 1], labels(*pairs(0), LEFT), torch.arange(known + 1) < known)
    assert rewardor.forward(embedding).isfinite().all()


def test_more_worlds_with_labels_than_anchors():
    draw = torch.Generator().manual_seed(0)
    worlds = torch.randn(1500, F, generator=draw)
    utility = linear(worlds)
    left, right = torch.arange(0, 1200, 2), torch.arange(1, 1201, 2)
    rewardor = Common()
    rewardor.fit(
        worlds, labels(left, right, torch.where(utility[left] > utility[right], LEFT, RIGHT)), worlds[:, 0] > 1
    )
    assert len(rewardor.state()["anchor"]) == 512
    score, u = rewardor.score(worlds[1200:]), utility[1200:]
    assert float(((score[:150] > score[150:]) == (u[:150] > u[150:])).float().mean()) > 0.8


def test_wrong_use_is_an_error(embedding):
    with pytest.raises(RuntimeError, match="fit or load"):
        Common().forward(embedding)
    with pytest.raises(ValueError, match="members = 1"):
        Common(members=1)
    with pytest.raises(ValueError, match="variance = 0"):
        Common(variance=0.0)


def test_a_refit_finds_the_solution_from_wherever_it_starts(embedding, reference):
    """The state of a fit to fewer labels, to more, and to none at all: with the same settings all end alike."""
    told = judged(linear(embedding), 120)
    rewardor = Common()
    rewardor.fit(embedding, told, reference)
    expected = rewardor.forward(embedding)
    for other in (judged(linear(embedding), 60), judged(-linear(embedding), 200, seed=4), labels(*pairs(0), LEFT)):
        rewardor.refit(embedding, other, reference)
        assert not torch.allclose(rewardor.forward(embedding), expected, atol=0.1)
        rewardor.refit(embedding, told, reference)
        torch.testing.assert_close(rewardor.forward(embedding), expected, atol=1e-5, rtol=0)


def test_the_mean_over_members_is_the_mode_of_the_posterior(embedding, reference):
    """The gradient of the log-posterior vanishes in the functions that kernels at the anchors can make."""
    told, rewardor = judged(linear(embedding), 50), Common(members=3)
    rewardor.fit(embedding, told, reference)
    state, kernels = rewardor.state(), rewardor._kernels()
    weight = state["weight"].mean(1).requires_grad_()
    anchor = state["anchor"]
    z = kernels.normalize(embedding)
    f = (kernels.mix(z, anchor, state["amplitude"]) @ weight).float()
    answer = better(
        torch.where(told.answer == LEFT, 1, -1) * (f[told.left] - f[told.right]).double()
        + torch.where(told.answer == LEFT, 1, -1) * state["side_bias"][0],
        state["margin"],
        state["lapse"][0],
    )
    gram = kernels.mix(anchor, anchor, state["amplitude"])
    gram += 1e-6 * gram.diagonal().mean() * torch.eye(len(gram))
    (answer.value.sum() - weight @ gram @ weight / 2).backward()
    assert float((weight.grad @ torch.linalg.solve(gram, weight.grad)).sqrt()) < 1e-3


def test_rewards_are_sharpened_until_the_next_fit(embedding, reference):
    told, rewardor = judged(linear(embedding), 40), Common()
    rewardor.fit(embedding, told, reference)
    plain = rewardor.forward(embedding)
    assert rewardor.sharpen(2.0) == 2
    torch.testing.assert_close(rewardor.forward(embedding), 2 * plain)
    rewardor.refit(embedding, told, reference)
    torch.testing.assert_close(rewardor.forward(embedding), 2 * plain, atol=1e-4, rtol=1e-4)
    other = Common()
    other.load(rewardor.state())
    assert torch.equal(other.forward(embedding), rewardor.forward(embedding))
    rewardor.fit(embedding, told, reference)
    assert torch.equal(rewardor.forward(embedding), plain)
