"""What a password may be: 8 to 256 characters, none of the commonest, not the account's own name. Nothing is truncated.

No rules about digits and capitals: they make people write worse passwords (NIST SP 800-63B, section 3.1.1.2).
"""

import re
import unicodedata
from typing import ClassVar

from boxoffice.kernel.errors import Category, DomainError

MIN_CHARACTERS = 8
MAX_CHARACTERS = 256
"""Longer than any passphrase; a bound, because hashing costs by the byte."""
STEPS = ("01234567890", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm", "1q2w3e4r5t6y7u8i9o0p")

COMMON_WORDS = """
password password1 password12 password123 password1234 passw0rd p@ssw0rd p@ssword pass1234 passpass password!
password01 password2 passwort passwort1 motdepasse contraseña 12345678 123456789 1234567890 12341234 12344321 11111111
00000000 88888888 87654321 987654321 0987654321 11223344 12121212 123123123 123321123 147258369 1qaz2wsx 1q2w3e4r
1q2w3e4r5t q1w2e3r4 qwer1234 qwerty12 qwerty123 qwerty1234 qwertyui qwertyuiop qwertyqwerty qwe123qwe asdfghjk
asdfghjkl asdfasdf asdf1234 zxcvbnm1 zxcvbnm123 zaq12wsx zaq1zaq1 1qazxsw2 abcd1234 abcdefgh abcdefghi abc12345
abc123456 abc123abc a1b2c3d4 a1234567 a12345678 aa123456 aaaaaaaa a123456789 iloveyou iloveyou1 iloveyou2 iloveu123
ilovegod trustno1 superman superman1 batman123 spiderman starwars startrek pokemon1 pokemon123 football football1
baseball baseball1 basketball softball volleyball hockey123 liverpool liverpool1 chelsea1 arsenal1 barcelona
realmadrid juventus manchester everton1 rangers1 celtic123 lakers24 yankees1 cowboys1 steelers eagles123 patriots
sunshine sunshine1 princess princess1 butterfly chocolate cookie123 jennifer jessica1 michelle michael1 jordan23
nicholas jonathan alexander alexandra elizabeth christian christopher stephanie samantha victoria veronica danielle
danielle1 anthony1 charlie1 thomas123 william1 matthew1 andrew123 daniel123 computer computer1 internet internet1
samsung1 samsung123 microsoft windows1 google123 facebook facebook1 linkedin youtube1 letmein1 letmein123 welcome1
welcome123 welcome2 changeme changeme1 changeme123 default1 admin123 admin1234 administrator adminadmin root1234
rootroot test1234 testtest test12345 testing1 testing123 guest123 user1234 username secret123 secret12 master123
hunter22 dragon123 monkey123 shadow123 tigger123 killer123 whatever whatever1 blink182 metallica nirvana1 slipknot
greenday eminem123 beatles1 rockstar rockyou1 rainbow1 diamond1 platinum mercedes corvette mustang1 porsche911
ferrari1 yamaha12 kawasaki harley123 lovelove loveyou1 lovely123 babygirl babygirl1 sweetheart sweetie1 angel123
beautiful precious forever1 friends1 family123 blessed1 jesus123 jesuschrist godisgood hello123 hello1234 hellohello
goodluck summer123 summer2024 summer2025 winter123 winter2024 winter2025 spring2024 spring2025 autumn2024 january1
february september1 november december monday123 friday13 asdqwe123 qweasdzxc qweasd123 147852369 159357456 159753456
741852963 789456123 963852741 11112222 12312312 123456aa 123456ab 123456abc 123abc123 1234abcd 12345678a 12345qwert
1234qwer 55555555 66666666 77777777 99999999 22222222 33333333 44444444 10101010 01012011 19841984 19901990 20002000
20202020 ticket123 tickets1 concert1 boxoffice boxoffice1
"""
COMMON = frozenset(COMMON_WORDS.split())
"""Of the passwords that leaks show most often, those long enough to come this far; compared in lower case."""


class WeakPasswordError(DomainError):
    """A password that would be guessed, or cannot be one."""

    code: ClassVar[str] = "identity.password_refused"
    category: ClassVar[Category] = Category.INVALID
    title: ClassVar[str] = "Choose another password"


def normal(password: str) -> str:
    """Give the one form of a password that is hashed: the same keys on two keyboards may send different code points."""
    return unicodedata.normalize("NFC", password)


def check(password: str, *, email: str, name: str = "") -> None:
    """Refuse a password that would be guessed.

    :raises WeakPasswordError: when it is too short, too long, among the commonest, one step repeated, or the account's
        own name or address.
    """
    if len(password) < MIN_CHARACTERS:
        raise _refused(f"Use at least {MIN_CHARACTERS} characters; a few words are better than a few signs.")
    if len(password) > MAX_CHARACTERS:
        raise _refused(f"Use at most {MAX_CHARACTERS} characters.")
    folded = password.casefold()
    plain = re.sub(r"[\W_]+", "", folded)
    if folded in COMMON or plain in COMMON:
        raise _refused("This is one of the passwords that are tried first.")
    if len(set(folded)) <= 2 or _is_run(folded):  # noqa: PLR2004 - "abababab" has two
        raise _refused("This is one sign or one row of keys.")
    if folded in {email.casefold(), email.casefold().split("@")[0], name.casefold()}:
        raise _refused("This is your own name or address.")


def _is_run(folded: str) -> bool:
    return any(folded in row or folded in row[::-1] for row in (step * 2 for step in STEPS))


def _refused(message: str) -> WeakPasswordError:
    return WeakPasswordError(message, errors=[{"field": "password", "message": message}])
