"""Text that comes back as it was sent: signed with a key, readable by anyone, forgeable by nobody."""

import base64
import hashlib
import hmac


def sign(key: bytes, purpose: str, text: str) -> str:
    """`text` and its signature, safe in addresses and cookies, and worth nothing for another purpose."""
    return f"{_encode(text.encode())}.{_encode(_tag(key, purpose, text))}"


def verify(key: bytes, purpose: str, signed: str) -> str | None:
    """The text that was signed, or None if this is not the work of `sign` with this key and purpose."""
    head, _, tail = signed.partition(".")
    try:
        text, tag = _decode(head).decode(), _decode(tail)
    except ValueError:  # not base64, or not UTF-8
        return None
    genuine = hmac.compare_digest(tag, _tag(key, purpose, text)) and signed == sign(key, purpose, text)
    return text if genuine else None


def code(key: bytes, purpose: str) -> str:
    """A secret to be said aloud or typed, the same each time: 100 bits in four groups of small letters and digits."""
    text = base64.b32encode(hmac.digest(key, f"code {purpose}".encode(), "sha256"))[:20].decode().lower()
    return "-".join(text[start : start + 5] for start in range(0, 20, 5))


def fingerprint(content: str | bytes) -> str:
    """A short name for any text or bytes, 32 hexadecimal digits."""
    data = content.encode() if isinstance(content, str) else content
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _tag(key: bytes, purpose: str, text: str) -> bytes:
    return hmac.digest(key, f"{purpose}\0{text}".encode(), "sha256")[:16]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
