"""The examples of the API reference run as they are written: each operation, in Python, JavaScript and curl.

The model behind the server follows rules, so that it is the contract that is looked at; what needs weights of its own
is run by the tests that have them, see ``ELSEWHERE``.
"""

from __future__ import annotations

import contextlib
import html
import io
import json
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .examples import Things
from .seeding import Seeded

JAVASCRIPT = Path(sys.prefix) / "ecosystem-js"
ELSEWHERE = {
    "createCompletion": "needs weights of its own: tests/official/test_console.py runs it",
    "createModeration": "needs weights of its own: tests/official/test_console.py runs it",
    "createSpeech": "needs weights of its own: tests/official/test_audio.py calls the same",
    "createTranscription": "needs weights of its own: tests/official/test_audio.py calls the same",
    "createTranslation": "needs weights of its own: tests/official/test_audio.py calls the same",
    "cancelResponse": "needs one that is being written: tests/official/test_responses.py cancels it",
    "cancelBatch": "needs one that is not done: tests/official/test_batches.py cancels it",
    "testWebhookEndpoint": "needs a receiver that answers: tests/official/test_webhooks.py has one",
    "deleteModel": "only a fine-tuned model can be deleted, and none can be made yet",
    "delete-project-api-key": "a key of a service account ends with its account: see the operation's description",
}
"""Operations whose examples are not run here, and why."""
FILES = {"notes.pdf": b"%PDF-1.4\n%%EOF\n", "part-1": b"The sky is b"}
RUNNER = """
import { readFileSync } from "node:fs";
const told = {};
for (const name of JSON.parse(readFileSync(process.argv[2]))) {
  try { await import(`${process.argv[3]}/${name}.mjs`); told[name] = null; }
  catch (error) { told[name] = String(error.stack ?? error); }
}
process.stderr.write("\\n" + JSON.stringify(told));
process.exit(0);
"""


def certificate() -> str:
    """Of an authority that nobody knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority {x509.random_serial_number()}")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def written(seeded: Seeded) -> dict[str, tuple[str, str, dict[str, str]]]:
    """By operation: method, path and the code by language, as the pages show them."""
    with seeded.client() as client:
        document = client.get("/openapi.json").json()
        slugs = re.findall(r'href="/reference/([\w-]+)"', client.get("/reference").text)
        pages = "".join(client.get(f"/reference/{slug}").text for slug in dict.fromkeys(slugs))
    shown = dict(re.findall(r'<article class="operation" id="([^"]+)"(.*?)</article>', pages, re.S))
    found = {}
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            if method in ("get", "post", "delete", "put", "patch"):
                anchor = re.sub(r"[^a-z0-9]+", "-", told["operationId"].lower()).strip("-")
                codes = re.findall(r'<code data-language="(\w+)">(.*?)</code>', shown[anchor], re.S)
                found[told["operationId"]] = method.upper(), path, {key: html.unescape(code) for key, code in codes}
    return found


def test_each_operation_has_an_example_that_runs(
    seeded: Seeded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations = written(seeded)
    assert set(ELSEWHERE) <= set(operations)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", seeded.server.key)
    monkeypatch.setenv("OPENAI_ADMIN_KEY", seeded.admin)
    for name, content in FILES.items():
        Path(name).write_bytes(content)
    # Each client loads the authorities that it trusts, which nothing here asks for: one is quicker than all.
    Path("authority.pem").write_text(certificate())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    trouble: dict[str, str] = {}
    programs: dict[str, str] = {}
    with seeded.client() as client:
        things = Things(seeded, client, certificate)
        for operation, (method, path, codes) in operations.items():
            assert set(codes) == {"python", "javascript", "curl"}, operation
            if operation in ELSEWHERE:
                continue
            for language, code in codes.items():
                try:
                    ids = things.of(method, path, code)
                except (AssertionError, KeyError, IndexError) as error:
                    trouble[f"what {operation} needs"] = repr(error)
                    break
                for name, id in ids.items():
                    code = re.sub(rf"\b{name}\b", id, code)
                code = code.replace('"CERTIFICATE"', json.dumps(certificate()))
                code = re.sub(r"\b(Accountant|Asker|Editors)\b", rf"\1 {things.number()}", code)
                code = code.replace("grace@example.com", f"grace{things.number()}@example.com")
                if language == "javascript":
                    programs[operation] = code  # all together, later: a process a program would take long
                elif problem := (python if language == "python" else curl)(code):
                    trouble[f"{operation} in {language}"] = problem
        things.state("GET", "/organization/spend_limit", {})
    packages = (JAVASCRIPT / "node_modules" / "openai").is_dir()
    if packages:
        trouble |= {f"{name} in JavaScript": told for name, told in javascript(programs).items() if told}
    assert trouble == {}, "\n\n".join(f"{where}\n{told[-1200:]}" for where, told in trouble.items())
    if not packages:
        pytest.skip(f"Python and curl went well; {JAVASCRIPT} is missing: `make test` installs it where there is npm")


def python(code: str) -> str | None:
    """As pasted into a file of its own; None if it went well."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            exec(compile(code, "example.py", "exec"), {})
    except Exception as error:
        return f"{code}\n{error!r}"
    return None if said.getvalue().strip() else f"{code}\nprints nothing"


def curl(code: str) -> str | None:
    code = code.replace("curl ", "curl -sS --fail-with-body ", 1)
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return None if done.returncode == 0 else f"{code}\n{done.stdout}\n{done.stderr}"


def javascript(programs: dict[str, str]) -> dict[str, str | None]:
    """One process imports all, one after the other. Packages are looked for beside the programs."""
    with tempfile.TemporaryDirectory(dir=JAVASCRIPT) as folder:
        for name, code in programs.items():
            (Path(folder) / f"{name}.mjs").write_text(code)
        (Path(folder) / "names.json").write_text(json.dumps(list(programs)))
        (Path(folder) / "runner.mjs").write_text(RUNNER)
        done = subprocess.run(
            ["node", f"{folder}/runner.mjs", f"{folder}/names.json", folder],
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    told: dict[str, str | None] = json.loads(done.stderr.rpartition("\n")[2])
    assert set(told) == set(programs)
    return told
