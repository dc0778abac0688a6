"""LangChain's own standard integration tests for chat models, over Chat Completions and over Responses.

Run by pytest in a process of its own, with the packages of requirements/ecosystem.txt on its path.
"""

from __future__ import annotations

from typing import Any

from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests


class Standard(ChatModelIntegrationTests):
    """Everything but what reads pictures, sound and documents: those are fetched from the internet, and the embedded
    models cannot see."""

    responses = False

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": "gpt-4.1",
            "temperature": 0,
            "max_tokens": 256,
            "max_retries": 0,
            "timeout": 100,
            "stream_usage": True,
            "use_responses_api": self.responses,
        }

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return False

    @property
    def supports_anthropic_inputs(self) -> bool:
        return False  # its histories hold pictures

    @property
    def model_override_value(self) -> str:
        return "gpt-4.1-mini"


class TestChatCompletions(Standard):
    pass


class TestResponses(Standard):
    responses = True
