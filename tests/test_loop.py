"""The loop without Ray: what is due, read from files, and what doing it changes."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from models.rewardors._features import F
from pipeline import checkpoint, loop, tensors, train
from pipeline.beside import BesideError
from pipeline.config import Config, Plugin, RolloutPlan
from pipeline.driver import Driver
from pipeline.loop import Block
from pipeline.profile import Profile
from pipeline.rows import Vote
from sims.lenia import Lenia
from tests.life import Here

SIM = Lenia()
SMALL = Config(rollouts=RolloutPlan(prior=40, per_label=2, block=20))


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return Profile.create(tmp_path, "p", SMALL)


def driver(profile: Profile, **options) -> Driver:
    return Driver(profile, SIM, Here(SIM), **options)


def turn(driver: Driver) -> None:
    """Everything that is due for the simulators."""
    for _ in range(3):
        driver.tick(0)


def label(profile: Profile, count: int, start: int = 0) -> None:
    """Some answers, for the one with the smaller id."""
    rollouts = profile.rollouts()
    alive = rollouts.id[rollouts.status == "alive"].tolist()
    pairs = [(alive[n % len(alive)], alive[(n + 7) % len(alive)]) for n in range(start, start + count)]
    profile.add_votes(
        [
            Vote(id=f"v{start + n}", left=a, right=b, answer="left" if a < b else "right", labeler="me")
            for n, (a, b) in enumerate(pairs)
        ]
    )


def settle(profile: Profile, one: Driver) -> None:
    turn(one)
    for role in checkpoint.ROLES:
        train.train(profile, role, once=True)
    turn(one)
    train.train(profile, "generator", once=True)


def test_a_new_profile_wants_prior_worlds_and_nothing_else(profile: Profile) -> None:
    assert loop.due_blocks(profile) == [Block(0, -1), Block(1, -1)]
    assert not loop.due_fit(profile)
    assert not loop.due_tell(profile)
    one = driver(profile)
    turn(one)
    assert loop.due_blocks(profile) == []
    assert loop.settled(profile)
    rollouts = profile.rollouts()
    assert rollouts.block.tolist() == [0] * 20 + [1] * 20
    assert set(rollouts.origin) == {"prior"}
    embedded = profile.embeddings("common", loop.new_rewardor(profile).version).rollout
    assert set(embedded) == set(rollouts.id[rollouts.status == "alive"])


def test_labels_pay_for_a_rewardor_a_generator_and_worlds(profile: Profile) -> None:
    one = driver(profile)
    turn(one)
    label(profile, 15)
    assert loop.due_fit(profile)
    assert train.step(profile, "rewardor") == 1
    assert not loop.due_fit(profile)
    assert loop.due_tell(profile)
    assert train.step(profile, "generator") == 1
    assert loop.due_blocks(profile) == [Block(2, 1), Block(3, 1)]  # 40 + 2 * 15 worlds are 4 blocks of 20
    turn(one)
    assert len(profile.rollouts().id) == 80
    assert set(profile.rollouts().origin[40:]) == {"generator"}
    assert loop.due_tell(profile), "the worlds that came since are news to the generator"
    settle(profile, one)
    assert loop.settled(profile)
    assert checkpoint.newest(profile, "generator").snapshot == {"rewardor": 1, "rollouts": 80}


def test_an_undone_label_is_unlearned(profile: Profile) -> None:
    turn(driver(profile))
    label(profile, 8)
    train.step(profile, "rewardor")
    profile.undo("v3", "me")
    assert loop.due_fit(profile)
    train.train(profile, "rewardor", once=True)
    assert checkpoint.newest(profile, "rewardor").snapshot["labels"] == 7
    assert not loop.due_fit(profile)


def test_milestones_grow_by_a_quarter() -> None:
    stones = sorted({loop.milestone(count) for count in range(1, 1000)})
    assert loop.milestone(0) == 0
    assert all(loop.milestone(stone) == stone == loop.milestone(stone + 1) or stone < 5 for stone in stones)
    assert all(a < b and (b / a <= 1.25 or b - a * 1.25 < 1) for a, b in pairwise(stones))
    assert all(b / a >= 1.25 for a, b in pairwise(stones))


def versions(profile: Profile) -> list[checkpoint.Manifest]:
    return checkpoint.manifests(profile, "rewardor")


def test_new_labels_are_learned_first_and_settings_searched_after(profile: Profile) -> None:
    turn(driver(profile))
    label(profile, 12)
    train.train(profile, "rewardor", once=True)
    assert [each.snapshot["labels"] for each in versions(profile)] == [12]
    label(profile, 2, start=12)
    train.train(profile, "rewardor", once=True)
    assert [each.snapshot["labels"] for each in versions(profile)] == [12, 14], "14 are less than a quarter more"
    label(profile, 2, start=14)
    assert train.step(profile, "rewardor") == 3
    quick = versions(profile)[-1]
    assert quick.snapshot["labels"] == 16
    assert quick.metrics["held_out_labels"] == 12, "the last known figures stay"
    assert quick.metrics["labels"] == 16
    assert loop.due_fit(profile)
    assert train.step(profile, "rewardor") == 4
    assert versions(profile)[-1].snapshot["labels"] == 16
    assert versions(profile)[-1].metrics["held_out_labels"] == 15, "the last milestone"
    assert not loop.due_fit(profile)
    assert changed_settings(profile) == [False, False, True]


def changed_settings(profile: Profile) -> list[bool]:
    """Of each version of the Rewardor but the first, whether its settings are others than those before."""
    return [a.metrics["margin"] != b.metrics["margin"] for a, b in pairwise(versions(profile))]


def test_what_is_learned_depends_on_the_labels_and_not_on_when_they_were_learned(
    profile: Profile, tmp_path: Path
) -> None:
    late = Profile.create(tmp_path, "late", SMALL)
    turn(driver(profile))
    turn(driver(late))
    for count in range(0, 18, 3):
        label(profile, 3, start=count)
        train.train(profile, "rewardor", once=True)
    label(late, 18)
    train.train(late, "rewardor", once=True)
    assert len(versions(profile)) > len(versions(late)) == 1
    worlds = torch.from_numpy(profile.embeddings("common", loop.new_rewardor(profile).version).values)
    mine, theirs = (loop.load_rewardor(each).forward(worlds) for each in (profile, late))
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


def test_a_crash_between_the_labels_and_the_search_costs_nothing(profile: Profile, monkeypatch) -> None:
    turn(driver(profile))
    label(profile, 12)
    train.train(profile, "rewardor", once=True)
    label(profile, 6, start=12)
    with monkeypatch.context() as patch:
        patch.setattr(loop.fitting, "fit_rewardor", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            train.train(profile, "rewardor", once=True)
    again = Profile.open(profile.root, profile.name)
    assert checkpoint.newest(again, "rewardor").snapshot["labels"] == 18, "people saw what they taught"
    assert loop.due_fit(again)
    label(again, 1, start=18)
    train.train(again, "rewardor", once=True)
    assert [each.snapshot["labels"] for each in versions(again)] == [12, 18, 19, 19]
    assert not loop.due_fit(again)


def test_labels_are_learned_while_settings_are_searched_beside(profile: Profile) -> None:
    turn(driver(profile))
    label(profile, 12)
    train.step(profile, "rewardor")
    label(profile, 3, start=12)
    under_way = loop.search(profile)
    for count in (15, 16, 17):
        assert train.step(profile, "rewardor", lambda _: None) is not None
        assert train.step(profile, "rewardor", lambda _: None) is None, "the search goes on"
        assert versions(profile)[-1].snapshot["labels"] == count
        label(profile, 1, start=count)
    assert changed_settings(profile) == [False, False, False]
    assert train.step(profile, "rewardor", lambda _: under_way) is not None
    assert versions(profile)[-1].snapshot["labels"] == 18, "those that came meanwhile are not forgotten"
    assert not loop.due_fit(profile)
    worlds = torch.from_numpy(profile.embeddings("common", loop.new_rewardor(profile).version).values)
    mine = loop.load_rewardor(profile).forward(worlds)
    loop.adopt(profile, loop.search(profile))
    torch.testing.assert_close(mine, loop.load_rewardor(profile).forward(worlds), atol=1e-5, rtol=0)


def test_a_search_that_is_overtaken_by_labels_is_followed_by_the_next(profile: Profile) -> None:
    turn(driver(profile))
    label(profile, 12)
    train.step(profile, "rewardor")
    label(profile, 3, start=12)
    late = [loop.search(profile)]
    profile.undo("v3", "me")
    label(profile, 8, start=15)
    train.train(profile, "rewardor", beside=lambda now: late.pop() if late else loop.search(now), stop=settled(profile))
    assert [each.snapshot["searched"]["labels"] for each in versions(profile)] == [12, 15, 19]
    assert versions(profile)[-1].snapshot["labels"] == 22


def settled(profile: Profile) -> Callable[[], bool]:
    return lambda: not loop.due_fit(profile)


def test_a_search_that_fails_is_told_and_tried_again_and_labels_do_not_wait_for_it(profile: Profile) -> None:
    turn(driver(profile))
    label(profile, 12)
    train.step(profile, "rewardor")
    label(profile, 3, start=12)
    calls = iter([BesideError("the process beside ended with code -9"), None])

    def flaky(now: Profile) -> loop.Settings | None:
        match next(calls, "done"):
            case "done":
                return loop.search(now)
            case None:
                return None
            case error:
                raise error

    train.train(profile, "rewardor", beside=flaky, stop=settled(profile))
    assert "the process beside ended with code -9" in profile.events().text[-1]
    assert [each.snapshot["searched"]["labels"] for each in versions(profile)] == [12, 12, 15]
    assert [each.snapshot["labels"] for each in versions(profile)] == [12, 15, 15]


def test_weights_from_before_settings_were_kept_are_searched_at_once(profile: Profile) -> None:
    turn(driver(profile))
    label(profile, 12)
    train.step(profile, "rewardor")
    made = versions(profile)[-1]
    old = {"margin", "lapse", "side_bias", "reliability", "sharpness"}
    kept = {name: value for name, value in checkpoint.weights(profile, "rewardor", 1).items() if name not in old}
    snapshot = {name: value for name, value in made.snapshot.items() if name != "searched"}
    checkpoint.commit(profile, "rewardor", kept, {"snapshot": snapshot, "model": made.more["model"]})
    assert loop.load_rewardor(profile).forward(torch.zeros(1, F)).isfinite().all(), "the page goes on"
    label(profile, 1, start=12)
    assert loop.due_fit(profile)
    train.step(profile, "rewardor")
    assert not loop.due_fit(profile)


def test_a_patient_driver_waits_for_the_generator_that_knows_all_labels(profile: Profile) -> None:
    turn(driver(profile))
    label(profile, 15)
    assert loop.due_blocks(profile, patient=True) == []
    train.step(profile, "rewardor")
    assert loop.due_blocks(profile, patient=True) == []
    train.step(profile, "generator")
    assert [block.generator for block in loop.due_blocks(profile, patient=True)] == [1, 1]


def test_a_patient_driver_makes_the_whole_prior_where_it_ends_within_a_block(tmp_path: Path) -> None:
    uneven = Profile.create(tmp_path, "uneven", Config(rollouts=RolloutPlan(prior=50, block=20)))
    assert loop.due_blocks(uneven, patient=True) == loop.due_blocks(uneven) == [Block(n, -1) for n in range(3)]


def test_the_same_block_asks_for_the_same_worlds_anywhere(profile: Profile, tmp_path: Path) -> None:
    twin = Profile.create(tmp_path / "elsewhere", "q", SMALL)
    for block in (Block(0, -1), Block(1, -1)):
        here, there = loop.ask(profile, block, SIM.space.dim), loop.ask(twin, block, SIM.space.dim)
        np.testing.assert_array_equal(here[0], there[0])
        np.testing.assert_array_equal(here[1], there[1])
    first, second = (loop.ask(profile, Block(number, -1), SIM.space.dim) for number in (0, 1))
    assert not np.intersect1d(first[1], second[1]).size
    assert not (first[0] == second[0]).any()


def test_a_crash_between_two_writes_is_repaired_by_doing_it_again(profile: Profile, monkeypatch) -> None:
    one = driver(profile)
    with monkeypatch.context() as patch:
        patch.setattr(Profile, "add_rollouts", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            turn(one)
    assert len(profile.embeddings("common", loop.new_rewardor(profile).version).rollout) > 0
    assert len(profile.rollouts().id) == 0
    again = Profile.open(profile.root, profile.name)
    turn(driver(again))
    assert len(again.rollouts().id) == 40
    ids = again.embeddings("common", loop.new_rewardor(again).version).rollout
    assert len(ids) == len(set(ids))


def test_worlds_are_embedded_again_for_another_rewardor(profile: Profile) -> None:
    one = driver(profile)
    turn(one)
    version = loop.new_rewardor(profile).version
    one._embedder = type("Newer", (), {"version": version + 1})()
    turn(one)
    turn(one)
    assert set(profile.embeddings("common", version + 1).rollout) == set(profile.embeddings("common", version).rollout)


def test_films_are_made_of_the_worlds_that_people_will_see(profile: Profile) -> None:
    turn(driver(profile))
    rollouts = profile.rollouts()
    alive = rollouts.id[rollouts.status == "alive"][:2].tolist()

    class Desk:
        def wanted(self) -> list[str]:
            return [world for world in alive if world not in profile.films().rollout]

        def drop(self, worlds) -> None:
            assert list(worlds) == []

        def wake(self) -> None:
            pass

    one = driver(profile, desk=Desk())
    turn(one)
    films = profile.films()
    assert sorted(films.rollout) == sorted(alive)
    # the frames that people see are the ones that the rewardor learns from
    table = profile.embeddings("common", loop.new_rewardor(profile).version)
    known = set(zip(table.rollout, table.source, strict=True))
    assert set(zip(films.rollout, films.source, strict=True)) <= known


def test_browsing_changes_nothing_that_is_learned(profile: Profile) -> None:
    one = driver(profile)
    turn(one)
    label(profile, 15)
    settle(profile, one)
    wanted, told = loop.blocks_wanted(profile), checkpoint.newest(profile, "generator").number
    request = one.browse(6, seed=3)
    assert one.pending(request) == 6
    turn(one)
    assert one.pending(request) == 0
    assert len(one.browsed[request]) == 6
    assert loop.blocks_wanted(profile) == wanted
    assert loop.settled(profile)
    assert checkpoint.newest(profile, "generator").number == told


def test_labels_of_unknown_worlds_are_left_out_until_these_are_embedded(profile: Profile) -> None:
    turn(driver(profile))
    label(profile, 5)
    profile.add_votes([Vote(id="ghost", left="nowhere", right="nothing", answer="left", labeler="me")])
    embedding, rows, reference = tensors.training_set(profile, loop.new_rewardor(profile), profile.labels())
    assert len(rows.left) == 5
    assert bool(torch.isfinite(embedding).all())
    assert int(reference.sum()) == int((profile.rollouts().status == "alive").sum())


def test_an_error_while_training_is_told_and_does_not_end_the_job(profile: Profile, monkeypatch) -> None:
    turn(driver(profile))
    label(profile, 5)
    calls = []

    def flaky(*_: object) -> int | None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("the disk hiccups")
        raise KeyboardInterrupt  # ends the test's endless job

    monkeypatch.setattr(train, "step", flaky)
    with pytest.raises(KeyboardInterrupt):
        train.train(profile, "rewardor")
    assert "the disk hiccups" in profile.events().text[-1]


def test_paused_models_do_nothing(profile: Profile) -> None:
    turn(driver(profile))
    label(profile, 5)
    profile.pause("rewardor")
    assert train.step(profile, "rewardor") is None
    profile.resume("rewardor")
    assert train.step(profile, "rewardor") == 1


def test_weights_of_another_model_count_for_nothing_and_are_replaced(profile: Profile) -> None:
    one = driver(profile)
    turn(one)
    label(profile, 8)
    settle(profile, one)
    changed = replace(profile.config, generator=Plugin(name="filter"))
    other = Profile(profile.root, profile.name, changed)
    assert loop.newest(profile, "generator") is not None
    assert loop.newest(other, "generator") is None
    assert loop.newest(other, "rewardor") is not None
    assert loop.due_tell(other)
    assert train.step(other, "generator") is not None
    assert loop.newest(other, "generator").more["model"].startswith("filter")
