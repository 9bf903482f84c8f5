"""Pictures from outside cost a bounded time and a bounded memory, of a child process, and only once."""

from __future__ import annotations

import io
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from media_serving.ingest import content
from nvr.errors import Invalid, NvrError, Unavailable
from nvr.media.files.paths import StorageFault
from nvr.media.images.decoder import pictures, pool
from nvr.media.images.decoder.pool import Pool
from nvr.media.images.derivatives import derivative_of
from nvr.media.images.errors import DamagedImage, DecodingTimedOut, ImageTooLarge, ImageTooSlow, NotAnImage
from tests.hostile import jpeg_with_many_scans

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HARMLESS_S = 8.0  # of CPU, of all that is done with a hostile picture; the machine may be slow


@pytest.fixture
def own_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Children that no other test has."""
    own = Pool()
    monkeypatch.setattr(pictures, "pool", own)
    yield own
    own.stop_all()


def jpeg(size: tuple[int, int] = (320, 240), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.frombytes("RGB", (40, 30), random.Random(5).randbytes(3600)).resize(size).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *before: bytes, rows: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return SIGNATURE + head + b"".join(before) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def wide_tiff() -> bytes:
    """As many tags as there can be, each of which Pillow has a word to say of."""
    tags = b"".join(struct.pack("<HHII", 256 + n % 1000, 3, 2**20, 8) for n in range(20_000))
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 20_000) + tags + bytes(64)


def tiff_of_strips() -> bytes:
    entries = [
        (256, 4, 1, 10_000),
        (257, 4, 1, 10_000),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 2**28, 8),
        (277, 3, 1, 1),
        (278, 4, 1, 1),
        (279, 4, 2**28, 8),
    ]
    tags = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + tags + bytes(4096)


def gif_of_frames(count: int = 100_000) -> bytes:
    buffer = io.BytesIO()
    Image.new("P", (16, 16)).save(buffer, "GIF")
    data = buffer.getvalue()
    frame = data[data.index(b",") : -1]
    return data[:-1] + frame * count + b";"


def animated_webp() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (64, 48), (n, 0, 0)) for n in range(0, 200, 2)]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def deep_exif() -> bytes:
    """A directory of tags that is its own continuation, and holds itself."""
    directory = struct.pack("<HHHII", 1, 0x8769, 4, 1, 8) + struct.pack("<I", 8)
    segment = b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory
    plain = jpeg()
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


def jpeg_with(segment: bytes, marker: bytes = b"\xe1") -> bytes:
    plain = jpeg()
    return plain[:2] + b"\xff" + marker + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


def with_tags(text: bytes) -> bytes:
    """Each of the times that a picture says of itself is this text."""
    tags = Image.Exif()
    tags[0x0132] = text
    tags.get_ifd(0x8769)[0x9003] = text
    tags.get_ifd(0x8825)[29] = text
    buffer = io.BytesIO()
    info = f'<x exif:DateTimeOriginal="{text.decode()}" xmp:CreateDate="{text.decode()[:64]}"/>'
    Image.open(io.BytesIO(jpeg())).save(buffer, "JPEG", exif=tags.tobytes(), xmp=info.encode())
    return buffer.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "progressive jpeg of 200 scans": lambda: jpeg_with_many_scans(200),
    "progressive jpeg of 56 scans": lambda: jpeg_with_many_scans(46),
    "png of one column": lambda: png(1, 100_000_000),
    "png of one row": lambda: png(100_000_000, 1),
    "png with a bomb for a profile": lambda: png(8, 8, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(2**26), 1))),
    "png with bombs for texts": lambda: png(8, 8, *[chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(2**24), 9))] * 99),
    "png of texts": lambda: png(8, 8, chunk(b"tEXt", b"x\0" + b"y" * 1000) * 50_000),
    "png of a bomb": lambda: png(8, 8, rows=bytes(2**26)),
    "tiff of tags": wide_tiff,
    "tiff of strips": tiff_of_strips,
    "gif of frames": gif_of_frames,
    "animated webp": animated_webp,
    "deep exif": deep_exif,
    "exif of long texts": lambda: with_tags(b"2026:11:29 10:06:00" * 1000),
    "xmp of names": lambda: jpeg_with(b"http://ns.adobe.com/xap/1.0/\0" + b"exif:DateTimeOriginal " * 2900),
    "xmp of blanks": lambda: jpeg_with(b"http://ns.adobe.com/xap/1.0/\0exif:DateTimeOriginal" + b" " * 65_000),
    "png of an endless xmp": lambda: png(8, 8, chunk(b"tEXt", b"XML:com.adobe.xmp\0" + b"xmp:CreateDate=" * 500_000)),
    "iptc of pieces": lambda: jpeg_with(
        b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", 60_000) + b"\x1c\x02\x37\0\1x" * 10_000, b"\xed"
    ),
}
TAGS = {"exif": [0x9003, 0x0132], "gps": [29, 7], "xmp": ["exif:DateTimeOriginal", "xmp:CreateDate"]}
TAGS |= {"iptc": [(2, 55)], "png": ["Creation Time"]}


def check_with_tags(file: Path) -> pictures.CheckResult:
    return pictures.check(file, tags=TAGS)


def test_tags_are_returned_as_truncated_text(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(with_tags(b"2026:11:29 10:06:00"))
    assert check_with_tags(file).tags == {
        "exif": {"306": ["2026:11:29 10:06:00"], "36867": ["2026:11:29 10:06:00"]},
        "gps": {"29": ["2026:11:29 10:06:00"]},
        "xmp": {"exif:DateTimeOriginal": ["2026:11:29 10:06:00"], "xmp:CreateDate": ["2026:11:29 10:06:00"]},
        "iptc": {},
        "png": {},
    }
    assert pictures.check(file).tags == {}

    file.write_bytes(with_tags(b"2026:11:29 10:06:00" * 1000))
    texts = [text for kind in check_with_tags(file).tags.values() for values in kind.values() for text in values]
    assert len(texts) == 4 and max(map(len, texts)) == 256


@pytest.mark.parametrize("name", HOSTILE)
def test_a_malicious_picture_takes_limited_time_and_breaks_nothing(tmp_path, own_pool, monkeypatch, name):
    file = tmp_path / "a.bin"
    file.write_bytes(HOSTILE[name]())
    used = cpu_of_children()

    for work in (pictures.read_header, check_with_tags, lambda file: pictures.write_resized(file, 160, tmp_path / "b")):
        try:
            work(file)
        except (Invalid, DecodingTimedOut):
            continue

    own_pool.stop_all()
    assert pictures.check(jpeg()).has_end
    assert memory_peak() < 1_700 * 2**20
    assert cpu_of_children() - used < HARMLESS_S


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_peak() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


@pytest.mark.parametrize("scans", [46, 200])
def test_too_many_scans_are_rejected_before_decoding(own_pool, scans):
    data = jpeg_with_many_scans(scans)
    used = cpu_of_children()

    with pytest.raises(ImageTooSlow, match="scans"):
        pictures.check(data)

    own_pool.stop_all()
    assert cpu_of_children() - used < 3


@pytest.mark.parametrize("size", [(1, 90_000_000), (90_000_000, 1), (65_536, 2)])
def test_an_enormous_side_is_rejected_before_decoding(size):
    with pytest.raises(ImageTooLarge, match="pixels"):
        pictures.check(png(*size))


def test_a_child_over_its_cpu_limit_is_killed_and_the_picture_rejected(own_pool, monkeypatch):
    """The clock is not waited for: the system is made to end it as if its time were used up."""
    stuck(own_pool, signal.SIGXCPU)

    with pytest.raises(ImageTooSlow):
        pictures.check(jpeg())
    assert pictures.check(jpeg()).has_end


@pytest.mark.parametrize(
    ("number", "error"),
    [(signal.SIGSEGV, DamagedImage), (signal.SIGKILL, Unavailable), (signal.SIGTERM, Unavailable)],
)
def test_a_crashing_child_fails_only_one_picture(own_pool, number, error):
    stuck(own_pool, number)

    with pytest.raises(error):
        pictures.check(jpeg())
    assert pictures.check(jpeg()).has_end


def test_a_child_that_does_not_respond_is_killed_after_the_timeout(own_pool, monkeypatch):
    child = stuck(own_pool)
    monkeypatch.setattr(pool, "TIMEOUT_S", 0.5)

    with pytest.raises(DecodingTimedOut):
        pictures.check(jpeg())

    assert child.process.wait(10) == -signal.SIGKILL


def stuck(own: Pool, signalled: signal.Signals | None = None) -> pool.Child:
    """The next picture is given to a child that has stopped, and that then gets the signal."""
    pictures.check(jpeg())
    (child,) = own._free
    os.kill(child.process.pid, signal.SIGSTOP)
    if signalled:
        threading.Timer(0.2, go_on, [child.process.pid, signalled]).start()
    return child


def go_on(pid: int, signalled: signal.Signals) -> None:
    os.kill(pid, signalled)  # which it gets before it does anything else
    with suppress(ProcessLookupError):  # SIGKILL ends also a stopped process
        os.kill(pid, signal.SIGCONT)


def test_a_child_that_exited_when_idle_is_replaced(own_pool):
    pictures.check(jpeg())
    (child,) = own_pool._free
    child.connection.shutdown(2)  # as when it has gone
    child.process.wait(10)

    assert pictures.check(jpeg()).has_end


def test_a_child_that_is_exiting_is_replaced_too(own_pool):
    """It has closed its end of the socket and not ended yet: whoever ended it would not know that it went by itself."""
    pictures.check(jpeg())
    (child,) = own_pool._free
    slow, theirs = socket.socketpair()
    theirs.close()
    child.connection.close()  # it goes when it reads that
    child.connection = slow
    os.kill(child.process.pid, signal.SIGSTOP)
    threading.Timer(0.5, os.kill, [child.process.pid, signal.SIGCONT]).start()

    assert pictures.check(jpeg()).has_end
    assert child.process.returncode == 0


@pytest.mark.parametrize("program", [["false"], ["true"], ["/nowhere"]])
def test_a_program_that_does_not_start_does_not_reject_the_picture(tmp_path, monkeypatch, own_pool, program):
    """As after an upgrade beside a running server. Remembered against the picture, it would not be shown for a day."""
    file = tmp_path / "a.jpg"
    file.write_bytes(jpeg())
    with monkeypatch.context() as patched:
        patched.setattr(pool, "start_process", lambda *_: subprocess.Popen(program))
        with pytest.raises(Unavailable):
            derivative_of(file, 160)

    assert derivative_of(file, 160).exists()


def test_no_child_outlives_its_parent_process(tmp_path):
    script = (
        "import os, django; django.setup();"
        "from nvr.media.images.decoder import pictures;"
        "from nvr.media.images.decoder.pool import pool;"
        f"pictures.check({jpeg()!r});"
        "print(pool._free[0].process.pid, flush=True); os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True, timeout=60)

    pid = int(done.stdout)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}/cmdline").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{pid}/cmdline").read_bytes() == b"":
            break  # ended, and not reaped here
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}/cmdline").exists() or Path(f"/proc/{pid}/cmdline").read_bytes() == b""


def test_the_number_of_children_is_limited(own_pool):
    errors: list[NvrError] = []

    def ask() -> None:
        try:
            pictures.check(jpeg())
        except NvrError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert 1 <= len(own_pool._free) <= pool.MAX_CONCURRENT


def test_a_child_has_no_secrets_and_no_other_open_files(own_pool, monkeypatch):
    monkeypatch.setenv("NVR_SECRET_KEY", "hidden" * 8)
    pictures.check(jpeg())
    (child,) = own_pool._free

    environment = Path(f"/proc/{child.process.pid}/environ").read_bytes()
    limits = Path(f"/proc/{child.process.pid}/limits").read_text()

    assert b"hidden" not in environment
    assert "DJANGO_SETTINGS_MODULE" not in environment.decode()
    (core,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]


def test_a_forked_process_has_its_own_children(own_pool):
    pictures.check(jpeg())
    reader, writer = os.pipe()
    number = os.fork()
    if number == 0:
        own_pool.detach()
        try:
            os.write(writer, b"whole" if pictures.check(jpeg()).has_end else b"torn")
            own_pool.stop_all()
        finally:
            os._exit(0)
    os.waitpid(number, 0)

    assert os.read(reader, 10) == b"whole"
    assert pictures.check(jpeg()).has_end


def test_a_rejected_picture_is_not_decoded_again_until_it_changes(tmp_path, monkeypatch):
    file = tmp_path / "a.jpg"
    file.write_bytes(jpeg_with_many_scans(200))
    with pytest.raises(ImageTooSlow):
        derivative_of(file, 160)

    with monkeypatch.context() as patched:
        patched.setattr(pictures.pool, "request", lambda *_: pytest.fail("decoded again"))
        with pytest.raises(ImageTooSlow, match="scans"):
            derivative_of(file, 160)

    file.write_bytes(jpeg())
    assert derivative_of(file, 160).exists()


def test_a_storage_fault_does_not_reject_the_picture(tmp_path, own_pool):
    """As a disk that gives nothing: a directory can be opened and not read."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(NvrError) as raised:
            own_pool.request({"do": "check"}, descriptor)
    finally:
        os.close(descriptor)

    assert not isinstance(raised.value, (DamagedImage, NotAnImage)) or isinstance(raised.value, StorageFault)


