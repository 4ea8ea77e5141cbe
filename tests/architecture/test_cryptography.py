"""Cryptography comes from libraries, in the few modules that are listed here, and by the algorithms that are named."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "src" / "boxoffice"

WHO_MAY = {
    "argon2": {"services/identity/providers/hashing.py"},
    "cryptography": {
        "runtime/barcodes.py", "services/identity/providers/secrets.py", "services/identity/providers/signing.py",
        "services/sales/providers/paypal_webhooks.py", "services/storefront/providers/sealing.py",
        "simulators/paypal/certificates.py",
    },
    "hmac": {"services/storefront/api/visit.py"},
    "joserfc": {"runtime/authn.py", "services/identity/providers/signing.py"},
}  # fmt: skip
"""Everybody else asks one of these."""
HASHES_ONLY = {
    "runtime/engines/fetching.py", "runtime/engines/mongodb.py", "runtime/idempotency.py", "runtime/barcodes.py",
    "services/catalog/api/parts.py", "services/catalog/usecases/add_seat_map.py",
    "services/catalog/usecases/write_concerts.py", "services/gateway/api/pages.py",
    "services/identity/providers/secrets.py", "services/identity/usecases/log_in.py",
    "services/sales/domain/access_code.py", "services/sales/store/audit.py", "services/sales/usecases/read_tickets.py",
    "services/search/api.py", "services/search/providers/kept_answers.py", "services/storefront/api/files.py",
    "services/storefront/api/rendering.py", "services/storefront/usecases/log_in.py", "simulators/paypal/api.py",
}  # fmt: skip
"""Fingerprints of requests, pages and files, and of secrets that are too random to be guessed."""
OTHERS = {
    "Crypto", "Cryptodome", "OpenSSL", "authlib", "bcrypt", "blake3", "crypt", "ecdsa", "jose", "jwcrypto", "jwt", "nacl",
    "passlib", "pyaes", "rsa", "scrypt", "xxhash",
}  # fmt: skip
CIPHERS = {"AESGCM"}
IN_HASHLIB, IN_HASHES = {"sha256", "blake2b"}, {"SHA256"}
SIGNATURES = {"ed25519", "padding", "rsa"}
"""Ed25519 is ours; RSA with PKCS #1 v1.5 and SHA-256 is what the payment provider signs its calls with."""
MIXES_BYTES = {
    "runtime/base32.py": "spells bytes as letters, as RFC 4648 has it",
    "services/storefront/api/visit.py": "masks what a form carries, so that a compressed page does not tell it",
}
SECRET = re.compile(r"token|secret|csrf|digest|signature|password|session|passphrase|hmac", re.IGNORECASE)
COMPARED_PLAINLY = {
    "cli/beside.py: session != process.pid": "a number of the operating system's, no secret",
    "services/identity/domain/login.py: token.key == token.rotated_by_key": "the key of a repeated call, of a token found",
    "runtime/engines/fetching.py: summed.hexdigest() != digest": "the published hash of a published file",
    "services/identity/usecases/ensure_demo_accounts.py: known.password_hash == CLOSED": "a hash that is in the code",
    "services/identity/usecases/close_demo_accounts.py: now.password_hash != known": "two hashes that we read ourselves",
}


@cache
def trees() -> list[tuple[str, ast.Module]]:
    return [(str(path.relative_to(SOURCES)), ast.parse(path.read_text())) for path in sorted(SOURCES.rglob("*.py"))]


@cache
def imports() -> dict[str, set[str]]:
    return {path: imported(tree) for path, tree in trees()}


def imported(tree: ast.Module) -> set[str]:
    """Whole names: ``from a.b import c`` is a.b.c."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def who_imports(library: str) -> set[str]:
    return {path for path, names in imports().items() if any(name.split(".")[0] == library for name in names)}


def taken_from(tree: ast.Module, module: str) -> set[str]:
    """What a file uses of a module, imported by name or reached through it."""
    last = module.rpartition(".")[2]
    by_name = {name.removeprefix(f"{module}.") for name in imported(tree) if name.startswith(f"{module}.")}
    through = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == last
    }
    reached = module in imported(tree)
    return {name.rpartition(".")[2] for name in by_name} | (through if reached else set())


def mixes(tree: ast.Module) -> bool:
    """Whether a file mixes the bytes of two texts, which ciphers and checks of one's own begin with."""
    return any(
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.BitXor)
        and isinstance(node.left, ast.Name)
        and isinstance(node.right, ast.Name)
        for node in ast.walk(tree)
    )


def plain_comparisons(tree: ast.Module) -> list[str]:
    """Comparisons of secrets by ``==``, which take the longer the more letters fit."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and any(isinstance(how, ast.Eq | ast.NotEq) for how in node.ops)
        and not any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators))
        and any(SECRET.search(word) for side in (node.left, *node.comparators) for word in words(side))
    ]


def words(side: ast.expr) -> Iterator[str]:
    for node in ast.walk(side):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


class TestLibraries:
    def test_are_used_by_those_who_are_listed(self) -> None:
        assert {library: who_imports(library) for library in WHO_MAY} == WHO_MAY
        assert who_imports("hashlib") == HASHES_ONLY

    def test_are_no_others(self) -> None:
        assert not {library: found for library in OTHERS if (found := who_imports(library))}

    def test_leave_nothing_to_mix_by_ourselves(self) -> None:
        assert {path for path, tree in trees() if mixes(tree)} == set(MIXES_BYTES)


class TestAlgorithms:
    def test_of_encryption_are_one(self) -> None:
        ciphers = "cryptography.hazmat.primitives.ciphers"
        names = {name for found in imports().values() for name in found if name.startswith(ciphers)}
        assert names == {f"{ciphers}.aead.{name}" for name in CIPHERS}

    def test_of_hashing_are_approved(self) -> None:
        for path, tree in trees():
            if path not in HASHES_ONLY | WHO_MAY["cryptography"]:
                continue  # imports neither: see above
            assert taken_from(tree, "hashlib") <= IN_HASHLIB, path
            assert taken_from(tree, "cryptography.hazmat.primitives.hashes") <= IN_HASHES, path

    def test_of_signing_are_named(self) -> None:
        asymmetric = "cryptography.hazmat.primitives.asymmetric."
        names = {name for found in imports().values() for name in found if name.startswith(asymmetric)}
        assert {name.removeprefix(asymmetric).split(".")[0] for name in names} == SIGNATURES

    def test_others_would_be_seen(self) -> None:
        assert taken_from(ast.parse("import hashlib\nhashlib.md5(b'')"), "hashlib") == {"md5"}
        assert taken_from(ast.parse("from hashlib import sha1"), "hashlib") == {"sha1"}
        assert mixes(ast.parse("bytes(a ^ b for a, b in zip(x, y))"))


class TestComparisons:
    def test_of_secrets_take_the_same_time_whatever_they_find(self) -> None:
        found = {f"{path}: {text}" for path, tree in trees() for text in plain_comparisons(tree)}
        assert found == set(COMPARED_PLAINLY)

    def test_others_would_be_seen(self) -> None:
        assert plain_comparisons(ast.parse("mark == self.session.mark.encode()")) == [
            "mark == self.session.mark.encode()"
        ]
