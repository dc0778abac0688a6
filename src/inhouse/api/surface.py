"""Every face of the API. Routing, ``/openapi.json`` and the coverage score are made from this list."""

from __future__ import annotations

FACES: tuple[type, ...] = ()
