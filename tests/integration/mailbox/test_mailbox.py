"""The mailbox as its senders and readers meet it: real SMTP in, HTTP out, files that survive."""

import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from litestar.testing import TestClient

from boxoffice.simulators.mailbox import Mailbox
from boxoffice.simulators.mailbox.folder import MailFolder
from boxoffice.simulators.mailbox.sink import MAX_MAIL_BYTES

PIXEL = b"\x89PNG\r\n\x1a\n-not-really"


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    mailbox = Mailbox(folder=tmp_path / "mails")
    mailbox.start()
    try:
        yield mailbox
    finally:
        mailbox.stop()


@pytest.fixture
def pages(mailbox: Mailbox) -> Iterator[TestClient]:
    with TestClient(mailbox.app) as client:
        yield client


def letter(subject: str = "Your tickets", to: str = "buyer@example.org") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Boxoffice <tickets@example.org>", to, subject
    message["Message-ID"] = "<one@example.org>"
    message.set_content("Bring this, Zoë.")
    message.add_alternative('<p>Bring <b>this</b>.</p><img src="cid:qr-1"><script>alert(1)</script>', subtype="html")
    message.get_payload()[1].add_related(PIXEL, "image", "png", cid="<qr-1>")  # type: ignore[union-attr, index]
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="tickets ü.pdf")
    return message


def send(mailbox: Mailbox, *letters: EmailMessage) -> None:
    with smtplib.SMTP("127.0.0.1", mailbox.smtp_port, timeout=10) as smtp:
        for one in letters:
            smtp.send_message(one)


class TestTakingMail:
    def test_keeps_what_was_sent(self, mailbox: Mailbox, pages: TestClient):
        send(mailbox, letter("Dvořák 香港"))
        listed = pages.get("/mailbox/api/messages").json()
        assert listed["total"] == 1
        assert listed["mails"][0]["subject"] == "Dvořák 香港"
        assert listed["mails"][0]["to"] == ["buyer@example.org"]
        read = pages.get(f"/mailbox/api/messages/{listed['mails'][0]['mailId']}").json()
        assert read["text"].strip() == "Bring this, Zoë."
        assert "<b>this</b>" in read["html"]
        assert ["Message-ID", "<one@example.org>"] in read["headers"]
        assert [part["contentType"] for part in read["parts"]] == [
            "text/plain", "text/html", "image/png", "application/pdf",
        ]  # fmt: skip

    def test_has_a_file_before_it_answers_250(self, mailbox: Mailbox):
        with smtplib.SMTP("127.0.0.1", mailbox.smtp_port, timeout=10) as smtp:
            smtp.ehlo()
            smtp.mail("a@example.org")
            smtp.rcpt("b@example.org")
            code, said = smtp.data(b"Subject: x\r\n\r\nbody\r\n")
        assert code == 250
        assert (mailbox.folder.path / f"{said.decode().split()[-1]}.eml").read_bytes().endswith(b"body\r\n")

    def test_survives_a_restart(self, tmp_path: Path):
        first = Mailbox(folder=tmp_path)
        first.start()
        send(first, letter())
        first.stop()
        second = Mailbox(folder=tmp_path)
        second.start()
        second.stop()
        assert [entry.headers.first("Subject") for entry in second.folder.newest()] == ["Your tickets"]

    def test_refuses_a_mail_over_the_limit(self, mailbox: Mailbox):
        with (
            smtplib.SMTP("127.0.0.1", mailbox.smtp_port, timeout=30) as smtp,
            pytest.raises(smtplib.SMTPResponseException) as refused,
        ):
            smtp.sendmail("a@example.org", ["b@example.org"], b"x" * 70 + b"\r\n" + b"y" * MAX_MAIL_BYTES)
        assert refused.value.smtp_code == 552
        assert not list(mailbox.folder.newest())

    def test_says_try_again_when_it_cannot_keep_a_mail(self, mailbox: Mailbox):
        mailbox.folder.path.rmdir()
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(mailbox, letter())
        assert refused.value.smtp_code == 452

    def test_says_when_its_port_is_in_use(self, tmp_path: Path):
        with socket.create_server(("127.0.0.1", 0)) as other:
            mailbox = Mailbox(folder=tmp_path, smtp_port=other.getsockname()[1])
            with pytest.raises(OSError, match=r"in use"):
                mailbox.start()

    def test_stops_twice(self, mailbox: Mailbox):
        mailbox.stop()
        mailbox.stop()
        with pytest.raises(ConnectionRefusedError):
            send(mailbox, letter())


