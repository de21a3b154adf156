"""From the tables of a profile to the tensors that models learn from."""

import numpy as np
import torch

from models import ANSWERS, Archive, Labels, Rewardor
from models import fit as fitting
from pipeline.profile import Profile
from pipeline.rows import EmbeddingTable, LabelTable, RolloutTable

REFERENCE = 256
"""Alive prior worlds on which a Rewardor learns its normalisation."""


def training_set(profile: Profile, rewardor: Rewardor, labels: LabelTable) -> tuple[torch.Tensor, Labels, torch.Tensor]:
    """Embeddings (B, F), labels as rows of them, and the reference (B,) bool.

    A label names the frames that were seen. Where these were not embedded (another Rewardor, a replay), the world's
    own embedding stands in; a label whose worlds have none is left out until they have.
    """
    table = profile.embeddings(profile.config.rewardor.name, rewardor.version)
    rows = _Rows(table)
    left, right = rows.of(labels.left, labels.left_source), rows.of(labels.right, labels.right_source)
    known = (left >= 0) & (right >= 0)
    people = {name: number for number, name in enumerate(labelers(profile))}
    answers = [ANSWERS.index(answer) for answer in labels.answer[known].tolist()]
    who = [people[name] for name in labels.labeler[known].tolist()]
    picked = Labels(
        left=torch.from_numpy(left[known]),
        right=torch.from_numpy(right[known]),
        answer=torch.tensor(answers, dtype=torch.int64),
        labeler=torch.tensor(who, dtype=torch.int64),
    )
    return torch.from_numpy(table.values), picked, torch.from_numpy(rows.reference(profile.rollouts()))


def labelers(profile: Profile) -> list[str]:
    """Who ever answered; their places are the numbers by which models know them.

    In the order of their first answers, be these undone or excluded: nobody inherits the number, and so the manner, of
    somebody else.
    """
    events = profile.label_events()
    return list(dict.fromkeys(events.labeler[events.event == "vote"].tolist()))


def scored(profile: Profile, rewardor: Rewardor, rollouts: RolloutTable) -> Archive:
    """The archive of these rollouts, scored by a Rewardor."""
    return fitting.archive(rewardor, *archived(profile, rewardor.version, rollouts))


def archived(profile: Profile, version: int, rollouts: RolloutTable) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of these rollouts parameters (B, D), whether the Rewardor saw them alive (B,), and embeddings (B, F) or NaN."""
    table = profile.embeddings(profile.config.rewardor.name, version)
    rows = _Rows(table).of(rollouts.id, None)
    alive = (rollouts.status == "alive") & (rows >= 0)
    embedding = np.full((len(rows), table.values.shape[1]), np.nan, np.float32)
    embedding[alive] = table.values[rows[alive]]
    return torch.from_numpy(rollouts.unit), torch.from_numpy(alive), torch.from_numpy(embedding)


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
