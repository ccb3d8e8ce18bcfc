"""Ed25519 signatures of mutable items (BEP 44). Pure; needs the ``cryptography`` package (the extra ``crypto``)."""

from __future__ import annotations

from ..errors import DhtError

SEED_SIZE = 32
PUBLIC_KEY_SIZE = 32
SIGNATURE_SIZE = 64


def available() -> bool:
    """Whether signatures can be made and checked here."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        return False
    return True


def verify(public_key: bytes, signature: bytes, data: bytes) -> bool:
    """Whether the signature of these bytes is by the owner of that key.

    Raises:
        DhtError: ``cryptography`` is not installed.
    """
    if len(public_key) != PUBLIC_KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        raise missing() from None
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except InvalidSignature:
        return False
    return True


class SigningKey:
    """The private half of a key pair.

    Args:
        seed: 32 secret bytes from which both halves are made.

    Attributes:
        public: the 32 bytes by which others know it.

    Raises:
        DhtError: ``cryptography`` is not installed.
        ValueError: not 32 bytes.
    """

    __slots__ = ("_key", "public")

    def __init__(self, seed: bytes) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        except ImportError:
            raise missing() from None
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public: bytes = self._key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"<SigningKey of {self.public.hex()}>"

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes that prove that the owner of this key has said these bytes."""
        return self._key.sign(data)


def missing() -> DhtError:
    """The error that says so."""
    return DhtError("mutable items need the cryptography package", hint="pip install 'torrentlite[crypto]'")
