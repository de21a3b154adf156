"""The parts of the comparison with peers that are ours: what they learn from, and what is made of their answers."""

import io
import json
import sys

import numpy as np
import pytest
import torch

from benchmarks import labels_peers, labels_peers_models, labels_peers_serve
from benchmarks.labels_loop import Worlds
from benchmarks.labels_peers_loops import ActiveLoop
from benchmarks.labels_peers_models import BradleyTerry, Components, Imitation, compact, ordered
from benchmarks.labels_peers_search import CmaEs, MapElites, Thompson
from models import Archive, Labels


def labels_of(answers: list[tuple[int, int, int]]) -> Labels:
    left, right, answer = torch.tensor(answers).T
    return Labels(left, right, answer, torch.zeros_like(left))


class Stub:
    """A peer whose answers are known."""

    def __init__(self, **answers) -> None:
        self.answers, self.asked = answers, []

    def __call__(self, do: str, **given):
        self.asked.append((do, given))
        answer = self.answers.get(do)
        return answer(**given) if callable(answer) else answer


def test_bradley_terry_recovers_an_order_from_random_pairs() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(300, 20)).astype(np.float32)
    utility = 2 * features[:, 0] - features[:, 1]
    pairs = draw.integers(200, size=(200, 2))
    won = draw.random(200) < 1 / (1 + np.exp(utility[pairs[:, 1]] - utility[pairs[:, 0]]))
    model, embedding = BradleyTerry(), torch.from_numpy(features)
    model.fit(
        embedding, labels_of([(a, b, int(not w)) for (a, b), w in zip(pairs, won, strict=True)]), torch.ones(300) > 0
    )
    assert np.corrcoef(model.forward(embedding)[200:, 0].numpy(), utility[200:])[0, 1] > 0.85


def test_bradley_terry_finds_no_difference_in_ties() -> None:
    embedding = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    model = BradleyTerry()
    model.fit(embedding, labels_of([(i, i + 1, 2) for i in range(40)]), torch.ones(50) > 0)
    assert model.forward(embedding).abs().max() < 1e-6


def test_winners_come_first_and_what_is_not_decided_is_dropped() -> None:
    pairs = ordered(labels_of([(7, 3, 0), (5, 7, 1), (1, 2, 2), (1, 2, 3), (1, 2, 4)]))
    assert pairs.tolist() == [[7, 3], [7, 5]]
    points, rows = compact(torch.arange(10.0)[:, None], pairs)
    assert points[rows][..., 0].tolist() == [[7, 3], [7, 5]]
    assert len(points) == 3


def test_imitation_is_told_who_won_and_that_a_tie_is_half_a_win() -> None:
    peer = Stub(mean=lambda points: points[:, 0].tolist())
    model, embedding = Imitation(peer), torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    model.fit(embedding, labels_of([(7, 3, 0), (5, 7, 1), (1, 2, 2), (1, 2, 3), (1, 2, 4)]), torch.ones(9) > 0)
    ((_, told),) = peer.asked
    assert told["chance"].tolist() == [1, 0, 0.5]
    seen = model.components.standardise(embedding)
    assert torch.equal(told["points"][told["pairs"]], seen[torch.tensor([[7, 3], [5, 7], [1, 2]])])
    embedding[4] = torch.nan
    reward = model.forward(embedding)[:, 0]
    assert reward[4].isnan()
    assert torch.equal(reward[5:], seen[5:, 0])


def test_the_surest_to_teach_are_asked_first_and_no_pair_twice() -> None:
    loop = object.__new__(ActiveLoop)
    embedding = torch.eye(6).numpy()
    loop.worlds = Worlds(embedding, np.array([True, False, True, True, True, True]), embedding, embedding)
    drawn = [[4, 4], [0, 4], [1, 2], [2, 1], [2, 3], [3, 4]]
    loop.rewardor, loop.seed, loop.pairs = Imitation(Stub(choose=drawn)), 0, [(0, 5)]
    loop.rewardor.components = Components.learn(torch.eye(6))
    assert loop._choose(2) == [(2, 3), (3, 4)]  # rows of the living, the second of all being dead


def test_components_are_uncorrelated_and_ignore_what_never_varies() -> None:
    embedding = torch.randn(400, 6, generator=torch.Generator().manual_seed(0)) @ torch.randn(6, 6)
    embedding[:, 2] = 1.0
    shown = Components.learn(embedding, 4)(embedding)
    covariance = torch.cov(shown.T)
    assert torch.allclose(covariance, covariance.diag().diag(), atol=1e-3 * float(covariance.max()))
    assert (covariance.diag().diff() <= 0).all()


def test_thompson_emits_the_best_of_a_large_pool() -> None:
    generator = Thompson(3, 0, Stub(mean=lambda points: points[:, 0].tolist()))
    generator.told = 1
    emitted = generator.ask(200, 5)
    assert emitted[:, 0].min() > 0.985
    assert 0.4 < emitted[:, 1].mean() < 0.6
    assert torch.equal(emitted, generator.ask(200, 5))


def test_cma_es_is_told_of_new_worlds_once_and_emits_its_distribution() -> None:
    peer = Stub(distribution={"mean": [0.3, 0.6], "covariance": [[1e-4, 0], [0, 4e-4]]})
    generator = CmaEs(2, 0, peer)
    unit, score = torch.rand(10, 2), torch.arange(10.0)
    for count in (4, 4, 7, 7, 10):
        generator.tell(Archive(unit[:count], torch.ones(count) > 0, score[:count], unit[:count]))
    assert [(do, given["score"].tolist()) for do, given in peer.asked if do == "tell"] == [
        ("tell", [4, 5, 6]),
        ("tell", [7, 8, 9]),
    ]
    assert torch.equal(peer.asked[0][1]["best"], unit[3])
    emitted = generator.ask(2000, 1)
    assert torch.allclose(emitted.mean(0), torch.tensor([0.3, 0.6]), atol=0.002)
    assert torch.allclose(emitted.std(0), torch.tensor([0.01, 0.02]), rtol=0.1)


def test_map_elites_emits_its_better_elites_evenly() -> None:
    generator = MapElites(1, 0, Stub(elites={"unit": [[0.1], [0.2], [0.3], [0.4]], "score": [4.0, 1.0, 3.0, 2.0]}))
    generator.told = 1
    assert torch.allclose(generator.ask(50, 0), torch.tensor(0.1))


def test_a_peer_answers_each_line_with_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    class Adder:
        def add(self, a, b):
            print("a library's chatter")
            return np.add(a, b)

    answers = io.StringIO()
    monkeypatch.setattr(sys, "stdin", ['{"do": "add", "a": [1, 2], "b": 3}'])
    monkeypatch.setattr(sys, "stdout", answers)
    labels_peers_serve.serve(Adder())
    assert json.loads(answers.getvalue())["result"] == [4, 5]


def test_every_entry_has_the_parts_that_it_names() -> None:
    served = {name for name in dir(labels_peers_serve) if isinstance(getattr(labels_peers_serve, name), type)}
    assert {entry.peer for entry in labels_peers.ENTRIES.values()} <= served | {""}
    assert labels_peers_models.SERVE.exists()


def test_the_table_gives_intervals_by_peer() -> None:
    runs = [{"rewardor": "a", **dict.fromkeys(labels_peers.FIGURES, value)} for value in (0.4, 0.6)]
    assert "0.500 [-0.771, 1.771]" in labels_peers.text(runs)  # Student's t of one degree of freedom is 12.706
