"""One loop that learns what people like. This file is the project; everything else is a detail of it.

    ask        generator -> parameters -> worlds, judged and embedded where they were simulated
    compare    two films, a person (or an oracle) -> a label
    fit        all labels -> a new rewardor
    tell       the whole archive, scored by that rewardor -> a new generator

Nobody commands these steps. Each function below looks at the files of a profile and says what is due; whoever runs
(the driver, a training job, a test) does it, writes the result and looks again. So a crash, a closed laptop, a lost
node and a quiet weekend are the same event, and the cure is to run the same command again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from models import Archive, Generator, Labels, Rewardor
from models import fit as fitting
from pipeline import checkpoint, foresight, plugins
from pipeline.config import KINDS
from pipeline.profile import Profile
from pipeline.rows import LabelTable, RolloutTable
from pipeline.tensors import REFERENCE, labelers, scored, training_set


@dataclass(frozen=True)
class Block:
    """Worlds that are asked for, simulated and stored together.

    Attributes:
        number: Position in the profile's history; fixes the seeds of its worlds.
        generator: Version to ask, -1 for the prior.
    """

    number: int
    generator: int


@dataclass(frozen=True)
class Settings:
    """What a Rewardor keeps when it learns one more label, and what a search finds anew.

    Attributes:
        searched: The labels and reference worlds that they were searched on, see `_to_search`.
        state: Of the Rewardor that has them.
        metrics: Among them those of labels that were held out.
    """

    searched: dict[str, Any]
    state: dict[str, torch.Tensor]
    metrics: dict[str, float]

    def __reduce__(self) -> tuple[Callable[..., "Settings"], tuple[dict[str, Any], bytes, dict[str, float]]]:
        """Travel as bytes: tensors would travel as memory that they share with a process that may end."""
        return _unpack, (self.searched, checkpoint.pack(self.state), self.metrics)


def _unpack(searched: dict[str, Any], state: bytes, metrics: dict[str, float]) -> Settings:
    return Settings(searched, checkpoint.unpack(state), metrics)


# -- what is due ------------------------------------------------------------------------------------------------------


def blocks_wanted(profile: Profile) -> int:
    """How many blocks the labels so far pay for: first the prior worlds, then some for each label."""
    plan = profile.config.rollouts
    return -(-(plan.prior + plan.per_label * answers_given(profile)) // plan.block)


def answers_given(profile: Profile) -> int:
    """How many answers were given and not taken back. Those of excluded people, too: what they paid for is paid for."""
    events = profile.label_events()
    undone = set(events.target[events.event == "undo"].tolist())
    return sum(id_ not in undone for id_ in events.id[events.event == "vote"].tolist())


def due_blocks(profile: Profile, *, patient: bool = False) -> list[Block]:
    """Blocks that are wanted and not there, in order.

    Args:
        profile: Whose files to look at.
        patient: Ask only a Generator that knows all labels, so that the result depends on the seed and not on how
            fast this machine trains. People are never waited for like this, only programs.
    """
    plan = profile.config.rollouts
    there = set(profile.rollouts().block.tolist())
    missing = [number for number in range(blocks_wanted(profile)) if number not in there]
    told = newest(profile, "generator")
    if patient and not _knows_all_labels(profile):
        missing = [number for number in missing if number * plan.block < plan.prior]
    return [Block(number, told.number if told and number * plan.block >= plan.prior else -1) for number in missing]


def unanswered(profile: Profile, question: str, version: int) -> np.ndarray:
    """Ids (B,) of living worlds without an answer to a question whose answers are kept as embeddings of that name."""
    rollouts = profile.rollouts()
    living = rollouts.id[rollouts.status == "alive"]
    # of texts, not of objects: numpy compares each of these with each
    return np.setdiff1d(living.astype(str), profile.embeddings(question, version).rollout.astype(str))


def due_fit(profile: Profile) -> bool:
    """Whether the newest Rewardor does not know exactly the labels whose worlds were embedded, or needs a search."""
    return due_refit(profile) or due_search(profile)


def due_refit(profile: Profile) -> bool:
    """Whether there are labels to learn with the settings that are there: people wait to see what theirs did."""
    fitted = newest(profile, "rewardor")
    return fitted is not None and "searched" in fitted.snapshot and not _knows_labels(profile, fitted)


def due_search(profile: Profile) -> bool:
    """Whether a Rewardor's settings are not those that its labels call for, or there are none."""
    fitted = newest(profile, "rewardor")
    if fitted is None:
        return bool(len(_usable(profile, profile.labels()).id))
    return fitted.snapshot.get("searched") != _to_search(profile, profile.labels())


