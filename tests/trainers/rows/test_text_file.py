from pathlib import Path

import pytest

from storage.errors import UserError
from trainers.rows.text_file import leaking_lines, leave_out_leaks, read_text_file

HELD_BACK = {
    "q_1": "red leather bag",
    "q_2": "solid oak chair with green cushion",
    "q_3": "bag",
    "q_4": "红色真皮手提包",
}


def write(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    return path


def leaking(*lines: str) -> list[int]:
    return sorted(leaking_lines(list(enumerate(lines, start=1)), HELD_BACK))


def test_each_line_is_a_text_and_blank_ones_are_none(tmp_path) -> None:
    file = read_text_file(write(tmp_path, "\ufeffred bag\r\n\n  \nשולחן 👜 e\u0301\nlast".encode()))
    assert file.lines == ((1, "red bag"), (4, "שולחן 👜 e\u0301"), (5, "last"))


def test_files_that_are_no_texts_are_refused_with_the_place_and_what_to_do(tmp_path) -> None:
    with pytest.raises(UserError, match=r"cannot be read: No such file"):
        read_text_file(tmp_path / "nowhere.txt")
    with pytest.raises(UserError, match=r"cannot be read: Is a directory"):
        read_text_file(tmp_path)
    for content in (b"", b"\n \n\t\n"):
        with pytest.raises(UserError, match=r"holds no text.*leave text_file out"):
            read_text_file(write(tmp_path, content))
    with pytest.raises(UserError, match=r"line 2 is not UTF-8 .*byte 4\).*iconv"):
        read_text_file(write(tmp_path, b"fine\nnot \xff fine\n"))
    with pytest.raises(UserError, match=r"line 1 is not UTF-8"):
        read_text_file(write(tmp_path, "red bag".encode("utf-16")))


def test_a_line_of_a_hundred_megabytes_is_refused_before_it_is_read(tmp_path) -> None:
    path = tmp_path / "long.txt"
    with path.open("wb") as file:
        file.write(b"short\n")
        file.truncate(100 * 2**20)  # zeros, none of them on the disk
    with pytest.raises(UserError, match=r"line 2 has over 1 MiB.*fold -s"):
        read_text_file(path)


def test_a_line_that_is_a_held_back_query_leaks_in_any_spelling() -> None:
    assert leaking("Red  Leather BAG!", "leather bag, red", "blue leather bag", "bags and belts") == [1, 2]
    assert leaking("red leather bag") == [1]
    assert leaking("红色真皮手提包", "红色棉布手提袋新款") == [1]


def test_a_cell_of_a_table_is_looked_at_alone() -> None:
    assert leaking("2024-01-01\tred leather bag\t17 clicks", "2024-01-01\tlinen curtain\t3 clicks") == [1]


def test_a_query_of_five_words_leaks_inside_a_line_and_a_shorter_one_does_not() -> None:
    """The chair's query has 6 words; `red leather bag` and `bag` are said by any shop."""
    said = "somebody asked for: Solid oak chair with green cushion, size 4, in March of last year, and again in May"
    assert leaking(said, "a very nice red leather bag of our own make, for work and travel and everything between") == [
        1
    ]
    broken = "solid oak chair with a green cushion that comes in two sizes and with a cover that can be washed at home"
    assert leaking(broken) == []


def test_lines_that_leak_are_left_out_and_counted(tmp_path) -> None:
    file = read_text_file(write(tmp_path, b"linen curtain\nred leather bag\n\nwool scarf\nLEATHER red bag\n"))
    checked = leave_out_leaks(file, HELD_BACK)
    assert checked.texts == ("linen curtain", "wool scarf")
    told = checked.to_content()
    assert (told["n_lines"], told["n_leaking"], told["leaking"]) == (4, 2, [2, 5])
    assert leave_out_leaks(file, {}).leaking == ()


def test_a_file_of_nothing_but_leaks_is_refused(tmp_path) -> None:
    file = read_text_file(write(tmp_path, b"red leather bag\nRed leather bag\n"))
    with pytest.raises(UserError, match=r"each of its 2 lines says a dev or test query"):
        leave_out_leaks(file, HELD_BACK)
