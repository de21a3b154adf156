"""Rewardors learn what people like; Generators propose what they may like next."""

from models._generator import Archive, Generator
from models._rewardor import ANSWERS, Answer, Labels, Rewardor

__all__ = ["ANSWERS", "Answer", "Archive", "Generator", "Labels", "Rewardor"]
