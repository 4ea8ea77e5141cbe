"""The cryptography that identity uses, each behind one small class: password hashes, signing keys, secrets."""