class TestFolder:
    def test_forgets_the_oldest(self, tmp_path: Path):
        folder = MailFolder(tmp_path, kept=3)
        folder.open()
        ids = [
            folder.save(b"Subject: %d\r\n\r\n" % number, sender="a@b.c", recipients=["d@e.f"]) for number in range(5)
        ]
        assert [entry.mail_id for entry in folder.newest()] == ids[:1:-1]
        assert {path.stem for path in tmp_path.iterdir()} == set(ids[2:])

    def test_ignores_what_is_not_a_mail_and_clears_half_written_ones(self, tmp_path: Path):
        (tmp_path / "notes.eml").write_text("x")
        (tmp_path / ".00000000000000000001-00000000.part").write_text("x")
        folder = MailFolder(tmp_path)
        folder.open()
        assert not list(folder.newest())
        assert [path.name for path in tmp_path.iterdir()] == ["notes.eml"]


class TestPages:
    def test_shows_the_newest_first_and_those_of_one_address(self, mailbox: Mailbox, pages: TestClient):
        send(mailbox, letter("first"), letter("second", to="other@example.org"), letter("third"))
        page = pages.get("/mailbox").text
        assert page.index("third") < page.index("second") < page.index("first")
        assert "second" not in pages.get("/mailbox", params={"to": "BUYER@example.org"}).text
        assert pages.get("/mailbox/api/messages", params={"to": "other@example.org"}).json()["total"] == 1

    def test_shows_a_mail_in_a_sandbox_without_scripts(self, mailbox: Mailbox, pages: TestClient):
        send(mailbox, letter())
        mail_id = pages.get("/mailbox/api/messages").json()["mails"][0]["mailId"]
        page = pages.get(f"/mailbox/messages/{mail_id}")
        assert 'sandbox="allow-popups' in page.text
        assert "tickets ü.pdf" in page.text
        assert "script" not in page.headers["content-security-policy"]
        frame = pages.get(f"/mailbox/messages/{mail_id}/html")
        assert f'src="/mailbox/messages/{mail_id}/parts/2"' in frame.text
        assert "sandbox" in frame.headers["content-security-policy"]
        assert "default-src 'none'" in frame.headers["content-security-policy"]

    def test_gives_images_in_place_and_the_rest_as_downloads(self, mailbox: Mailbox, pages: TestClient):
        send(mailbox, letter())
        mail_id = pages.get("/mailbox/api/messages").json()["mails"][0]["mailId"]
        image, html, pdf = (pages.get(f"/mailbox/messages/{mail_id}/parts/{number}") for number in (2, 1, 3))
        assert (image.content, image.headers["content-type"]) == (PIXEL, "image/png")
        assert html.headers["content-disposition"].startswith("attachment")
        assert pdf.content == b"%PDF-1.7"
        assert "tickets%20%C3%BC.pdf" in pdf.headers["content-disposition"]
        assert b"Subject: Your tickets" in pages.get(f"/mailbox/messages/{mail_id}/raw").content

    def test_escapes_what_a_mail_says_of_itself(self, mailbox: Mailbox, pages: TestClient):
        send(mailbox, letter("<img src=x onerror=alert(1)> {{7*7}}"))
        page = pages.get("/mailbox").text
        assert "&lt;img src=x" in page
        assert "{{7*7}}" in page
        assert "<img" not in page

    @pytest.mark.parametrize("path", ["nope", "../secret", "00000000000000000000-00000000", "%2e%2e%2fetc"])
    def test_answers_404_for_what_is_not_there(self, pages: TestClient, path: str):
        assert pages.get(f"/mailbox/api/messages/{path}").status_code == 404
        assert pages.get(f"/mailbox/messages/{path}").status_code == 404

    def test_answers_404_for_a_part_that_is_not_there(self, mailbox: Mailbox, pages: TestClient):
        send(mailbox, letter())
        mail_id = pages.get("/mailbox/api/messages").json()["mails"][0]["mailId"]
        assert pages.get(f"/mailbox/messages/{mail_id}/parts/9").status_code == 404

    def test_deletes_everything_but_not_for_another_site(self, mailbox: Mailbox, pages: TestClient):
        send(mailbox, letter())
        assert pages.post("/mailbox/delete", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert pages.get("/mailbox/api/messages").json()["total"] == 1
        assert pages.post("/mailbox/delete", follow_redirects=False).status_code == 303
        assert pages.get("/mailbox/api/messages").json()["total"] == 0
        assert not list(mailbox.folder.path.iterdir())

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\r\n\r\n",
            b"Subject: =?utf-9?q?=ff?=\r\nContent-Type: text/plain; charset=nope\r\n\r\n\xff\xfe",
            b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n!!\r\n--b--",
            b"Content-Disposition: attachment; filename*=nope''%ff\r\n\r\nx",
            b"Subject: " + b"x" * 500_000,
            b"\x00\xff" * 1000,
        ],
        ids=range(8),
    )
    def test_reads_whatever_was_sent(self, mailbox: Mailbox, pages: TestClient, raw: bytes):
        mail_id = mailbox.folder.save(raw, sender="a@b.c\r\nX: y", recipients=["d@e.f"])
        assert pages.get("/mailbox").status_code == 200
        assert pages.get(f"/mailbox/api/messages/{mail_id}").json()["mail"]["to"] == ["d@e.f"]
        assert pages.get(f"/mailbox/messages/{mail_id}").status_code == 200
