"""Parcels that could do harm, one by one: each is refused with a sentence, and nothing is left of it."""

import hashlib
import io
import json
import os
import pickle
import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import customs, parcel
from pipeline.census import listing
from pipeline.parcel import ParcelError
from pipeline.profile import Profile
from tests.life import bytes_of, lived

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    parcel.pack(lived(root, "a"), root / "a.zip")
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A folder with a profile "a" that has lived."""
    shutil.copytree(made / "a", tmp_path / "profiles" / "a")
    return tmp_path / "profiles"


@pytest.fixture
def files(made: Path) -> Files:
    """What is in its parcel, the index aside."""
    with zipfile.ZipFile(made / "a.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != customs.INDEX}


def unpack(root: Path, path: Path, name: str = "") -> Profile:
    """Trusting whoever sent it: the simulation of these tests is not in the catalogue."""
    return parcel.unpack(root, path, name, trust=True)


def wrap(path: Path, files: Files, **entry: object) -> Path:
    """A parcel with these files and a true index; `entry` changes attributes of the last file's entry."""
    index = customs.FORMAT | {"name": "evil", "files": {key: sha(data) for key, data in files.items()}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(customs.INDEX, json.dumps(index))
        for key, data in files.items():
            info = zipfile.ZipInfo(key)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            if key == list(files)[-1]:
                for name, value in entry.items():
                    setattr(info, name, value)
            archive.writestr(info, data)
    return path


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refused(root: Path, path: Path, message: str) -> None:
    """Importing raises this, and leaves everything as it was."""
    before = bytes_of(root.parent)
    with pytest.raises(ParcelError, match=message):
        unpack(root, path, "new")
    assert bytes_of(root.parent) == before
    assert sorted(each.name for each in root.iterdir()) == ["a"]


BAD_NAMES = {
    "../../evil.toml": "leads out",
    "labels/../../../x.parquet": "leads out",
    "..": "leads out",
    "./profile.toml": "leads out",
    "/etc/passwd": "leads out",
    "C:/windows/x.mp4": "leads out",
    "labels\\..\\..\\x": "leads out",
    "films/_mp4/": "leads out|no file of a profile",
    "secret.key": "no file of a profile",
    "page.lock": "no file of a profile",
    "archived": "no file of a profile",
    "paused/rewardor": "no file of a profile",
    "quarantine/labels/x": "no file of a profile",
    "rewardor/000001.pkl": "no file of a profile",
    "rewardor/000001.pt": "no file of a profile",
    "sims/evil.py": "no file of a profile",
    "labels/.tmp-0": "no file of a profile",
    "labels/x.parquet": "no file of a profile",
    "profile.toml\n": "no file of a profile",
    "embeddings/..-1/000000000000-000000000000-0123456789abcdef.parquet": "no file of a profile",
    "films/_mp4/0123456789ABCDEF0123456789ABCDEF.mp4": "no file of a profile",
    "saved/0123456789abcdef0123456789abcdef.html": "no file of a profile",
    "labels/999999999999-999999999999-0123456789abcdef.parquet": "no file of a profile",  # none comes after it
    "rewardor/999999.json": "no file of a profile",
    "rewardor/00000\N{ARABIC-INDIC DIGIT ONE}.json": "no file of a profile",
}


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_no_file_of_a_profile_has(root: Path, files: Files, tmp_path: Path, name: str) -> None:
    refused(root, wrap(tmp_path / "x.zip", files | {name: b"evil"}), BAD_NAMES[name])


@pytest.mark.parametrize(
    "kind", ["S_IFLNK", "S_IFCHR", "S_IFBLK", "S_IFIFO", "S_IFSOCK", "S_IFDIR"], ids=lambda kind: kind[3:].lower()
)
def test_links_and_devices(root: Path, files: Files, tmp_path: Path, kind: str) -> None:
    evil = {"films/_mp4/" + "0" * 32 + ".mp4": b"/etc/passwd"}
    path = wrap(tmp_path / "x.zip", files | evil, external_attr=(getattr(stat, kind) | 0o777) << 16)
    refused(root, path, "is a link, a folder or a device")


def test_compressed_files_are_bombs(root: Path, files: Files, tmp_path: Path) -> None:
    evil = files | {"films/_mp4/" + "0" * 32 + ".mp4": bytes(50_000_000)}
    path = wrap(tmp_path / "x.zip", evil, compress_type=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2_000_000
    refused(root, path, "is compressed")


def test_sizes_that_are_declared_and_not_there(root: Path, made: Path, tmp_path: Path) -> None:
    data = bytearray((made / "a.zip").read_bytes())
    entry = data.rfind(b"PK\1\2")
    for field in (20, 24):
        data[entry + field : entry + field + 4] = (500_000_000).to_bytes(4, "little")
    (tmp_path / "x.zip").write_bytes(data)
    refused(root, tmp_path / "x.zip", "not imported")


def test_files_that_are_too_large(root: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customs, "LARGEST", 1000)
    refused(root, wrap(tmp_path / "x.zip", files), "no file of a profile has more than 1000")


def test_too_many_files(root: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = wrap(tmp_path / "x.zip", files)
    monkeypatch.setattr(customs, "FILES", 5)
    refused(root, path, "no profile has more than 5")
    monkeypatch.setattr(customs, "DIRECTORY", 100)
    refused(root, path, "its table of contents has .* bytes")


def test_a_large_zip_cannot_hide_its_table_of_contents(root: Path, tmp_path: Path) -> None:
    far = b"PK\6\6" + bytes(36) + (1 << 40).to_bytes(8, "little") + bytes(8)
    for place in (0, 12):
        locator = b"PK\6\7" + bytes(4) + place.to_bytes(8, "little") + bytes(4)
        end = b"PK\5\6" + bytes(8) + b"\xff" * 8 + b"\0\0"
        (tmp_path / "x.zip").write_bytes(far + locator + end)
        refused(root, tmp_path / "x.zip", "its table of contents")


def test_overlapping_files_cannot_grow(root: Path, files: Files, tmp_path: Path) -> None:
    # One film's bytes, and a thousand names for them.
    path = wrap(tmp_path / "x.zip", files)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("films/_mp4/" + "0" * 32 + ".mp4", b"\0\0\0\0ftyp" + bytes(1_000_000))
        one = archive.infolist()[-1]
        for number in range(1, 1000):
            copy = zipfile.ZipInfo(f"films/_mp4/{number:032x}.mp4")
            for field in ("header_offset", "file_size", "compress_size", "CRC"):
                setattr(copy, field, getattr(one, field))
            archive.filelist.append(copy)
        archive._didModify = True  # type: ignore[attr-defined]
    refused(root, path, "more bytes than the file|list the files")


def test_tables_that_grow_when_they_are_read(
    root: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customs, "MEMORY", 400_000_000)
    dictionary = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int32)), pa.array(["a" * 10_000_000]))
    numbers = pa.array(np.arange(1000))
    table = pa.table({"id": dictionary, "sequence": numbers})
    pq.write_table(table, tmp_path / "bomb", compression="zstd", write_statistics=False)
    data = (tmp_path / "bomb").read_bytes()
    (tmp_path / "bomb").unlink()
    assert len(data) < 100_000
    name = f"labels/000000000900-000000001900-{sha(data)[:16]}.parquet"
    refused(root, wrap(tmp_path / "x.zip", files | {name: data}), "not imported")


