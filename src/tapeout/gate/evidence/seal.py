"""A signature on a statement: an HMAC by the key of the hub, over what DSSE signs. Pure.

The envelope differs from DSSE in one thing: its payload stands there as JSON that people can read, and what is signed
is that JSON in one canonical form. `dsse` gives the standard envelope, to which the same signature belongs.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Literal

PAYLOAD_TYPE = "application/vnd.in-toto+json"

SealedBy = Literal["this hub", "another hub", "nobody"]
"""`another hub`: by another key than this hub's, or forged; only the holder of that key could tell."""


def key_id(key: bytes) -> str:
    """A name of the key that does not give it away."""
    return "hmac-sha256:" + hashlib.sha256(b"tapeout evidence key\0" + key).hexdigest()[:16]


def seal(statement: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """The envelope of a statement.

    Raises:
        ValueError: JSON cannot say it.
    """
    signature = base64.b64encode(_sign(_canonical(statement), key)).decode()
    signatures = [{"keyid": key_id(key), "sig": signature}]
    return {"payloadType": PAYLOAD_TYPE, "payload": dict(statement), "signatures": signatures}


def is_envelope(value: object) -> bool:
    """Whether this is an envelope, whoever signed it."""
    return isinstance(value, dict) and value.get("payloadType") == PAYLOAD_TYPE and "payload" in value


def sealed_by(envelope: Mapping[str, Any], key: bytes | None) -> SealedBy:
    """Who signed an envelope."""
    signatures = envelope.get("signatures")
    claimed = [one for one in signatures if isinstance(one, dict)] if isinstance(signatures, list) else []
    if not claimed:
        return "nobody"
    if key is not None and any(_is_ours(envelope, one, key) for one in claimed):
        return "this hub"
    return "another hub"


def dsse(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The envelope as the DSSE specification has it: the payload in base64."""
    payload = base64.b64encode(_canonical(envelope["payload"])).decode()
    return {"payload": payload, "payloadType": PAYLOAD_TYPE, "signatures": envelope.get("signatures", [])}


def _is_ours(envelope: Mapping[str, Any], signature: Mapping[str, Any], key: bytes) -> bool:
    try:
        given = base64.b64decode(str(signature.get("sig")), validate=True)
        return hmac.compare_digest(given, _sign(_canonical(envelope["payload"]), key))
    except (ValueError, RecursionError):
        return False


def _sign(payload: bytes, key: bytes) -> bytes:
    kind = PAYLOAD_TYPE.encode()
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    return hmac.digest(key, encoded, "sha256")


def _canonical(statement: object) -> bytes:
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
