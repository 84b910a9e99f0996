"""What becomes of a model's answer: the outputs of a prompty."""

from __future__ import annotations

import json
from typing import Any, cast

from pilothouse.core.errors import DataError
from pilothouse.flows.nodes.llm import message_dict
from pilothouse.flows.nodes.work import Bare
from pilothouse.flows.types import Flow, Prompty
from pilothouse.models.types import ChatResponse


def expects_json(parameters: dict[str, Any]) -> bool:
    """Return whether the model is asked for a JSON object."""
    form: Any = parameters.get("response_format")
    return isinstance(form, dict) and cast("dict[str, Any]", form).get("type") == "json_object"


class Reader:
    """Makes the outputs of a line from a response.

    Attributes:
        keys: The outputs that an answer in JSON is limited to; empty for all of it.
        gives_text: Whether the answer's text is the output as it is.
    """

    def __init__(self, flow: Flow, prompty: Prompty, parameters: dict[str, Any]) -> None:
        self._is_json = prompty.structured or expects_json(parameters)
        self._response = prompty.response
        self.keys = list(flow.outputs) if self._is_json else []
        self.gives_text = not self._is_json and self._response != "all"

    def outputs(self, response: ChatResponse) -> dict[str, Any]:
        """Return the outputs.

        Raises:
            DataError: when the answer is not the JSON that was asked for.
        """
        message = response.message
        if self._response == "all":
            return _whole(response)
        if message.tool_calls or message.function_call:
            return Bare(output=message_dict(message))
        if not self._is_json:
            return Bare(output=response.text or message.refusal or "")
        try:
            found: Any = json.loads(response.text)
        except (ValueError, RecursionError) as error:
            said = f"the model declined: '{message.refusal[:200]}'" if message.refusal else ""
            raise DataError(
                said or f"the model's answer is not JSON: '{response.text[:80]}'", expected="a JSON object"
            ) from error
        if not isinstance(found, dict):
            raise DataError(f"the model's answer is a {type(found).__name__}", expected="a JSON object")
        values = cast("dict[str, Any]", found)
        for key in self.keys:
            if key not in values:
                raise DataError(f"the model's answer has no '{key}'", expected=f"keys: {', '.join(self.keys)}")
        return {key: values[key] for key in self.keys} if self.keys else values


def _whole(response: ChatResponse) -> dict[str, Any]:
    """Return a response in OpenAI's form, all of it JSON."""
    usage = response.usage
    choices = response.choices or (response.message,)
    return {
        "id": response.id,
        "model": response.model,
        "choices": [
            {
                "index": index,
                "message": {key: value for key, value in message_dict(message).items() if value is not None},
                "finish_reason": response.finish_reason,
            }
            for index, message in enumerate(choices)
        ],
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total_tokens,
        }
        if usage is not None
        else None,
    }
