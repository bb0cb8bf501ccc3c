import codecs

import numpy as np
import pytest

from sim2real.documents import Section, is_number, read_text
from sim2real.errors import InvalidValue, RecordingError


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_mark_at_the_beginning_is_no_text(tmp_path, mark, encoding):
    path = tmp_path / "a.toml"
    path.write_bytes(mark + '"épaule" = "手首"\n'.encode(encoding))
    assert Section.read_toml(path).text("épaule") == "手首"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("épaule = 1".encode("latin-1"), "not a text file in UTF-8"),
        ("time,goal".encode("utf-16-le"), "in UTF-16 without a byte-order mark; save it as UTF-8"),
        ("time,goal".encode("utf-16-be"), "in UTF-16 without a byte-order mark"),
        (b"abc\0def", "it holds zero bytes"),
        (codecs.BOM_UTF16_LE + b"a", "not a text file"),
    ],
)
def test_other_encodings_are_named(tmp_path, raw, says):
    path = tmp_path / "a.txt"
    path.write_bytes(raw)
    with pytest.raises(RecordingError, match=says):
        read_text(path, RecordingError)


@pytest.fixture
def section(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(
        'name = "x"\nsize = 2\nhuge = 1e400\nnone = nan\nflag = true\nwords = ["a", 1]\n'
        "[part.inner]\nvalue = 0.5\n"
    )
    return Section.read_toml(path)


def test_values_have_the_type_that_was_asked_for(section):
    assert (section.text("name"), section.whole("size"), section.number("size")) == ("x", 2, 2.0)
    assert section.number("missing", 3.0) == 3.0
    assert section.section("part").section("inner").number("value") == 0.5
    assert section.section("nothing").sections() == {}


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda s: s.number("name"), "a.toml: name is 'x', not a number"),
        (lambda s: s.number("flag"), "flag is True, not a number"),
        (lambda s: s.number("none"), "none is nan, not a finite number"),
        (lambda s: s.number("huge"), "huge is inf, not a finite number"),
        (lambda s: s.number("part"), r"part is \{.*, not a number"),
        (lambda s: s.number("sise"), "there is no sise; there is name, size, huge"),
        (lambda s: s.whole("none"), "none is nan, not a whole number"),
        (lambda s: s.texts("words"), r"words is \['a', 1\], not a list of texts"),
        (lambda s: s.numbers("words"), r"words\[0\] is 'a', not a number"),
        (lambda s: s.section("part").section("inner").text("value"), "part.inner.value is 0.5, not a text"),
        (lambda s: s.section("part").only("iner"), "unknown key 'part.inner': did you mean 'part.iner'"),
        (lambda s: s.sections(), "name is 'x', not a table"),
        (lambda s: s.entries("words"), "not a list of tables"),
    ],
)
def test_anything_else_is_refused_by_name(section, ask, says):
    with pytest.raises(InvalidValue, match=says):
        ask(section)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000, "[1, 2]", "1" * 5000, ""])
def test_what_is_no_table_of_json_is_refused(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InvalidValue, match=r"a\.json"):
        Section.read_json(path)


def test_numbers_of_numpy_are_numbers():
    assert all(map(is_number, (1, 1.5, np.float32(1), np.int64(1), np.float64("nan"))))
    assert not any(map(is_number, (True, np.bool_(1), "1", None, 10**400, 1j)))
