"""Recordings: what goes in comes out, and no recording can drive the terminal of who watches it."""

import io
import itertools
import json
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeout.workspaces import Recorder, attach, read, replay
from tapeout.workspaces.playback import RESTORE, Sanitizer


@pytest.fixture
def cast(tmp_path: Path) -> str:
    return str(tmp_path / "folder" / "a1.cast")


def _text(path: str) -> str:
    return "".join(frame.text for frame in read(path))


@settings(deadline=None)
@given(st.lists(st.binary() | st.text().map(lambda text: text.encode(errors="replace")), max_size=8))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    path = str(tmp_path_factory.mktemp("cast") / "x.cast")
    with Recorder(path) as recorder:
        for chunk in chunks:
            recorder.write(chunk)
    assert _text(path) == b"".join(chunks).decode(errors="replace")


@settings(deadline=None)
@given(text=st.text(min_size=1), cuts=st.lists(st.integers(0, 50), max_size=5))
def test_characters_split_between_chunks(tmp_path_factory: pytest.TempPathFactory, text: str, cuts: list[int]) -> None:
    data = text.encode(errors="replace")
    path = str(tmp_path_factory.mktemp("cast") / "x.cast")
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    with Recorder(path) as recorder:
        for start, end in itertools.pairwise(places):
            recorder.write(data[start:end])
    assert _text(path) == data.decode()


def test_is_asciicast_version_2(cast: str) -> None:
    with Recorder(cast, width=100, height=30) as recorder:
        recorder.write("one\r\n")
        recorder.write(b"two")
    header, *frames = [json.loads(line) for line in Path(cast).read_text().splitlines()]
    assert (header["version"], header["width"], header["height"]) == (2, 100, 30)
    assert header["timestamp"] > 1_700_000_000
    assert [frame[1:] for frame in frames] == [["o", "one\r\n"], ["o", "two"]]
    assert 0 <= frames[0][0] <= frames[1][0]


def test_frames_are_there_at_once(cast: str) -> None:
    recorder = Recorder(cast)
    recorder.write("one")
    assert _text(cast) == "one"
    recorder.close()
    recorder.close()
    recorder.write("after the end")
    assert _text(cast) == "one"


def test_lines_have_no_control_characters(cast: str) -> None:
    with Recorder(cast) as recorder:
        recorder.line("a\x1b]0;title\x07b\tc\r\nd\x9b31m ü")
    assert _text(cast) == "a ]0;title b    c  d 31m ü\r\n"


def test_goes_on_where_a_crash_cut_it_off(cast: str) -> None:
    with Recorder(cast) as recorder:
        recorder.write("one")
    with open(cast, "a", encoding="utf-8") as file:
        file.write('[1000.5, "o", "two"]\n[1001, "o", "cut o')
    with Recorder(cast) as recorder:
        recorder.write("three")
    frames = list(read(cast))
    assert [frame.text for frame in frames] == ["one", "two", "three"]
    assert frames[-1].time >= 1000.5


def test_largest_size(cast: str) -> None:
    with Recorder(cast, max_bytes=2000) as recorder:
        for _ in range(100):
            recorder.write("x" * 100)
    text = _text(cast)
    assert "the recording ends here" in text
    assert text.count("the recording ends here") == 1
    assert 500 < Path(cast).stat().st_size < 2200


def test_several_threads(cast: str) -> None:
    with Recorder(cast) as recorder:

        def record(number: int) -> None:
            for _ in range(200):
                recorder.write(f"<{number}>")

        threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    text = _text(cast)
    assert [text.count(f"<{n}>") for n in range(4)] == [200] * 4


def test_a_line_keeps_its_colours_and_nothing_else(cast: str) -> None:
    with Recorder(cast) as recorder:
        recorder.line("\x1b[36mblue\x1b[0m \x1b]0;title\x07 \x1b[2J")
    assert _text(cast) == "\x1b[36mblue\x1b[0m  ]0;title   [2J\r\n"


@pytest.mark.parametrize("line", ["[]", "1", "null", '[1,"i","typed"]', '["x","o","y"]', '[1,"o",2]', "{", "[" * 9999])
def test_lines_that_are_no_frames_are_left_out(cast: str, line: str) -> None:
    with Recorder(cast) as recorder:
        recorder.write("one")
    with open(cast, "a", encoding="utf-8") as file:
        file.write(line + "\n")
    assert _text(cast) == "one"


class TestReplay:
    def test_keeps_the_pace(self, cast: str, monkeypatch: pytest.MonkeyPatch) -> None:
        Path(cast).parent.mkdir()
        Path(cast).write_text('{"version": 2}\n[1.0,"o","a"]\n[2.0,"o","b"]\n[100.0,"o","c"]\n')
        pauses: list[float] = []
        monkeypatch.setattr("tapeout.workspaces.playback.time.sleep", pauses.append)
        out = io.StringIO()
        replay(cast, out, speed=2.0, idle_limit=3.0)
        assert (out.getvalue(), pauses) == ("abc" + RESTORE, [0.5, 0.5, 3.0])

    def test_missing_recording(self, cast: str) -> None:
        with pytest.raises(FileNotFoundError):
            replay(cast, io.StringIO())


