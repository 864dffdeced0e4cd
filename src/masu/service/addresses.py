"""The images that Label Studio names: in the task, below one folder or at one host, and no others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from masu.regular import open_regular
from masu.service.label_studio_host import LabelStudioHost
from masu.service.limits import Limits, RefusedError
from masu.service.pictures import bytes_of, is_data_url, too_many_bytes

_LOCAL = "/data/local-files"
_OF_HOST = ("/data/", "/storage-data/")
_SHOWN = 80


@dataclass(frozen=True)
class Addresses:
    """Where images may come from.

    Attributes:
        root: the folder that Label Studio serves as local files; None: none is read.
        host: the Label Studio that has the others; None: none is fetched.
        limits: of an image.
    """

    root: Path | None
    host: LabelStudioHost | None
    limits: Limits

    def read(self, address: object) -> bytes:
        """The bytes of an image.

        Args:
            address: ``data:image/…;base64,…``, ``/data/local-files/?d=PATH``, ``/data/upload/…``, or the full
                address of one of these at the host.

        Raises:
            RefusedError: any other address, a path out of the folder, an image that is not there.
        """
        if not isinstance(address, str):
            raise RefusedError(400, "image: found no text, wanted its address")
        if is_data_url(address):
            return bytes_of(address, self.limits)
        path = self._path(address)
        if path.partition("?")[0].rstrip("/") == _LOCAL and self.root is not None:
            return self._local(path)
        if self.host is None:
            message = (
                f"image: found {_shown(address)}, wanted an image below --root, a data: URL, or "
                "--label-studio-url for the images that Label Studio has"
            )
            raise RefusedError(400, message, "INVALID_IMAGE")
        return self.host.fetch(path)

    def _path(self, address: str) -> str:
        """The path and query at the host."""
        path = address.strip()
        if self.host is not None:
            path = self.host.path_of(path)
        parts = urlsplit(path) if path.startswith("/") and not path.startswith("//") else None
        plain = "" if parts is None or parts.fragment else unquote(unquote(parts.path))
        if not plain.startswith(_OF_HOST) or ".." in plain.split("/") or "\\" in plain:
            message = (
                f"image: found {_shown(address)}, wanted a data: URL, /data/local-files/?d=…, /data/upload/… "
                "or an address at --label-studio-url; nothing else is fetched"
            )
            raise RefusedError(400, message, "INVALID_IMAGE")
        return path

    def _local(self, path: str) -> bytes:
        named = parse_qs(urlsplit(path).query).get("d", [""])[-1]
        top = Path(os.path.realpath(self.root or ""))
        try:
            file = Path(os.path.realpath(top / named.lstrip("/")))
            if top not in file.parents:
                raise RefusedError(403, f"image: found {_shown(named)}, which is not below --root")
            with open_regular(file) as stream:
                content = stream.read(self.limits.image + 1)
        except (OSError, ValueError):
            message = f"image: found no file {_shown(named)} below --root"
            raise RefusedError(404, message, "INVALID_IMAGE") from None
        if len(content) > self.limits.image:
            raise too_many_bytes(self.limits)
        return content


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
