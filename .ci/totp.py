"""The code of an authenticator app, by Python's own library."""

import base64
import hashlib
import hmac
import time

STEP_SECONDS = 30


def code_at(secret, step):
    """RFC 6238: six digits, SHA-1. The secret is Base32, with or without padding."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.digest(key, step.to_bytes(8, "big"), hashlib.sha1)
    offset = mac[-1] & 0xF
    return f"{(int.from_bytes(mac[offset : offset + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def code(secret, steps_ahead=0):
    """The code of this step, or of one so many steps ahead."""
    return code_at(secret, int(time.time()) // STEP_SECONDS + steps_ahead)