def test_names_that_come_twice(root: Path, files: Files, tmp_path: Path) -> None:
    path = wrap(tmp_path / "x.zip", files)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("profile.toml", files["profile.toml"])
    refused(root, path, "is in it twice")


def test_names_that_are_one_on_some_disks(root: Path, files: Files, tmp_path: Path) -> None:
    folder = next(name for name in files if name.startswith("embeddings/"))
    other = folder.replace("embeddings/common", "embeddings/Common")
    refused(root, wrap(tmp_path / "x.zip", files | {other: files[folder]}), "upper and lower case")


def test_encrypted_files(root: Path, files: Files, tmp_path: Path) -> None:
    data = bytearray(wrap(tmp_path / "x.zip", files).read_bytes())
    entry = data.rfind(b"PK\1\2")
    data[entry + 8] |= 1
    (tmp_path / "x.zip").write_bytes(data)
    refused(root, tmp_path / "x.zip", "is encrypted")


def first(files: Files, prefix: str, suffix: str = "") -> str:
    return next(name for name in files if name.startswith(prefix) and name.endswith(suffix))


def forged_manifest(files: Files, change: Callable[[dict], None]) -> Files:
    key = first(files, "rewardor/", ".json")
    fields = json.loads(files[key])["manifest"]
    change(fields)
    text = json.dumps(fields, sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return files | {key: json.dumps({"manifest": fields, "blake2b": digest}).encode()}


def with_pickled_weights(files: Files) -> Files:
    key, data = first(files, "rewardor/", ".json"), pickle.dumps({"evil": 1})
    files = {name: each for name, each in files.items() if not name.startswith(key[:-5] + "-")}

    def change(fields: dict) -> None:
        fields.update(sha256=sha(data), weights=f"{key[:-5]}-{sha(data)[:16]}.safetensors")

    return forged_manifest(files, change) | {f"{key[:-5]}-{sha(data)[:16]}.safetensors": data}


def with_rows(files: Files, folder: str, **columns: pa.Array) -> Files:
    """One more row in a table: a copy of another, but for some columns."""
    table = pq.read_table(io.BytesIO(files[first(files, folder)])).slice(0, 1)
    for name, values in ({"id": pa.array(["f" * 32]), "sequence": pa.array([900])} | columns).items():
        table = table.set_column(table.schema.get_field_index(name), name, values)
    pq.write_table(table, sink := io.BytesIO())
    return files | {f"{folder}{900:012d}-{900:012d}-{sha(sink.getvalue())[:16]}.parquet": sink.getvalue()}


LIES: dict[str, tuple[Callable[[Files], Files], str]] = {
    "a film that is a pickle": (
        lambda files: files | {f"films/_mp4/{blake(pickle.dumps(1))}.mp4": pickle.dumps(1)},
        "it is not an mp4",
    ),
    "a film under a false name": (
        lambda files: files | {f"films/_mp4/{'0' * 32}.mp4": b"\0\0\0\x18ftypmp42"},
        "do not match the hash in its name",
    ),
    "a part under a false name": (
        lambda files: files | {first(files, "labels/"): b"PAR1"},
        "do not match the hash in its name",
    ),
    "a part that is a pickle": (
        lambda files: files | {f"labels/{7:012d}-{8:012d}-{sha(pickle.dumps(1))[:16]}.parquet": pickle.dumps(1)},
        "not a Parquet file",
    ),
    "a part of another table": (
        lambda files: files | {first(files, "films/0").replace("films", "rollouts"): files[first(files, "films/0")]},
        "not a part of this table",
    ),
    "weights that are a pickle": (with_pickled_weights, r"rewardor/000001-.*safetensors: "),
    "weights of nobody": (
        lambda files: files | {f"rewardor/000077-{'0' * 16}.safetensors": b"x"},
        "no manifest names it",
    ),
    "a manifest that leads out": (
        lambda files: forged_manifest(files, lambda fields: fields.update(weights="../../secret.key")),
        "the manifest of another version",
    ),
    "a manifest of another number": (
        lambda files: forged_manifest(files, lambda fields: fields.update(number=99)),
        "the manifest of another version",
    ),
    "a manifest of no time": (
        lambda files: forged_manifest(files, lambda fields: fields.update(time="yesterday")),
        "its time or its metrics are no numbers",
    ),
    "a manifest of endless time": (
        lambda files: forged_manifest(files, lambda fields: fields.update(time=float("-inf"))),
        "its time or its metrics are no numbers",
    ),
    "a manifest with words for numbers": (
        lambda files: forged_manifest(files, lambda fields: fields["metrics"].update(loss="low")),
        "its time or its metrics are no numbers",
    ),
    "a manifest with words for chances": (
        lambda files: forged_manifest(files, lambda fields: fields["more"].update(expected={"v1": "likely"})),
        "not what a fit writes",
    ),
    "a manifest that is none": (
        lambda files: files | {"rewardor/000009.json": b"[]"},
        "rewardor/000009.json: it is not a manifest",
    ),
    "a manifest that was changed": (
        lambda files: files | {first(files, "generator/", ".json"): b'{"manifest": {"metrics": {}}, "blake2b": ""}'},
        "it is not a manifest",
    ),
    "a saved world that leads out": (
        lambda files: (
            files | {f"saved/{'0' * 32}.json": json.dumps({"rollout": "../../secret", "params": {}}).encode()}
        ),
        "does not describe the world",
    ),
    "rows that leave no number for the next": (
        lambda files: with_rows(files, "labels/", sequence=pa.array([10**12])),
        "numbered as no profile numbers them",
    ),
    "a time that is none": (
        lambda files: with_rows(files, "labels/", time=pa.array([-np.inf])),
        "times are no moments",
    ),
    "an answer that nobody can give": (
        lambda files: with_rows(files, "labels/", answer=pa.array(["both"])),
        "answers that nobody can give",
    ),
    "parameters that are none": (
        lambda files: with_rows(files, "rollouts/", unit=pa.array([[7.0]], pa.list_(pa.float32()))),
        r"outside \[0, 1\]",
    ),
    "settings that are none": (lambda files: files | {"profile.toml": b"\xff"}, "profile.toml: "),
    "settings with parents": (
        lambda files: files | {"profile.toml": b'[[parents]]\nname = "a"\nmark = ""\nupto = {labels = 3}\n'},
        "it was forked from profiles that are not in it",
    ),
    "no settings": (lambda files: {key: files[key] for key in files if key != "profile.toml"}, "no profile.toml"),
}


def blake(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


@pytest.mark.parametrize("lie", LIES)
def test_files_that_are_not_what_they_are_called(root: Path, files: Files, tmp_path: Path, lie: str) -> None:
    change, message = LIES[lie]
    refused(root, wrap(tmp_path / "x.zip", change(dict(files))), message)


def test_an_index_that_lies(root: Path, files: Files, tmp_path: Path) -> None:
    def spoiled(change: Callable[[dict], object]) -> Path:
        index = customs.FORMAT | {"name": "x", "files": {key: sha(data) for key, data in files.items()}}
        change(index)
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for key, data in {customs.INDEX: json.dumps(index).encode(), **files}.items():
                archive.writestr(zipfile.ZipInfo(key), data)
        return tmp_path / "x.zip"

    hashes = "the bytes of profile.toml do not match"
    refused(root, spoiled(lambda index: index["files"].update({"profile.toml": "0" * 64})), hashes)
    refused(root, spoiled(lambda index: index["files"].pop("profile.toml")), "does not list")
    refused(root, spoiled(lambda index: index["files"].update({"more": "0"})), "does not list")
    refused(root, spoiled(lambda index: index.update(version=2)), "later version")
    refused(root, spoiled(lambda index: index.update(format="other")), "another kind")
    refused(root, spoiled(lambda index: index.update(files=[])), "does not list")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a zip"),
        (b"not a zip at all" * 100, "not a zip"),
        (b"PK\5\6" + bytes(18), "no alife.json"),
    ],
)
def test_files_that_are_no_parcels(root: Path, tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    refused(root, tmp_path / "x.zip", message)


def test_things_that_are_no_files(root: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path / "nothing", tmp_path):
        with pytest.raises(ParcelError, match="there is no file"):
            unpack(root, path, "new")


# -- code -------------------------------------------------------------------------------------------------------------


def test_code_from_elsewhere_is_only_named_by_those_who_are_trusted(root: Path, made: Path, tmp_path: Path) -> None:
    with pytest.raises(ParcelError, match=r'it would run the sim "tests.sims.toy:Toy" .*--trust'):
        parcel.unpack(root, made / "a.zip", "b")
    for text, said in (
        (b'[sim]\nname = "external"\ncommand = ["rm", "-rf", "/"]\n', "'rm', '-rf'"),
        (b'[rewardor]\nname = "/tmp/evil.py"\n', "the rewardor"),
        (b'[generator]\nname = "os:system"\n', "os:system"),
    ):
        (tmp_path / "x.zip").unlink(missing_ok=True)
        with pytest.raises(ParcelError, match=said):
            parcel.unpack(root, wrap(tmp_path / "x.zip", {"profile.toml": text}), "b")
    assert listing(root) == ["a"]
    plain = wrap(tmp_path / "plain.zip", {"profile.toml": b'[sim]\nname = "lenia"\n'})
    assert parcel.unpack(root, plain, "b").config.sim.name == "lenia"
