import re
from importlib import resources

from pipeline.app.words import words

FILES = [each for each in resources.files("pipeline.app.static").iterdir() if each.name.endswith((".html", ".js"))]
TEXT = "\n".join(each.read_text(encoding="utf-8") for each in FILES)


def test_both_languages_say_the_same_things() -> None:
    english, french = words()["en"], words()["fr"]
    assert english.keys() == french.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", french[key])), key
        assert text.count("|") == french[key].count("|"), key


def test_every_word_that_the_page_says_is_known() -> None:
    said = set(re.findall(r'say\("(\w+)"', TEXT)) | set(re.findall(r'data-say(?:-label)?="(\w+)"', TEXT))
    assert len(said) > 50
    assert said <= words()["en"].keys()


def test_no_word_is_left_over() -> None:
    patterns = [re.sub(r"\$\{[^}]*\}", r"\\w+", each) for each in re.findall(r"say\(`([^`]+)`", TEXT)]
    for key in words()["en"]:
        known = f'"{key}"' in TEXT or key.startswith("tab_") or any(re.fullmatch(each, key) for each in patterns)
        assert known, key
