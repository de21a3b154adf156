import math
from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models import Labels
from models.fit import take
from models.held_out import log_losses, parts
from models.preference import LEFT, SKIP
from tests.models.test_fit import Sum, line

PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=60)


def labels_of(told: list[tuple[int, int]]) -> Labels:
    left, right = torch.tensor(told).T
    return Labels(left, right, torch.full_like(left, LEFT), torch.zeros_like(left))


@settings(deadline=None, max_examples=60)
@given(PAIRS, st.integers(2, 7), st.integers(0, 3))
def test_no_world_is_on_both_sides_and_each_label_is_tested_once(told, folds, seed):
    labels, tested = labels_of(told), torch.zeros(len(told), dtype=torch.int64)
    for learn, test in parts(labels, folds, seed):
        known, asked = take(labels, learn), take(labels, test)
        assert not {*known.left.tolist(), *known.right.tolist()} & {*asked.left.tolist(), *asked.right.tolist()}
        tested += test
    assert tested.eq(1).all()


def test_nothing_is_left_out_where_pairs_have_no_world_in_common():
    labels = labels_of([(2 * n, 2 * n + 1) for n in range(30)])
    assert all((learn ^ test).all() for learn, test in parts(labels, 5))


def test_few_answers_are_lost_where_worlds_were_compared_in_a_row():
    order = torch.randperm(41, generator=torch.Generator().manual_seed(0)).tolist()
    labels = labels_of(list(pairwise(order)))
    assert all((~(learn | test)).sum() <= 2 for learn, test in parts(labels, 4))


def test_a_coin_costs_a_coin_flip_and_whoever_is_right_costs_less():
    embedding, labels, reference = line(40)
    split = parts(labels, 4)[1]
    coin = log_losses(Sum(0.0), embedding, labels, reference, split)
    torch.testing.assert_close(coin, torch.full((10,), math.log(2)))
    right = log_losses(Sum(3.0), embedding, labels, reference, split)
    assert right.mean() < 0.2
    assert log_losses(Sum(-3.0), embedding, labels, reference, split).mean() > 1


def test_skipped_answers_cost_nothing():
    embedding, labels, reference = line(40)
    labels = Labels(labels.left, labels.right, torch.full_like(labels.answer, SKIP), labels.labeler)
    assert len(log_losses(Sum(), embedding, labels, reference, parts(labels, 4)[0])) == 0