class TestAttach:
    def test_follows_until_the_end(self, cast: str) -> None:
        """The recording appears late, grows while it is watched, and its last frame is shown."""
        recorders: list[Recorder] = []
        looks = 0

        def is_live() -> bool:
            nonlocal looks
            looks += 1
            if looks == 2:
                recorders.append(Recorder(cast))
                recorders[0].write("first ")
            elif looks == 3:
                recorders[0].write("second ")
            elif looks == 4:
                recorders[0].write("last")
                recorders[0].close()
                return False
            return True

        out = io.StringIO()
        attach(cast, out, is_live)
        assert out.getvalue() == "first second last" + RESTORE

    def test_line_that_is_being_written(self, cast: str) -> None:
        with Recorder(cast) as recorder:
            recorder.write("one ")
        looks = 0

        def is_live() -> bool:
            nonlocal looks
            looks += 1
            with open(cast, "a", encoding="utf-8") as file:
                file.write('[9,"o",' if looks == 1 else '"two"]\n' if looks == 2 else "")
            return looks < 3

        out = io.StringIO()
        attach(cast, out, is_live)
        assert out.getvalue() == "one two" + RESTORE

    def test_ended_without_a_recording(self, cast: str) -> None:
        with pytest.raises(FileNotFoundError):
            attach(cast, io.StringIO(), lambda: False)


ESC = "\x1b"
HARMLESS = [
    f"{ESC}[1;31mred{ESC}[0m",
    f"{ESC}[38;5;200mcolour",
    f"{ESC}[2J{ESC}[10;20H",
    f"{ESC}[?1049h{ESC}[?25l",
    f"{ESC}[K\r\n\ttab\x08",
    f"{ESC}(B{ESC}7{ESC}8",
    "plain ünïcödé 漢字",
]
HARMFUL = [
    f"{ESC}]52;c;ZXZpbA==\x07",
    f"{ESC}]0;title{ESC}\\",
    f"{ESC}]8;;http://x\x9c",
    "\x9d0;title\x9c",
    f"{ESC}Pq#0{ESC}\\",
    "\x90x\x9c",
    f"{ESC}_apc{ESC}\\",
    f"{ESC}^pm{ESC}\\",
    f"{ESC}Xsos{ESC}\\",
    f"{ESC}[6n",
    f"{ESC}[c",
    f"{ESC}[>c",
    f"{ESC}[21t",
    "\x9b6n",
    f"{ESC}[?1000h",
    f"{ESC}[?2004h",
    f"{ESC}[5i",
    f"{ESC}[!p",
    f"{ESC}c",
    f"{ESC}#8",
    f"{ESC}%G",
    "\x05\x07\x0e\x7f\x85",
]


class TestSanitizer:
    @pytest.mark.parametrize("text", HARMLESS)
    def test_what_draws_is_kept(self, text: str) -> None:
        assert Sanitizer().feed(text) == text

    @pytest.mark.parametrize("text", HARMFUL)
    def test_what_does_more_is_dropped(self, text: str) -> None:
        assert Sanitizer().feed(f"before{text}after") == "beforeafter"

    @pytest.mark.parametrize("text", [*HARMLESS, *HARMFUL])
    def test_split_anywhere(self, text: str) -> None:
        whole = Sanitizer().feed(f"a{text}b")
        for place in range(len(text) + 2):
            clean = Sanitizer()
            assert clean.feed(f"a{text}b"[:place]) + clean.feed(f"a{text}b"[place:]) == whole

    @given(
        st.lists(st.sampled_from([*HARMLESS, *HARMFUL, ESC, "\x9b", "[", "]", "\\", "1;", "?", "m", "n", "P", "\n"]))
    )
    def test_no_mixture_gets_through(self, parts: list[str]) -> None:
        clean = Sanitizer()
        out = "".join(clean.feed(part) for part in parts)
        drawn = re.sub(r"\x1b(?:\[[0-9;:]*[A-HJKLMPSTX@`adefmr]|\[[su]|\[\?(?:25|1049)[hl]|\([B0]|[78DEM=>])", "", out)
        assert not re.search("[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]", drawn)

    def test_endless_sequences_do_not_swallow_memory(self) -> None:
        clean = Sanitizer()
        for _ in range(100):
            clean.feed(ESC + "[" + "1;" * 1000)
            clean.feed(ESC + "]" + "x" * 1000)
        assert len(clean._pending) < 1000
