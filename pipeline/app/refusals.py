"""What is answered when something cannot be done: a status that the page understands, with a sentence to show."""

import errno
from collections.abc import Callable
from typing import TypeVar

from fastapi import HTTPException

from pipeline.desk import DeskError
from pipeline.pace import TooFastError
from pipeline.profile import ProfileError
from pipeline.store import StoreError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
T = TypeVar("T")


def found(look: Callable[[], T]) -> T:
    """What was looked for; 404 where it is not there."""
    try:
        return look()
    except (ProfileError, ValueError) as error:
        raise HTTPException(404, str(error)) from error


def answered(act: Callable[[], T]) -> T:
    """What an action returns; what it raises becomes a status."""
    try:
        return act()
    except TooFastError as error:
        raise HTTPException(429, str(error), {"retry-after": "1"}) from error
    except DeskError as error:
        raise HTTPException(409, str(error)) from error
    except (ProfileError, ValueError) as error:
        raise HTTPException(400, str(error)) from error
    except StoreError as error:
        cause = getattr(error.__cause__, "errno", None)
        raise HTTPException(507 if cause in FULL else 503, str(error)) from error
