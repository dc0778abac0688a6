"""Documents: pages a second against markitdown, whole ingestion, and the memory of a large upload.

    python -m bench.documents [--pages 50] [--rounds 5] [--megabytes 500] [--home FOLDER] [--write]

Reading: the text of a PDF and of a docx file, by ``Documents`` with a child process for each (its start is counted),
and by markitdown, called again and again in one process that is warm (its start is not counted). It is installed with
pip in an environment of its own, in ``--home``, when it is not there.

Ingestion: the PDF from its addition to a vector store until the store's file is completed: read, cut into chunks,
embedded by the default model, stored.

Upload: a file of random bytes through ``POST /v1/files``; the memory of the server's processes before and at its
highest, looked at every 20 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import docx
from fpdf import FPDF
from openai import OpenAI

from bench.haystack import WORDS
from bench.processes import free_port, spawn, stop, usage
from bench.report import table, write_section
from inhouse.documents import Documents

THEIRS = """
import sys, time
from markitdown import MarkItDown
converter = MarkItDown()
for path in sys.argv[2:]:
    converter.convert(path)
    took = []
    for _ in range(int(sys.argv[1])):
        start = time.perf_counter()
        text = converter.convert(path).text_content
        took.append(time.perf_counter() - start)
    print(sorted(took)[len(took) // 2], len(text))
"""


def page(number: int) -> str:
    return " ".join(WORDS[(number * 7 + at * 13) % len(WORDS)] for at in range(450)) + f" page {number}."


def make(folder: Path, pages: int) -> list[Path]:
    pdf = FPDF()
    pdf.set_font("helvetica", size=11)
    written = docx.Document()
    for number in range(pages):
        pdf.add_page()
        pdf.multi_cell(0, text=page(number))
        written.add_paragraph(page(number))
    paths = [folder / "pages.pdf", folder / "pages.docx"]
    pdf.output(str(paths[0]))
    written.save(str(paths[1]))
    return paths


async def ours(paths: list[Path], rounds: int) -> list[float]:
    documents = Documents()
    found = []
    for path in paths:
        took = []
        for _ in range(rounds):
            start = time.perf_counter()
            await documents.read(path, path.name)
            took.append(time.perf_counter() - start)
        found.append(statistics.median(took))
    return found


def theirs(paths: list[Path], rounds: int, home: Path) -> list[float] | None:
    """None where it cannot be installed."""
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    if subprocess.run([str(python), "-c", "import markitdown"], check=False, capture_output=True).returncode:
        install = [str(python), "-m", "pip", "install", "--quiet", "--prefer-binary", "markitdown[pdf,docx]"]
        if subprocess.run(install, check=False).returncode:
            return None
    command = [str(python), "-c", THEIRS, str(rounds), *map(str, paths)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(line.split()[0]) for line in told.splitlines()]


class Peak(threading.Thread):
    """The most memory of a process and its children, MB."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.most = 0.0
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.02):
            self.most = max(self.most, usage(self.pid).pss_mb)


def serve(folder: Path, pdf: Path, pages: int, megabytes: int) -> tuple[float, float, float]:
    """Seconds of an ingestion; memory before and at most, MB."""
    port, key = free_port(), "sk-proj-" + secrets.token_hex(24)
    env = {"INHOUSE_API_KEY": key, "INHOUSE_ADMIN_KEY": "sk-admin-" + secrets.token_hex(24)}
    log = folder / "server.log"
    command = [sys.executable, "-m", "inhouse.cli", "serve", "--data-dir", str(folder / "data"), "--port", str(port)]
    process = spawn(command, log, {**env, "INHOUSE_ENGINES__PRELOAD": "text-embedding-3-small"})
    try:
        client = OpenAI(api_key=key, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
        until = time.monotonic() + 120
        while True:
            try:
                client.embeddings.create(model="text-embedding-3-small", input="warm")
                break
            except Exception:
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError(log.read_text()[-2000:]) from None
                time.sleep(0.5)
        store = client.vector_stores.create()
        with pdf.open("rb") as stream:
            file = client.files.create(file=stream, purpose="assistants")
        start = time.perf_counter()
        client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id, poll_interval_ms=50)
        took = time.perf_counter() - start
        big = folder / "big.bin"
        with big.open("wb") as out:
            for _ in range(megabytes):
                out.write(os.urandom(1 << 20))
        before = usage(process.pid).pss_mb
        peak = Peak(process.pid)
        peak.start()
        # curl sends from the disk; the SDK would hold the file in this process, beside the server's work.
        form = ["-F", "purpose=user_data", "-F", f"file=@{big}"]
        sent = ["curl", "-sSf", "-o", str(folder / "answer"), "-H", f"Authorization: Bearer {key}", *form]
        subprocess.run([*sent, f"http://127.0.0.1:{port}/v1/files"], check=True)
        peak.ended.set()
        peak.join()
        return took, before, peak.most
    finally:
        stop(process)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=500)
    parser.add_argument("--home", type=Path, help="where markitdown is, or is to be installed")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make(folder, given.pages)
        mine = asyncio.run(ours(paths, given.rounds))
        print("here", mine, flush=True)
        peers = theirs(paths, given.rounds, given.home or folder / "markitdown")
        print("markitdown", peers, flush=True)
        took, before, most = serve(folder, paths[0], given.pages, given.megabytes)
    rows = []
    for at, path in enumerate(paths):
        other = [f"{given.pages / peers[at]:,.1f}", f"{peers[at] / mine[at]:.1f}"] if peers else ["not installed", ""]
        rows.append([f"{path.suffix[1:]}, {given.pages} pages", f"{given.pages / mine[at]:,.1f}", *other])
    text = table(["read", "pages/s here", "markitdown", "times as fast"], rows)
    text += f"\n\nThe PDF into a vector store, with embedding: {given.pages / took:.1f} pages/s."
    text += (
        f"\n\nAn upload of {given.megabytes} MB: the server took {before:.0f} MB before it and {most:.0f} MB at most, "
    )
    text += f"{most - before:.0f} MB more.\n\nLoad of the machine at the end: {os.getloadavg()[0]:.1f}."
    print(text)
    if given.write:
        write_section("documents", text)


if __name__ == "__main__":
    main()
