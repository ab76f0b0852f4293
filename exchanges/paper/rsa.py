"""Signatures of RSA keys: RSASSA-PKCS1-v1_5 with SHA-256, checked with the public key.

The venue takes such keys beside its own (system-generated, HMAC) ones. A check needs no secret: raise the signature to
the public exponent, and compare all of what comes out with what must (RFC 8017, 8.2.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final, NamedTuple

SEQUENCE, INTEGER, BIT_STRING = 0x30, 0x02, 0x03  # tags of ASN.1
SHA256_PREFIX: Final = bytes.fromhex("3031300d060960864801650304020105000420")
MIN_PADDING_BYTES: Final = 11


class PublicKey(NamedTuple):
    """An RSA public key."""

    modulus: int
    exponent: int


def public_key(pem: str) -> PublicKey:
    """The key of a PEM text, "BEGIN PUBLIC KEY" or "BEGIN RSA PUBLIC KEY". Raises `ValueError` if it is none."""
    lines = [line.strip() for line in pem.strip().splitlines()]
    if len(lines) < 3 or "PUBLIC KEY" not in lines[0]:
        raise ValueError("NOT_A_PUBLIC_KEY: a PEM text with BEGIN PUBLIC KEY is needed")
    try:
        outer = _content(base64.b64decode("".join(lines[1:-1]), validate=True), SEQUENCE)[0]
        if outer[0] == SEQUENCE:  # the algorithm stands before the key
            _, rest = _content(outer, SEQUENCE)
            wrapped, _ = _content(rest, BIT_STRING)
            outer = _content(wrapped[1:], SEQUENCE)[0]
        modulus, rest = _content(outer, INTEGER)
        exponent, _ = _content(rest, INTEGER)
    except (IndexError, binascii.Error) as error:
        raise ValueError("NOT_A_PUBLIC_KEY: the text between the lines is not a key") from error
    return PublicKey(int.from_bytes(modulus, "big"), int.from_bytes(exponent, "big"))


def _content(encoded: bytes, tag: int) -> tuple[bytes, bytes]:
    """What the first element holds, and what stands after it."""
    if encoded[0] != tag:
        raise ValueError(f"NOT_A_PUBLIC_KEY: tag {encoded[0]:#x} instead of {tag:#x}")
    length, start = encoded[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(encoded[2:start], "big")
    return encoded[start : start + length], encoded[start + length :]


def is_signed(key: PublicKey, message: bytes, signature: str) -> bool:
    """True if `signature` (base64) is that of `message` by the owner of `key`."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    size = (key.modulus.bit_length() + 7) // 8
    number = int.from_bytes(given, "big")
    if len(given) != size or number >= key.modulus:
        return False
    digest = SHA256_PREFIX + hashlib.sha256(message).digest()
    padding = size - len(digest) - 3
    if padding < MIN_PADDING_BYTES - 3:
        return False
    wanted = b"\x00\x01" + b"\xff" * padding + b"\x00" + digest
    return pow(number, key.exponent, key.modulus).to_bytes(size, "big") == wanted