def _knows_labels(profile: Profile, fitted: checkpoint.Manifest) -> bool:
    """Whether a Rewardor knows the labels that count, and all of them that it could learn from."""
    labels = profile.labels()
    if fitted.snapshot["digest"] != digest(labels, len(labels.id)):
        return False
    used = fitted.snapshot.get("used", len(labels.id))
    return used == len(labels.id) or used >= len(_usable(profile, labels).id)


def _to_search(profile: Profile, labels: LabelTable) -> dict[str, Any]:
    """What settings are searched on: labels and reference worlds.

    The first labels, as many as the last of a row of milestones, each a quarter above the one before. So a search is
    due whenever labels have grown by a quarter, and when one of these answers was undone; and settings are a function
    of the labels, not of how far training happened to be.
    """
    usable = _usable(profile, labels)
    first = milestone(len(usable.id))
    return {"labels": first, "digest": digest(usable, first), "reference": len(_reference(profile))}


def milestone(count: int) -> int:
    """The last of 1, 2, 3, 4, 5, 7, 9, 12, … (each a quarter above the one before) that is at most `count`, or 0."""
    last, stone = 0, 1
    while stone <= count:
        last, stone = stone, -(-stone * 5 // 4)
    return last


def waits_for_embeddings(profile: Profile) -> bool:
    """Whether worlds that people judged were never seen by this Rewardor: it was chosen later, as in a fork."""
    labels, version = profile.labels(), code_version(profile, "rewardor")
    judged = np.concatenate([labels.left, labels.right]).tolist()
    return not set(judged).isdisjoint(unanswered(profile, profile.config.rewardor.name, version).tolist())


def _usable(profile: Profile, labels: LabelTable) -> LabelTable:
    """Those labels that a Rewardor could learn from: it has seen their worlds."""
    seen = _seen(profile)
    rows = [left in seen and right in seen for left, right in zip(labels.left, labels.right, strict=True)]
    return labels.where(np.array(rows, bool))


def _reference(profile: Profile) -> list[str]:
    """The first living worlds of the prior, those that the Rewardor has seen."""
    rollouts, seen = profile.rollouts(), _seen(profile)
    prior = (rollouts.origin == "prior") & (rollouts.status == "alive")
    return [world for world in rollouts.id[prior][:REFERENCE].tolist() if world in seen]


def _seen(profile: Profile) -> set[str]:
    return set(profile.embeddings(profile.config.rewardor.name, code_version(profile, "rewardor")).rollout.tolist())


def due_tell(profile: Profile) -> bool:
    """Whether the newest Rewardor, or the last of the worlds that its labels paid for, is news to the Generator."""
    rewardor, generator = newest(profile, "rewardor"), newest(profile, "generator")
    if rewardor is None:
        return False
    if generator is None or generator.snapshot["rewardor"] != rewardor.number:
        return True
    return not due_blocks(profile) and generator.snapshot["rollouts"] < len(learned_from(profile.rollouts()).id)


def settled(profile: Profile) -> bool:
    """Whether nothing is due: both models know all labels, and all worlds that these paid for are there."""
    return not (due_fit(profile) or due_tell(profile) or due_blocks(profile))


def _knows_all_labels(profile: Profile) -> bool:
    rewardor, generator = newest(profile, "rewardor"), newest(profile, "generator")
    told = generator is not None and rewardor is not None and generator.snapshot["rewardor"] == rewardor.number
    return told and not due_fit(profile) and not waits_for_embeddings(profile)


def digest(labels: LabelTable, count: int) -> str:
    """What a Rewardor remembers of the first `count` labels that it was fitted to, 16 hexadecimal digits."""
    text = "\n".join(f"{key}:{answer}" for key, answer in zip(labels.id[:count], labels.answer[:count], strict=True))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


# -- doing it ---------------------------------------------------------------------------------------------------------


def ask(profile: Profile, block: Block, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Parameters (B, D) and seeds (B,) of a block: the same whenever and wherever it is asked for."""
    plan = profile.config.rollouts
    seeds = world_seeds(profile.config.seed, "block", block.number, plan.block)
    generator = load_generator(profile, dim, block.generator)
    unit = generator.ask(plan.block, int(seeds[0]), explore=True)
    return unit.numpy(), seeds


def fit(profile: Profile, beside: Callable[[Profile], Settings | None] | None = None) -> int | None:
    """Bring the Rewardor up to date, by the quicker of two ways, and commit it.

    People wait to see what their answer did. So labels that are new are learned with the settings that are there, and
    better ones are searched for while more labels come.

    Args:
        profile: Whose.
        beside: Does what `search` does, somewhere else, and gives None until it is done. Where it is not given, and
            where there are no settings to learn with meanwhile, the search is waited for.

    Returns:
        The version; None where nothing but a search is due, which is under way.
    """
    if beside is None or newest(profile, "rewardor") is None:
        return refit(profile) if due_refit(profile) else adopt(profile, search(profile))
    settings = beside(profile) if due_search(profile) else None
    if settings is not None:  # it learns all labels, too: however fast they come, a search does not wait for a lull
        return adopt(profile, settings)
    return refit(profile) if due_refit(profile) else None


def refit(profile: Profile) -> int:
    """Learn all labels with the settings that are there, and commit; returns the version."""
    last = newest(profile, "rewardor")
    if last is None:
        raise ValueError("a rewardor is refitted only after settings were searched")
    state = checkpoint.weights(profile, "rewardor", last.number)
    return adopt(profile, Settings(last.snapshot["searched"], state, last.metrics))


def search(profile: Profile) -> Settings:
    """Look for the settings that the labels call for. Takes long and writes nothing: labels may come meanwhile."""
    labels, rewardor = profile.labels(), new_rewardor(profile)
    searched = _to_search(profile, labels)
    embedding, known, reference = training_set(profile, rewardor, labels)
    metrics = fitting.fit_rewardor(rewardor, embedding, fitting.first(known, searched["labels"]), reference)
    return Settings(searched, rewardor.state(), metrics)


def adopt(profile: Profile, settings: Settings) -> int:
    """Learn all labels that there are by now with some settings, and commit; returns the version."""
    labels, rewardor = profile.labels(), new_rewardor(profile)
    rewardor.load(settings.state)
    embedding, known, reference = training_set(profile, rewardor, labels)
    expected = _expected(profile, labels, embedding, known)
    metrics = fitting.refit_rewardor(rewardor, embedding, known, reference, settings.metrics)
    snapshot = {"labels": len(labels.id), "digest": digest(labels, len(labels.id)), "used": len(known.answer)}
    snapshot["searched"] = settings.searched  # what came later is due again
    made = {
        "metrics": metrics,
        "snapshot": snapshot,
        "model": model(profile, "rewardor"),
        "labelers": labelers(profile),
    }
    made["expected"] = expected
    return checkpoint.commit(profile, "rewardor", rewardor.state(), made)


def _expected(profile: Profile, labels: LabelTable, embedding: torch.Tensor, known: Labels) -> dict[str, float]:
    """What the newest version expects of the answers that are news to it; see `foresight.expected`."""
    last = newest(profile, "rewardor")
    news = _news(labels, last) if last else set()
    if not last or not news:
        return {}
    return foresight.expected(load_rewardor(profile), embedding, known, _usable(profile, labels).id.tolist(), news)


def _news(labels: LabelTable, last: checkpoint.Manifest) -> set[str]:
    """Answers that a version does not know. None after an undo: it may know what was said of the same pair before."""
    known = last.snapshot["labels"]
    return set(labels.id[known:].tolist()) if digest(labels, known) == last.snapshot["digest"] else set()


def tell(profile: Profile) -> int:
    """Train a Generator on the whole archive, scored by the newest Rewardor, and commit it; returns its version."""
    fitted = newest(profile, "rewardor")
    if fitted is None:
        raise ValueError("a generator is told only after a rewardor was fitted")
    rollouts = learned_from(profile.rollouts())
    archive = scored(profile, load_rewardor(profile), rollouts)
    generator = new_generator(profile, rollouts.unit.shape[1])
    metrics = generator.tell(archive) | _progress(profile, rollouts, archive)
    snapshot = {"rewardor": fitted.number, "rollouts": len(rollouts.id)}
    made = {"metrics": metrics, "snapshot": snapshot, "model": model(profile, "generator")}
    return checkpoint.commit(profile, "generator", generator.state(), made)


def learned_from(rollouts: RolloutTable) -> RolloutTable:
    """Without the worlds that somebody merely browsed: what a Generator learns depends on labels alone."""
    return rollouts.where(rollouts.block >= 0)


def _progress(profile: Profile, rollouts: RolloutTable, archive: Archive) -> dict[str, float]:
    """What the newest worlds are like, for the curves: how they score, how many died, how far apart they are."""
    newest = np.argsort(rollouts.block, kind="stable")[-profile.config.rollouts.block * 4 :]
    alive = archive.alive[newest]
    living = archive.embedding[newest][alive]
    spread = torch.pdist(living).median().item() if len(living) > 2 else 0.0
    prior = archive.embedding[torch.from_numpy(rollouts.origin == "prior") & archive.alive][:REFERENCE]
    yardstick = torch.pdist(prior).median().item() if len(prior) > 2 else 1.0
    return {
        "new_score": archive.score[newest][alive].mean().item() if len(living) else 0.0,
        "dead_share": 1 - alive.float().mean().item(),
        "diversity": spread / max(yardstick, 1e-9),
    }


# -- models -----------------------------------------------------------------------------------------------------------


def model(profile: Profile, role: checkpoint.Role) -> str:
    """Which model the profile asks for: its name, options and version, which decide whether weights fit."""
    plugin = getattr(profile.config, role)
    options = json.dumps(plugin.options, sort_keys=True) if plugin.options else ""
    return f"{plugin.name}{options} {code_version(profile, role)}"


def code_version(profile: Profile, section: str) -> int:
    """Which version of its code the profile's "sim", "rewardor" or "generator" has."""
    return plugins.find(KINDS[section], getattr(profile.config, section).name).version  # type: ignore[attr-defined]


def newest(profile: Profile, role: checkpoint.Role) -> checkpoint.Manifest | None:
    """The newest version of the model that the profile asks for.

    One of another model, or of this one before its code changed, counts as none: the files then say that a new one is
    due, and the profile mends itself.
    """
    manifest = checkpoint.newest(profile, role)
    return manifest if manifest and manifest.more.get("model") == model(profile, role) else None


def new_rewardor(profile: Profile) -> Rewardor:
    """The profile's Rewardor before it has learned anything."""
    return plugins.load("rewardors", profile.config.rewardor.name, profile.config.rewardor.options)


def load_rewardor(profile: Profile, number: int | None = None) -> Rewardor:
    """A version of the profile's Rewardor, the newest by default; untrained where there is none."""
    rewardor = new_rewardor(profile)
    _restore(profile, "rewardor", rewardor, number)
    return rewardor


def new_generator(profile: Profile, dim: int) -> Generator:
    """The profile's Generator before it has learned anything."""
    plugin = profile.config.generator
    return plugins.load("generators", plugin.name, plugin.options, dim=dim, seed=profile.config.seed)


def load_generator(profile: Profile, dim: int, number: int | None = None) -> Generator:
    """A version of the profile's Generator, the newest by default; the prior where there is none, and for -1."""
    generator = new_generator(profile, dim)
    _restore(profile, "generator", generator, number)
    return generator


def _restore(profile: Profile, role: checkpoint.Role, blank: Rewardor | Generator, number: int | None) -> None:
    if number is None:
        made = newest(profile, role)
        number = made.number if made else -1
    if number >= 0:
        blank.load(checkpoint.weights(profile, role, number))


# -- randomness -------------------------------------------------------------------------------------------------------


def world_seeds(seed: int, stream: str, number: int, count: int) -> np.ndarray:
    """Seeds (count,) int64 of worlds, from the profile's seed and where they belong."""
    return np.fromiter(_seeds(f"{seed}/{stream}/{number}", count), np.int64, count)


def _seeds(name: str, count: int) -> Iterator[int]:
    for position in range(count):
        digest_ = hashlib.blake2b(f"{name}/{position}".encode(), digest_size=8).digest()
        yield int.from_bytes(digest_, "little") >> 1
