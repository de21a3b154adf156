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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from models import ANSWERS, Archive, Generator, Labels, Rewardor
from models import fit as fitting
from pipeline import checkpoint, foresight, plugins
from pipeline.profile import Profile
from pipeline.rows import EmbeddingTable, LabelTable, RolloutTable

REFERENCE = 256
"""Alive prior worlds on which a Rewardor learns its normalisation."""


@dataclass(frozen=True)
class Block:
    """Worlds that are asked for, simulated and stored together.

    Attributes:
        number: Position in the profile's history; fixes the seeds of its worlds.
        generator: Version to ask, -1 for the prior.
    """

    number: int
    generator: int


# -- what is due ------------------------------------------------------------------------------------------------------


def blocks_wanted(profile: Profile) -> int:
    """How many blocks the labels so far pay for: first the prior worlds, then some for each label."""
    plan = profile.config.rollouts
    return -(-(plan.prior + plan.per_label * len(profile.labels().id)) // plan.block)


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
    return np.setdiff1d(rollouts.id[rollouts.status == "alive"], profile.embeddings(question, version).rollout)


def due_fit(profile: Profile) -> bool:
    """Whether the newest Rewardor does not know exactly the labels whose worlds were embedded, or needs a search."""
    fitted = newest(profile, "rewardor")
    if fitted is None:
        return bool(len(_usable(profile, profile.labels()).id))
    return not _knows_labels(profile, fitted) or _due_search(profile, fitted)


def _knows_labels(profile: Profile, fitted: checkpoint.Manifest) -> bool:
    """Whether a Rewardor knows the labels that count, and all of them that it could learn from."""
    labels = profile.labels()
    if fitted.snapshot["digest"] != digest(labels, len(labels.id)):
        return False
    used = fitted.snapshot.get("used", len(labels.id))
    return used == len(labels.id) or used >= len(_usable(profile, labels).id)


def _due_search(profile: Profile, fitted: checkpoint.Manifest) -> bool:
    """Whether a Rewardor's settings are not those that its labels call for."""
    return fitted.snapshot.get("searched") != _to_search(profile, profile.labels())


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
    labels, version = profile.labels(), _version(profile, "rewardor")
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
    return set(profile.embeddings(profile.config.rewardor.name, _version(profile, "rewardor")).rollout.tolist())


def due_tell(profile: Profile) -> bool:
    """Whether the newest Rewardor, or the last of the worlds that its labels paid for, is news to the Generator."""
    rewardor, generator = newest(profile, "rewardor"), newest(profile, "generator")
    if rewardor is None:
        return False
    if generator is None or generator.snapshot["rewardor"] != rewardor.number:
        return True
    return not due_blocks(profile) and generator.snapshot["rollouts"] < len(_learned_from(profile.rollouts()).id)


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


def fit(profile: Profile) -> int:
    """Bring the Rewardor up to date, by the quicker of two ways, and commit it; returns its version.

    People wait to see what their answer did. So labels that are new are learned with the settings that are there, and
    the search for better ones is a version of its own, made when nothing else is due.
    """
    last = newest(profile, "rewardor")
    if last is None or "searched" not in last.snapshot or _knows_labels(profile, last):
        return _fit(profile, None)
    return _fit(profile, last)


def _fit(profile: Profile, last: checkpoint.Manifest | None) -> int:
    """Fit to all labels with the settings of a version, or with new ones."""
    labels = profile.labels()
    searched = last.snapshot["searched"] if last else _to_search(profile, labels)  # what comes later is due again
    rewardor = load_rewardor(profile, last.number) if last else new_rewardor(profile)
    embedding, known, reference = training_set(profile, rewardor, labels)
    metrics = last.metrics if last else {}
    ids, news = _usable(profile, labels).id.tolist(), _news(labels, last) if last else ()
    expected = foresight.expected(rewardor, embedding, known, ids, news)  # before it learns them
    if last is None:
        chosen_by = fitting.first(known, searched["labels"])
        metrics = fitting.fit_rewardor(rewardor, embedding, chosen_by, reference)
    if last or searched["labels"] < len(known.answer):
        metrics = fitting.refit_rewardor(rewardor, embedding, known, reference, metrics)
    snapshot = {"labels": len(labels.id), "digest": digest(labels, len(labels.id)), "used": len(known.answer)}
    snapshot["searched"] = searched
    made = {"metrics": metrics, "snapshot": snapshot, "model": model(profile, "rewardor"), "labelers": labelers(labels)}
    made["expected"] = expected
    return checkpoint.commit(profile, "rewardor", rewardor.state(), made)


def _news(labels: LabelTable, last: checkpoint.Manifest) -> set[str]:
    """Answers that a version does not know. None after an undo: it may know what was said of the same pair before."""
    known = last.snapshot["labels"]
    return set(labels.id[known:].tolist()) if digest(labels, known) == last.snapshot["digest"] else set()


def tell(profile: Profile) -> int:
    """Train a Generator on the whole archive, scored by the newest Rewardor, and commit it; returns its version."""
    fitted = newest(profile, "rewardor")
    if fitted is None:
        raise ValueError("a generator is told only after a rewardor was fitted")
    rollouts = _learned_from(profile.rollouts())
    archive = scored(profile, load_rewardor(profile), rollouts)
    generator = new_generator(profile, rollouts.unit.shape[1])
    metrics = generator.tell(archive) | _progress(profile, rollouts, archive)
    snapshot = {"rewardor": fitted.number, "rollouts": len(rollouts.id)}
    made = {"metrics": metrics, "snapshot": snapshot, "model": model(profile, "generator")}
    return checkpoint.commit(profile, "generator", generator.state(), made)


def _learned_from(rollouts: RolloutTable) -> RolloutTable:
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


# -- from files to tensors --------------------------------------------------------------------------------------------


def training_set(profile: Profile, rewardor: Rewardor, labels: LabelTable) -> tuple[torch.Tensor, Labels, torch.Tensor]:
    """Embeddings (B, F), labels as rows of them, and the reference (B,) bool.

    A label names the frames that were seen. Where these were not embedded (another Rewardor, a replay), the world's
    own embedding stands in; a label whose worlds have none is left out until they have.
    """
    table = profile.embeddings(profile.config.rewardor.name, rewardor.version)
    rows = _Rows(table)
    left, right = rows.of(labels.left, labels.left_source), rows.of(labels.right, labels.right_source)
    known = (left >= 0) & (right >= 0)
    people = {name: number for number, name in enumerate(labelers(labels))}
    answers = [ANSWERS.index(answer) for answer in labels.answer[known].tolist()]
    who = [people[name] for name in labels.labeler[known].tolist()]
    picked = Labels(
        left=torch.from_numpy(left[known]),
        right=torch.from_numpy(right[known]),
        answer=torch.tensor(answers, dtype=torch.int64),
        labeler=torch.tensor(who, dtype=torch.int64),
    )
    return torch.from_numpy(table.values), picked, torch.from_numpy(rows.reference(profile.rollouts()))


def labelers(labels: LabelTable) -> list[str]:
    """Who answered; their places are the numbers by which models know them."""
    return list(dict.fromkeys(labels.labeler.tolist()))


def scored(profile: Profile, rewardor: Rewardor, rollouts: RolloutTable) -> Archive:
    """The archive of these rollouts, scored by a Rewardor."""
    table = profile.embeddings(profile.config.rewardor.name, rewardor.version)
    rows = _Rows(table).of(rollouts.id, None)
    alive = (rollouts.status == "alive") & (rows >= 0)
    embedding = np.full((len(rows), table.values.shape[1]), np.nan, np.float32)
    embedding[alive] = table.values[rows[alive]]
    unit = torch.from_numpy(rollouts.unit)
    return fitting.archive(rewardor, unit, torch.from_numpy(alive), torch.from_numpy(embedding))


class _Rows:
    """Where worlds, and particular films of them, stand in a table of embeddings."""

    def __init__(self, table: EmbeddingTable) -> None:
        keys = zip(table.rollout.tolist(), table.source.tolist(), strict=True)
        self.exact = {key: row for row, key in enumerate(keys)}
        self.first: dict[str, int] = {}
        for row, rollout in enumerate(table.rollout.tolist()):
            self.first.setdefault(rollout, row)
        self.count = len(table.rollout)

    def of(self, rollouts: np.ndarray, sources: np.ndarray | None) -> np.ndarray:
        """Rows (B,) int64 of worlds, of the very frames where these are named; -1 where there is none."""
        frames = [""] * len(rollouts) if sources is None else sources.tolist()
        keys = zip(rollouts.tolist(), frames, strict=True)
        return np.array([self.exact.get(key, self.first.get(key[0], -1)) for key in keys], np.int64)

    def reference(self, rollouts: RolloutTable) -> np.ndarray:
        """The first living worlds of the prior, (B,) bool."""
        prior = (rollouts.origin == "prior") & (rollouts.status == "alive")
        rows = self.of(rollouts.id[prior][:REFERENCE], None)
        chosen = np.zeros(self.count, bool)
        chosen[rows[rows >= 0]] = True
        return chosen


# -- models -----------------------------------------------------------------------------------------------------------

_KINDS: dict[checkpoint.Role, plugins.Kind] = {"rewardor": "rewardors", "generator": "generators"}


def model(profile: Profile, role: checkpoint.Role) -> str:
    """Which model the profile asks for: its name, options and version, which decide whether weights fit."""
    plugin = getattr(profile.config, role)
    options = json.dumps(plugin.options, sort_keys=True) if plugin.options else ""
    return f"{plugin.name}{options} {_version(profile, role)}"


def _version(profile: Profile, role: checkpoint.Role) -> int:
    """Which version of its code the profile's model has."""
    return plugins.find(_KINDS[role], getattr(profile.config, role).name).version  # type: ignore[attr-defined]


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
