"""What a server needs beside its own machine, and whether it answers: the limits' store, blobs, upstreams, sign-in.

For ``inhouse doctor``, which tells it after what ``doctor.run_checks`` found. Only what the settings and bindings name
is asked.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Awaitable, Sequence

import httpx2 as httpx
from obstore.exceptions import BaseError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from inhouse.doctor import Check, State
from inhouse.engines.deployments import Remote
from inhouse.engines.protocol import EngineFailed
from inhouse.engines.upstream import Target, Upstream, UpstreamError, UpstreamSpec
from inhouse.settings import Settings
from inhouse.storage.blobs import Blobs

TIMEOUT_S = 10.0
"""For each check."""
PROBES = "probes"
"""Blobs below this are written, read and removed, to see that all three are allowed."""


async def check_surroundings(settings: Settings, remotes: Sequence[Remote]) -> list[Check]:
    """One check for each thing that is elsewhere, all at once."""
    checks = []
    if settings.limits.store_url is not None:
        checks.append(_in_time("limits", "limits.store_url", check_store(settings.limits.store_url.reveal())))
    if (url := settings.files.url) is not None:
        blobs = Blobs(settings.data_dir / "blobs", settings.data_dir / "scratch", url, retries=1)
        checks.append(_in_time("files", url, check_files(blobs, url)))
    targets = dict.fromkeys(target for remote in remotes for target in remote.upstream.targets)
    checks += [_in_time("upstream", target.url, check_upstream(target)) for target in targets]
    if issuer := settings.console.oidc_issuer:
        checks.append(_in_time("sign-in", issuer, check_issuer(issuer)))
    return list(await asyncio.gather(*checks))


async def check_store(url: str) -> Check:
    """Whether Valkey answers, and keeps what it is given. The URL may hold a password, so it is not told."""
    advice = "start Valkey, or correct limits.store_url; requests get 503 until then (limits.on_store_failure)"
    try:
        async with Redis.from_url(re.sub(r"^valkey(s?)://", r"redis\1://", url)) as client:
            memory = await client.info("memory")
    except (RedisError, OSError) as error:
        return Check("limits", "fail", f"the store does not answer: {_words(error)}", advice)
    except ValueError:
        return Check("limits", "fail", "limits.store_url cannot be read", "write redis://host:6379/0")
    policy = memory.get("maxmemory_policy", "noeviction")
    if memory.get("maxmemory") and policy != "noeviction":
        found = f"the store answers, and drops what does not fit (maxmemory-policy {policy})"
        return Check("limits", "warn", found, "set maxmemory-policy noeviction: a bucket that is dropped is a full one")
    return Check("limits", "ok", "the store answers")


async def check_files(blobs: Blobs, url: str) -> Check:
    """Whether a blob can be written, read and removed."""
    key, content = f"{PROBES}/{secrets.token_hex(8)}", b"inhouse doctor"
    try:
        spool = blobs.spool()
        try:
            await spool.write(content)
            await blobs.keep(spool, key)
        finally:
            spool.close()
        read = await blobs.read(key)
        await blobs.delete([key])
    except (BaseError, OSError, ValueError) as error:
        advice = "correct files.url, or the provider's variables (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...)"
        return Check("files", "fail", f"{url}: {_words(error)}", advice)
    if read != content:
        return Check("files", "fail", f"{url} gives back something else than was written")
    return Check("files", "ok", f"{url}: written, read, removed")


async def check_upstream(target: Target) -> Check:
    """Whether a server takes our key and knows the model. Others may serve the model too, so it is never a failure."""
    if target.key_env and not os.environ.get(target.key_env):
        found = f"{target.url}: the environment variable {target.key_env} with its key is not set"
        return Check("upstream", "warn", found, "set it where the server starts")
    upstream = Upstream(UpstreamSpec(targets=[target]))
    try:
        listed = [model.id for model in await upstream.models()]
    except UpstreamError as error:
        if error.status in (404, 405):
            return Check("upstream", "ok", f"{target.url} answers, and lists no models")
        advice = "correct the key" if error.status in (401, 403) else "see its own log"
        return Check("upstream", "warn", str(error), advice)
    except EngineFailed as error:
        return Check("upstream", "warn", str(error), "start it, or correct the address with `inhouse models use`")
    finally:
        await upstream.close()
    if target.model and target.model not in listed:
        found = f"{target.url} does not list {target.model}, but {', '.join(listed[:5]) or 'nothing'}"
        return Check("upstream", "warn", found, "correct the name with `inhouse models use … --upstream-model`")
    return Check("upstream", "ok", f"{target.url} answers")


async def check_issuer(issuer: str) -> Check:
    """Whether the OpenID provider describes itself. People with passwords can sign in without it."""
    advice = "start the provider, or correct console.oidc_issuer"
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            answer = await client.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
            answer.raise_for_status()
            named = answer.json()["issuer"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        return Check("sign-in", "warn", f"{issuer}: {_words(error)}", advice)
    if str(named).rstrip("/") != issuer.rstrip("/"):
        return Check("sign-in", "warn", f"{issuer} says that it is {named}", advice)
    return Check("sign-in", "ok", f"{issuer} answers")


async def _in_time(name: str, where: str, check: Awaitable[Check]) -> Check:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await check
    except TimeoutError:
        state: State = "fail" if name in ("limits", "files") else "warn"
        return Check(name, state, f"{where}: no answer within {TIMEOUT_S:g} s", "start it, or correct its address")


def _words(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:300]
