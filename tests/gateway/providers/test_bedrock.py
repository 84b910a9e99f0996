"""Bedrock: the server checks each signature with botocore's own arithmetic."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pilothouse.core.clock import FixedClock
from pilothouse.core.errors import ConnectionFault, ModelError
from pilothouse.gateway.providers.interface import Outgoing, Provider
from pilothouse.models.secret import Secret

ACCESS, SECRET, TOKEN = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "session-token/with+signs=="


def signature_of(url: str, headers: dict[str, str], body: bytes, credentials: Credentials) -> str:
    """Return the signature that botocore gives the signed headers of a request."""
    names = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    request = AWSRequest(method="POST", url=url, data=body, headers={name: headers[name] for name in names})
    request.context["timestamp"] = headers["x-amz-date"]
    auth = SigV4Auth(credentials, "bedrock", "eu-west-1")
    canonical = auth.canonical_request(request)
    assert hashlib.sha256(body).hexdigest() in canonical
    return auth.signature(auth.string_to_sign(request, canonical), request)


@pytest.mark.parametrize("token", ["", TOKEN])
@pytest.mark.parametrize(
    "model", ["us.anthropic.claude-sonnet-4-v1:0", "arn:aws:bedrock:eu-west-1:1:inference-profile/x"]
)
def test_a_signed_request_is_believed_by_amazons_own_arithmetic(
    provide: Callable[..., Provider], exchange: Callable[..., Any], model: str, token: str
) -> None:
    body = '{"messages":[{"role":"user","content":[{"text":"Grüße"}]}]}'.encode()
    base = ""

    async def make(address: str) -> Outgoing:
        nonlocal base
        base = address
        given = {"session_token": token} if token else {}
        provider = provide(
            "bedrock", region="eu-west-1", access_key_id=ACCESS, secret_access_key=SECRET, base_url=address, **given
        )
        await provider.prepare()
        return provider.outgoing("bedrock.converse", model, body, stream=True, headers={"x-evil": "1"})

    def answer(sent: Any) -> tuple[int, dict[str, str], bytes]:
        # Signed over the path as it went over the wire.
        right = signature_of(f"{base}{sent.path}", sent.headers, sent.body, Credentials(ACCESS, SECRET, token or None))
        proof = sent.headers["authorization"]
        return (200 if proof.endswith(f"Signature={right}") else 403), {}, b"{}"

    sent, status, _, _ = exchange(make, answer)

    assert status == 200
    assert sent.path.endswith("/converse-stream")
    assert sent.body == body
    assert sent.headers.get("x-amz-security-token", "") == token
    assert "x-evil" not in sent.headers


def test_nothing_secret_shows_in_a_signed_request(provide: Callable[..., Provider]) -> None:
    provider = provide("bedrock", region="r", access_key_id=ACCESS, secret_access_key=SECRET, session_token=TOKEN)
    asyncio.run(provider.prepare())

    outgoing = provider.outgoing("bedrock.converse", "m", b"{}", stream=False, headers={})

    assert SECRET not in repr(outgoing)
    assert TOKEN not in repr(outgoing)
    assert "Signature=" not in repr(outgoing)
    assert all(SECRET not in (v.reveal() if isinstance(v, Secret) else v) for _, v in outgoing.headers)


def test_the_key_of_the_next_day_is_another(provide: Callable[..., Provider], clock: FixedClock) -> None:
    provider = provide(
        "bedrock", region="eu-west-1", access_key_id=ACCESS, secret_access_key=SECRET, base_url="http://h"
    )
    asyncio.run(provider.prepare())
    for _ in range(2):
        outgoing = provider.outgoing("bedrock.converse", "m", b"{}", stream=False, headers={})
        headers = {name: value.reveal() if isinstance(value, Secret) else value for name, value in outgoing.headers}
        right = signature_of(outgoing.url, {**headers, "host": "h"}, b"{}", Credentials(ACCESS, SECRET))
        assert headers["authorization"].endswith(right)
        clock.advance(timedelta(days=1).total_seconds())


def test_keys_of_the_machine_are_found_and_their_absence_is_told(
    provide: Callable[..., Provider], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    provider = provide("bedrock", region="eu-west-1")

    with pytest.raises(ModelError, match="holds keys"):
        asyncio.run(provider.prepare())

    (tmp_path / "credentials").write_text(f"[other]\naws_access_key_id={ACCESS}\naws_secret_access_key={SECRET}\n")
    named = provide("bedrock", region="eu-west-1", profile="other")
    asyncio.run(named.prepare())
    assert ACCESS in next(
        value.reveal()
        for name, value in named.outgoing("bedrock.converse", "m", b"", stream=False, headers={}).headers
        if name == "authorization" and isinstance(value, Secret)
    )


def test_a_request_before_the_keys_were_found_is_an_error_and_not_a_crash(provide: Callable[..., Provider]) -> None:
    provider = provide("bedrock", region="r", access_key_id=ACCESS, secret_access_key=SECRET)

    with pytest.raises(ModelError, match="no credential"):
        provider.outgoing("bedrock.converse", "m", b"", stream=False, headers={})


def test_half_a_pair_of_keys_is_refused(provide: Callable[..., Provider]) -> None:
    with pytest.raises(ConnectionFault, match="half a pair"):
        provide("bedrock", region="r", access_key_id=ACCESS)


def test_an_embedding_is_invoked(provide: Callable[..., Provider]) -> None:
    provider = provide("bedrock", region="r", api_key="bedrock-key")

    outgoing = provider.outgoing("bedrock.embed", "amazon.titan-embed-text-v2:0", b"{}", stream=False, headers={})

    assert outgoing.url.endswith("/model/amazon.titan-embed-text-v2%3A0/invoke")
