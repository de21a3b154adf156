"""Parameters in the unit cube and out of it."""

import pytest
import torch

from sims import Param, Space

SPACE = Space(Param("size", 1, 100, scale="log"), Param("mix", -1, 1, shape=(2, 2)), Param("rate", 0, 2))


def test_decode_is_linear_or_logarithmic():
    params = SPACE.decode(torch.tensor([[0.5] * 6, [0.0] * 6, [1.0] * 6]))
    torch.testing.assert_close(params["size"], torch.tensor([10.0, 1.0, 100.0]))
    torch.testing.assert_close(params["rate"], torch.tensor([1.0, 0.0, 2.0]))
    assert params["mix"][0].tolist() == [[0, 0], [0, 0]]


def test_encode_is_its_inverse():
    unit = torch.rand(50, SPACE.dim)
    torch.testing.assert_close(SPACE.encode(SPACE.decode(unit)), unit)


def test_names_are_columns():
    assert SPACE.names == ("size", "mix[0,0]", "mix[0,1]", "mix[1,0]", "mix[1,1]", "rate")
    unit = torch.zeros(1, 6)
    unit[0, SPACE.names.index("mix[1,0]")] = 1
    assert SPACE.decode(unit)["mix"][0].tolist() == [[-1, -1], [1, -1]]


@pytest.mark.parametrize("bad", [[1.01] * 6, [-0.01] * 6, [float("nan")] * 6, [0.5] * 5])
def test_what_is_no_point_of_the_cube_is_refused(bad):
    with pytest.raises(ValueError, match="unit has"):
        SPACE.decode(torch.tensor([bad]))


def test_impossible_ranges_are_refused():
    with pytest.raises(ValueError, match="below"):
        Param("size", 2, 1)
    with pytest.raises(ValueError, match="log"):
        Param("size", 0, 1, scale="log")
    with pytest.raises(ValueError, match="holds no numbers"):
        Param("size", 0, 1, shape=(3, 0))
    with pytest.raises(ValueError, match="twice"):
        Space(Param("a", 0, 1), Param("a", 0, 2))
