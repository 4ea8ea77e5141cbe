"""The files that pages load (CSS, scripts, icons), read once, under addresses that change with their content.

Keeps that an address always means the same bytes, so that browsers and proxies may keep them for ever.
"""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State

from boxoffice.services.storefront.api.errors import NothingHereError

FOLDER = Path(__file__).parents[1] / "static"
FOR_EVER = "public, max-age=31536000, immutable"
SVG = "image/svg+xml; charset=utf-8"
"""The framework says the charset of types that begin with text, and of no others."""
MEDIA_TYPES = {
    ".css": "text/css", ".js": "text/javascript", ".svg": SVG,
    ".webmanifest": "application/manifest+json", ".png": "image/png",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file, plain and compressed."""

    plain: bytes
    zipped: bytes
    media_type: str


class Files:
    """Every file below ``static``; the version is a hash over all of them, because modules import each other."""

    def __init__(self, folder: Path = FOLDER) -> None:
        found = {path.name: path for path in sorted(folder.iterdir()) if path.suffix in MEDIA_TYPES}
        self._files = {name: _read(path) for name, path in found.items()}
        digest = hashlib.blake2b(digest_size=6)
        for name, file in self._files.items():
            digest.update(name.encode() + b"\0" + file.plain + b"\0")
        self.version = digest.hexdigest()

    def address(self, name: str) -> str:
        """Give a file's address.

        :raises KeyError: when there is no such file.
        """
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    def find(self, name: str) -> File | None:
        """Give a file by its name."""
        return self._files.get(name)


def _read(path: Path) -> File:
    plain = path.read_bytes()
    return File(plain=plain, zipped=gzip.compress(plain, mtime=0), media_type=MEDIA_TYPES[path.suffix])


@get("/static/{version:str}/{name:str}", include_in_schema=False)
async def static_file(request: Request[Any, Any, Any], state: State, version: str, name: str) -> Response[bytes]:
    """Give a file. An old version's address still works, with what there is now, and is not kept."""
    files: Files = state.files
    file = files.find(name)
    if file is None:
        raise NothingHereError("There is no such file.")
    cache = FOR_EVER if version == files.version else "no-cache"
    return zipped(request, file.zipped, plain=file.plain, media_type=file.media_type, cache=cache)


@get("/favicon.ico", include_in_schema=False)
async def favicon(request: Request[Any, Any, Any], state: State) -> Response[bytes]:
    """Give the icon to whoever asks at the old address."""
    file = state.files.find("icon.svg")
    return zipped(
        request, file.zipped, plain=file.plain, media_type=file.media_type, cache="public, max-age=86400"
    )  # fmt: skip


def zipped(
    request: Request[Any, Any, Any],
    body: bytes,
    *,
    media_type: str,
    cache: str,
    plain: bytes | None = None,
    etag: str | None = None,
) -> Response[bytes]:
    """Answer with bytes that are kept compressed; plain for the rare client that does not take gzip."""
    headers = {"Cache-Control": cache, "Vary": "Accept-Encoding"}
    if etag:
        headers["ETag"] = etag
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(content=body, media_type=media_type, headers=headers)
    return Response(content=gzip.decompress(body) if plain is None else plain, media_type=media_type, headers=headers)
