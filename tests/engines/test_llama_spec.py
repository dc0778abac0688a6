from __future__ import annotations

import struct
from pathlib import Path

import msgspec
import pytest
import xllamacpp

from inhouse.engines import machine
from inhouse.engines.llama.host import parameters
from inhouse.engines.llama.spec import DecodingDefaults, LlamaSpec, Lora, Rope, plan, trained_window
from inhouse.engines.weights.errors import BadGGUF
from inhouse.engines.weights.gguf import inspect_gguf


def test_what_the_engine_needs_of_a_header(smollm2: Path) -> None:
    model = inspect_gguf(smollm2)
    assert trained_window(model) == 8192
    assert (model.layers, model.kv_heads, model.key_length, model.value_length) == (30, 3, 64, 64)
    assert model.kv_bytes_per_token() == 30 * 3 * 128 * 2
    assert model.template is not None
    assert "<|im_start|>" in model.template
    assert 1 in model.control_tokens


def test_what_is_no_language_model(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    key, value = b"general.architecture", b"clip"
    entry = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + entry)
    with pytest.raises(BadGGUF, match="not a language model"):
        plan(LlamaSpec(path=str(path)))


def test_survives_json(smollm2: Path) -> None:
    spec = LlamaSpec(
        path=str(smollm2), rope=Rope(factor=4.0), lora=[Lora(path="a.gguf")], defaults=DecodingDefaults(temperature=0.3)
    )
    assert msgspec.json.decode(msgspec.json.encode(spec), type=LlamaSpec) == spec


def test_the_machine_decides_and_settings_win(smollm2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: 6)
    monkeypatch.setattr(machine, "available_memory", lambda: 32 << 30)
    large = LlamaSpec.for_machine(smollm2)
    assert (large.threads, large.slots, large.kv_tokens) == (6, 8, 8192)
    assert LlamaSpec.for_machine(smollm2, slots=2, threads=1).slots == 2
    monkeypatch.setattr(machine, "available_memory", lambda: 700 << 20)
    small = LlamaSpec.for_machine(smollm2)
    assert small.slots == 4
    assert small.kv_tokens is not None
    assert 2048 <= small.kv_tokens < 8192


def test_plan(smollm2: Path) -> None:
    settled = plan(LlamaSpec(path=str(smollm2)))
    assert (settled.window, settled.kv_tokens, settled.rope) == (8192, 8192, None)
    assert plan(LlamaSpec(path=str(smollm2), kv_tokens=4096)).window == 4096
    assert plan(LlamaSpec(path=str(smollm2), kv_tokens=32768)).window == 8192


def test_beyond_the_trained_window_yarn_is_chosen(smollm2: Path) -> None:
    settled = plan(LlamaSpec(path=str(smollm2), window=32768))
    assert settled.rope == Rope(scaling="yarn", factor=4.0, trained_window=8192)
    assert settled.window == 32768
    # 128k with room for less: the positions are scaled for all of it.
    settled = plan(LlamaSpec(path=str(smollm2), window=131_072, kv_tokens=8_704))
    asked = parameters(settled, "key")
    assert (settled.window, asked.n_ctx) == (8_704, 8_704)
    assert asked.rope_scaling_type == xllamacpp.llama_rope_scaling_type.LLAMA_ROPE_SCALING_TYPE_YARN
    assert (asked.rope_freq_scale, asked.yarn_orig_ctx) == (1 / 16, 8192)
    whole = parameters(plan(LlamaSpec(path=str(smollm2), window=131_072)), "key")
    assert whole.n_ctx == 131_072


def test_senseless_numbers(smollm2: Path) -> None:
    with pytest.raises(ValueError, match="slots"):
        plan(LlamaSpec(path=str(smollm2), slots=0))


def test_this_machine() -> None:
    assert machine.usable_cores() >= 1
    assert machine.available_memory() > 0


def test_cgroup_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(machine, "_cgroup_folders", lambda: [tmp_path / "a", tmp_path])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cpu.max").write_text("max 100000\n")
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    (tmp_path / "memory.max").write_text("1073741824\n")
    (tmp_path / "memory.current").write_text("73741824\n")
    assert machine.usable_cores() == 1
    assert machine.available_memory() == 1_000_000_000
