"""Style sheets, scripts and pictures of the console, under URLs that change with their content."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_FOREVER = "public, max-age=31536000, immutable"


class Assets:
    """Every file of one folder, read once and held in memory, plain and compressed.

    A file's URL carries a hash of its bytes, so browsers may keep it forever and see a new version at once.
    """

    def __init__(self, folder: Traversable | None = None, prefix: str = "/static") -> None:
        folder = folder if folder is not None else files("inhouse.console").joinpath("static")
        self._prefix = prefix
        self._urls: dict[str, str] = {}
        self._bodies: dict[str, tuple[str, str, bytes, bytes]] = {}
        for file in folder.iterdir():
            if not file.is_file():
                continue
            body = file.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:16]
            stem, _, suffix = file.name.rpartition(".")
            hashed = f"{stem}.{digest}.{suffix}"
            media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
            self._urls[file.name] = f"{prefix}/{hashed}"
            self._bodies[hashed] = (media_type, digest, body, gzip.compress(body, 9, mtime=0))

    def url(self, name: str) -> str:
        """The URL of a file, by its plain name.

        Raises:
            KeyError: no such file in the folder.
        """
        return self._urls[name]

    def route(self) -> Route:
        return Route(f"{self._prefix}/{{name}}", self._answer)

    async def _answer(self, request: Request) -> Response:
        found = self._bodies.get(request.path_params["name"])
        if found is None:
            return PlainTextResponse("Not found\n", status_code=404)
        media_type, digest, plain, compressed = found
        headers = {"cache-control": _FOREVER, "vary": "accept-encoding", "x-content-type-options": "nosniff"}
        body = plain
        if takes_gzip(request) and len(compressed) < len(plain):
            body = compressed
            headers["content-encoding"] = "gzip"
            digest += "-gzip"
        return conditional(request, Response(body, media_type=media_type, headers=headers), f'"{digest}"')


def takes_gzip(request: Request) -> bool:
    """Whether the client listed gzip among its encodings and did not exclude it with ``q=0``."""
    for offer in request.headers.get("accept-encoding", "").split(","):
        coding, _, weight = offer.replace(" ", "").partition(";")
        if coding.lower() == "gzip":
            return weight not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def conditional(request: Request, response: Response, etag: str) -> Response:
    """``response`` with its entity tag, or 304 when the client already holds it."""
    response.headers["etag"] = etag
    held = request.headers.get("if-none-match", "")
    if etag not in (tag.strip().removeprefix("W/") for tag in held.split(",")) and held.strip() != "*":
        return response
    kept = {key: value for key, value in response.headers.items() if key not in ("content-length", "content-type")}
    return Response(status_code=304, headers=kept)
