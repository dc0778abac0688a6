from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import web
from moto.server import ThreadedMotoServer
from tests.limits.conftest import Server as Valkey
from tests.upstreams import scripted_upstream

from inhouse import surroundings
from inhouse.engines.deployments import Remote
from inhouse.engines.upstream import Target, UpstreamSpec
from inhouse.settings import load
from inhouse.surroundings import check_issuer, check_store, check_surroundings, check_upstream

NOBODY = "http://127.0.0.1:1/v1"


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("v"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return boto3.resource("s3", endpoint_url=s3).create_bucket(Bucket=f"bucket-{os.urandom(4).hex()}")


async def test_what_nobody_named_is_not_asked(tmp_path: Path) -> None:
    assert await check_surroundings(load({"data_dir": tmp_path}, {}), []) == []


async def test_everything_that_answers_is_well(tmp_path: Path, valkey: Valkey, bucket: Any) -> None:
    settings = load(
        {"data_dir": tmp_path, "limits.store_url": valkey.url, "files.url": f"s3://{bucket.name}/files"}, {}
    )
    async with scripted_upstream() as upstream:
        upstream.models = [{"id": "mock", "object": "model"}]
        remote = Remote(upstream=UpstreamSpec(targets=[Target(upstream.url, "mock")]))
        checks = await check_surroundings(settings, [remote, remote])
    assert [(check.name, check.state) for check in checks] == [("limits", "ok"), ("files", "ok"), ("upstream", "ok")]
    assert list(bucket.objects.all()) == [], "nothing is left of what was tried"


async def test_a_bucket_that_is_not_there_fails(tmp_path: Path, bucket: Any) -> None:
    settings = load({"data_dir": tmp_path, "files.url": f"s3://{bucket.name}-not/files"}, {})
    [check] = await check_surroundings(settings, [])
    assert (check.name, check.state) == ("files", "fail")
    assert "NoSuchBucket" in check.found or "404" in check.found
    assert not list((tmp_path / "scratch").iterdir())


async def test_a_store_that_is_away_fails_without_its_password(tmp_path: Path) -> None:
    check = await check_store("redis://:hunter2@127.0.0.1:1/0")
    assert (check.state, "hunter2" in check.found) == ("fail", False)
    assert "limits.store_url" in check.advice


async def test_a_store_that_forgets_is_warned_of(tmp_path: Path, valkey: Valkey) -> None:
    import redis

    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("maxmemory", "64mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
    check = await check_store(valkey.url)
    assert (check.state, "allkeys-lru" in check.found) == ("warn", True)
    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("maxmemory-policy", "noeviction")
    assert (await check_store(valkey.url)).state == "ok"


async def test_upstreams_say_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    away = await check_upstream(Target(NOBODY))
    assert (away.state, NOBODY in away.found) == ("warn", True)
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    keyless = await check_upstream(Target(NOBODY, key_env="NO_SUCH_KEY"))
    assert (keyless.state, "NO_SUCH_KEY" in keyless.found) == ("warn", True)
    async with scripted_upstream() as upstream:
        upstream.models = [{"id": "other", "object": "model"}]
        strange = await check_upstream(Target(upstream.url, "mock"))
        assert (strange.state, "does not list mock, but other" in strange.found) == ("warn", True)
        upstream.models = None
        assert (await check_upstream(Target(upstream.url, "mock"))).state == "ok"


async def test_a_provider_describes_itself() -> None:
    async def configuration(request: web.Request) -> web.Response:
        return web.json_response({"issuer": f"http://{request.host}{request.match_info.get('who', '')}"})

    app = web.Application()
    app.router.add_get("/{who:.*}/.well-known/openid-configuration", configuration)
    app.router.add_get("/.well-known/openid-configuration", configuration)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        assert (await check_issuer(here)).state == "ok"
        assert (await check_issuer(f"{here}/other")).state == "warn"
    finally:
        await runner.cleanup()
    gone = await check_issuer(here)
    assert (gone.state, here in gone.found) == ("warn", True)


async def test_silence_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "TIMEOUT_S", 0.05)
    async with scripted_upstream() as upstream:
        host, _, port = upstream.url.removeprefix("http://").removesuffix("/v1").partition(":")
        # It never speaks first, and takes what the client of the store says for the beginning of a request.
        settings = load({"data_dir": tmp_path, "limits.store_url": f"redis://{host}:{port}/0"}, {})
        [check] = await check_surroundings(settings, [])
    assert check.state == "fail"
