"""The one Label Studio whose images may be fetched, with its access token."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from masu.errors import bad_input
from masu.service.limits import Limits, RefusedError
from masu.service.pictures import too_many_bytes

_PORTS = {"http": 80, "https": 443}
_MOST_TOKEN = 100_000
_SAFE = "/:?=&%~+,;@!$'()*[]"


class LabelStudioHost:
    """A Label Studio server.

    Args:
        url: such as ``http://localhost:8080``.
        key: an access token of Account & Settings: a legacy one, or a personal one, which is exchanged for
            one that is valid for minutes. None: images are fetched without.
        limits: of an image.

    Raises:
        InputError: for a URL that is none of http or https.
    """

    def __init__(self, url: str, key: str | None, limits: Limits) -> None:
        self._origin = _origin(url)
        if self._origin is None or urlsplit(url).username is not None:
            raise bad_input("--label-studio-url", repr(url), "such as http://localhost:8080")
        self._url, self._key, self._limits = url.rstrip("/"), (key or "").strip(), limits
        if not (self._key.isascii() and self._key.isprintable()) or " " in self._key:
            found = "characters that no key has"
            raise bad_input("LABEL_STUDIO_API_KEY", found, "an access token of Label Studio", "copy it again")
        self._below = urlsplit(self._url).path
        self._open = build_opener(_SameOrigin(self._origin)).open

    def path_of(self, address: str) -> str:
        """The path and query of an address here; another one comes back as it is."""
        if _origin(address) != self._origin:
            return address
        parts = urlsplit(address)
        path = parts.path.removeprefix(self._below) if self._below else parts.path
        return f"{path}?{parts.query}" if parts.query else path

    def fetch(self, path: str) -> bytes:
        """The bytes of an image.

        Args:
            path: as of :meth:`path_of`, from the first ``/``.

        Raises:
            RefusedError: where there is none, it is too long, or it is at another host.
        """
        url = f"{self._url}{quote(path, safe=_SAFE)}"
        content = self._get(Request(url, headers=self._authorization()), self._limits.image)
        if len(content) > self._limits.image:
            raise too_many_bytes(self._limits)
        return content

    def _authorization(self) -> dict[str, str]:
        if not self._key:
            return {}
        if self._key.count(".") != 2:
            return {"Authorization": f"Token {self._key}"}
        body = json.dumps({"refresh": self._key}).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self._url}/api/token/refresh", body, headers)
        try:
            access = json.loads(self._get(request, _MOST_TOKEN))["access"]
        except (ValueError, KeyError, TypeError):
            raise RefusedError(502, "Label Studio gave no access token for its key") from None
        return {"Authorization": f"Bearer {access}"}

    def _get(self, request: Request, most: int) -> bytes:
        try:
            with self._open(request, timeout=self._limits.seconds) as answer:
                content: bytes = answer.read(most + 1)
                return content
        except HTTPError as error:
            error.close()
            why = "; is LABEL_STUDIO_API_KEY right?" if error.code in (401, 403) else ""
            raise RefusedError(502, f"Label Studio answered {error.code} for an image{why}") from None
        except (OSError, HTTPException, ValueError) as error:
            why = str(error.reason) if isinstance(error, URLError) else type(error).__name__
            raise RefusedError(502, f"Label Studio cannot be reached ({why})") from None


class _SameOrigin(HTTPRedirectHandler):
    """Follows redirects to the same server alone: others could be any address of the network."""

    def __init__(self, origin: tuple[str, str, int] | None) -> None:
        self._origin = origin

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if _origin(urljoin(req.full_url, newurl)) != self._origin:
            fp.close()
            raise RefusedError(403, "Label Studio sends to another host for an image, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None