def test_only_the_header_of_a_large_file_is_read(tmp_path):
    """What follows is a hole of a terabyte: reading it would take for ever."""
    file = tmp_path / "a.png"
    file.write_bytes(png(640, 480, rows=random.Random(3).randbytes(640))[:60])
    os.truncate(file, 2**40)

    assert pictures.read_header(file) == pictures.Header(640, 480)


@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"save_all": True}])
def test_the_header_of_a_webp_is_read_from_its_chunks(tmp_path, turn, options):
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.new("RGB", (64, 48)).save(tmp_path / "a.webp", exif=exif, **options)

    assert pictures.read_header(tmp_path / "a.webp") == pictures.Header(*((48, 64) if turn == 6 else (64, 48)))


@pytest.mark.parametrize("tail", [b"", b"dhav\x59\x19\x01\x00", b"\0\0SEFH" + bytes(600) + b"SEFT"])
@pytest.mark.parametrize("kind", ["JPEG", "progressive", "PNG", "GIF"])
def test_a_picture_without_its_last_bytes_is_decoded(tmp_path, kind, tail):
    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(jpeg()))
    options = {"progressive": True} if kind == "progressive" else {}
    image.convert("P" if kind == "GIF" else "RGB").save(buffer, "JPEG" if options else kind, **options)
    lacking = buffer.getvalue()[: -{"PNG": 12, "GIF": 1}.get(kind, 2)]
    if tail and kind in {"PNG", "GIF", "progressive"}:
        pytest.skip("only of a baseline JPEG is it known where it ends")

    assert pictures.check(lacking + tail).has_end is False
    assert pictures.write_resized(lacking + tail, 160, tmp_path / "a").exists()
    assert len(pictures.square_png(lacking + tail, 128, text={})) > 100


@pytest.mark.parametrize("progressive", [False, True])
def test_a_picture_with_missing_rows_is_rejected(progressive):
    buffer = io.BytesIO()
    noise = Image.frombytes("RGB", (160, 120), random.Random(5).randbytes(57_600))
    noise.save(buffer, "JPEG", quality=60, progressive=progressive)
    whole = buffer.getvalue()

    taken = []
    for missing in (3, 5, 10, 100, 1000, len(whole) // 3, len(whole) // 2):
        with suppress(DamagedImage):
            pictures.check(whole[:-missing])
            taken.append(missing)
    assert taken == []


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_malicious_picture_costs_ingest_little_and_logs_nothing(tmp_path, own_pool, caplog, recwarn, name):
    file = tmp_path / "a.jpg"
    file.write_bytes(HOSTILE[name]())
    used = time.process_time()

    with suppress(NvrError), file.open("rb", buffering=0) as opened:
        content.inspect(opened, is_picture=True)

    assert time.process_time() - used < HARMLESS_S
    assert len(caplog.records) + len(recwarn) == 0
