"""Files and commits as git and git-LFS name them."""

import codecs
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

LFS_SUFFIXES = {".bin", ".gguf", ".h5", ".jpg", ".msgpack", ".npz", ".onnx", ".parquet", ".png", ".pt", ".pth"}
LFS_SUFFIXES |= {".ckpt", ".safetensors", ".zip", ".webp", ".jpeg"}
MAX_REGULAR_BYTES = 10 * 1024**2


def goes_to_lfs(path: str, sample: bytes, size: int) -> bool:
    """Whether the Hub keeps such a file outside git: by its name, its size or its first bytes."""
    if size == 0:
        return False
    if PurePosixPath(path).suffix.lower() in LFS_SUFFIXES or size > MAX_REGULAR_BYTES or b"\0" in sample:
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)  # the sample may end within a character
    except UnicodeDecodeError:
        return True
    return False


def git_sha1(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class StoredFile:
    content: bytes
    is_lfs: bool

    @classmethod
    def of(cls, path: str, content: bytes) -> "StoredFile":
        return cls(content, goes_to_lfs(path, content[:512], len(content)))

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @cached_property
    def pointer(self) -> bytes:
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (
            self.sha256.encode(),
            len(self.content),
        )

    @cached_property
    def oid(self) -> str:
        """The git blob: of the content, or of the pointer that git keeps in its place."""
        return git_sha1("blob", self.pointer if self.is_lfs else self.content)

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_lfs else self.oid

    def entry(self, path: str) -> dict[str, Any]:
        """As tree and paths-info list it."""
        entry: dict[str, Any] = {"type": "file", "oid": self.oid, "size": len(self.content), "path": path}
        if self.is_lfs:
            entry["lfs"] = {"oid": self.sha256, "size": len(self.content), "pointerSize": len(self.pointer)}
        return entry


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str | None
    files: Mapping[str, StoredFile]
    title: str
    description: str
    author: str
    date: str

    def summary(self) -> dict[str, Any]:
        author = {"user": self.author, "avatar": ""}
        return {
            **{"id": self.oid, "title": self.title, "message": self.description, "date": self.date},
            "authors": [author],
        }


def tree_oid(files: Mapping[str, StoredFile]) -> str:
    lines = "".join(f"{path}\0{file.oid}\n" for path, file in sorted(files.items()))
    return git_sha1("tree", lines.encode())


def folder_entries(files: Mapping[str, StoredFile]) -> dict[str, dict[str, Any]]:
    """Path -> entry of every folder that holds a file."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents} - {"."}
    entries = {}
    for folder in sorted(folders):
        inside = {path: file for path, file in files.items() if path.startswith(f"{folder}/")}
        entries[folder] = {"type": "directory", "oid": tree_oid(inside), "size": 0, "path": folder}
    return entries
