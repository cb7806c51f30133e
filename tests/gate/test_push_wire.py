"""What git says to a hub, and what a push may ask for."""

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeout.base.errors import NotAllowed, UsageError
from tapeout.gate.receive.pktline import BadPacketError, packet, read_section, section
from tapeout.gate.receive.request import (
    Command,
    draft_text,
    parse_command,
    parse_options,
    refusal,
    trailer_issue,
    wanted,
)


class TestParsers:
    @given(st.lists(st.binary(max_size=100)))
    def test_packets_come_back(self, payloads: list[bytes]) -> None:
        stream = io.BytesIO(section([payload + b"\n" for payload in payloads]) + b"rest")
        assert read_section(stream) == payloads
        assert stream.read() == b"rest"

    @given(st.binary(max_size=200))
    def test_any_stream_ends_in_packets_or_one_error(self, data: bytes) -> None:
        with contextlib.suppress(BadPacketError):
            read_section(io.BytesIO(data))

    def test_a_packet_has_an_end(self) -> None:
        assert packet(b"") == b"0004"
        with pytest.raises(ValueError):
            packet(b"x" * 65_517)

    @given(st.binary())
    def test_any_line_is_a_command_or_an_error(self, line: bytes) -> None:
        with contextlib.suppress(UsageError):
            command = parse_command(line)
            assert len(command.new) in (40, 64)

    @given(ref=st.text(min_size=1), new=st.sampled_from(["0" * 40, "a" * 40]))
    def test_nothing_but_refs_for_the_branch_is_taken(self, ref: str, new: str) -> None:
        taken = refusal(Command("0" * 40, new, ref), "main") == ""
        assert taken == (ref == "refs/for/main" and new == "a" * 40)
        if not taken:
            with pytest.raises(NotAllowed) as raised:
                wanted([Command("0" * 40, new, ref)], "main")
            assert raised.value.message.isprintable()

    def test_one_push_one_change(self) -> None:
        command = Command("0" * 40, "a" * 40, "refs/for/main")
        assert wanted([command], "main") == command
        for several in ([], [command, command]):
            with pytest.raises(NotAllowed):
                wanted(several, "main")

    @given(st.lists(st.text() | st.builds("{}={}".format, st.sampled_from(["issue", "title", "x"]), st.text())))
    def test_any_options_are_options_or_one_line(self, options: list[str]) -> None:
        halves = [option.partition("=") for option in options]
        good = [name in ("issue", "title") and bool(value.strip()) for name, _, value in halves]
        if good in ([], [True]):
            assert any(parse_options(options)) == any(good)
        else:
            with pytest.raises(UsageError) as raised:
                parse_options(options)
            assert raised.value.message.isprintable()

    @given(message=st.text(), issue=st.from_regex(r"[a-z0-9]{10}", fullmatch=True))
    def test_a_trailer_is_found_in_the_last_paragraph_only(self, message: str, issue: str) -> None:
        with contextlib.suppress(UsageError):
            trailer_issue(message)
        subject = "Subject"
        assert trailer_issue(f"{subject}\n\nText.\n\nSigned-off-by: a\ntapeout-issue:  {issue} \n") == issue
        assert trailer_issue(f"{subject}\n\nTapeout-Issue: {issue}\n\nText.\n") is None
        assert trailer_issue(f"Tapeout-Issue: {issue}\n") is None, "a subject is no trailer"

    def test_two_issues_in_one_message(self) -> None:
        with pytest.raises(UsageError, match="several issues"):
            trailer_issue("x\n\nTapeout-Issue: a\nTapeout-Issue: b")

    @given(st.text(), st.none() | st.text(min_size=1))
    def test_any_message_makes_an_issue(self, message: str, title: str | None) -> None:
        named, body = draft_text(message, "a" * 40, title)
        assert 0 < len(named) <= 300
        assert "\0" not in named + body
