"""Tables of targets: units in the header, ranges and objectives in cells, and what is wrong with a table."""

import math
import re
import time
from pathlib import Path

import pytest

from vaereg.errors import InputError
from vaereg.targets import parse
from vaereg.targets.quantities import canonical_name
from vaereg.targets.tables import decode_table, parse_table, read_table

TABLE = """name, E_x [GPa], density [kg/m3], nu_xy, E_z
plate, 20, 1900, 0.2:0.3,

,,,,
beam, 15:20, :1800, , max
, 20000 MPa, , , 10:@2
"""


def test_rows_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "targets.csv"
    path.write_text("\ufeff" + TABLE, encoding="utf-8")
    first, second, third = read_table(path)
    assert (first.line, first.name, second.line, second.name, third.name) == (2, "plate", 5, "beam", "")
    assert first.targets.plain() == {"E_x": 20.0, "density": 1.9, "nu_xy": (0.2, 0.3)}
    assert second.targets.range_of("density") == (-math.inf, 1.8)
    assert [item.name for item in second.targets.objectives] == ["E_z"]
    assert third.targets.wanted[1].weight == 2.0 and third.targets.wanted[0].low == 20.0


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(separator: str) -> None:
    rows = parse_table(TABLE.replace(",", separator))
    assert rows[0].targets.names == ("E_x", "density", "nu_xy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header of quantities"),
        ("\n,,\n", "expected a header of quantities"),
        ("E_x\n", "expected at least one row below the header, got none"),
        ("name\nplate\n", "line 1: expected at least one quantity"),
        ("E_q [GPa]\n20\n", "line 1, column 1: unknown property 'E_q': did you mean E_"),
        ("E_x [kg]\n20\n", "line 1, column 1: expected a unit of E_x such as GPa, got 'kg'"),
        ("E_x,C11,E_x\n1,2,3\n", "line 1, column 3: expected one column of E_x, got two"),
        ("C12,C21\n1,2\n", "line 1, column 2: expected one column of C12, got two"),
        ("E_x\n20,30\n", "line 2: expected 1 cells, got 2"),
        ("E_x\nten\n", "line 2, column E_x: expected a number, with a unit or without, got 'ten'"),
        ("E_x,nu_xy\n20,\n-3,\n", "line 3, column E_x: E_x must be positive, got -3 GPa"),
        ("E_x [GPa] x\n20\n", "line 1, column 1: expected NAME [unit]"),
        ("name,E_x\nplate,\n", "line 2: expected at least one target"),
        ('E_x\n"20\n', "expected a table in CSV"),
    ],
)
def test_tables_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        parse_table(text)


def test_files_that_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="got no file at"):
        read_table(tmp_path / "none.csv")
    (tmp_path / "targets.csv").write_bytes(b"E_x\n\xff\x00\n")
    with pytest.raises(InputError, match="expected a table in CSV as text"):
        read_table(tmp_path / "targets.csv")


def test_ten_thousand_rows_are_read_in_seconds() -> None:
    text = "E_x [MPa],nu_xy,density [kg/m3]\n" + "".join(
        f"{i + 1},0.{i % 4 + 1},{i % 3000 + 1}\n" for i in range(10_000)
    )
    begin = time.process_time()
    rows = parse_table(text)
    assert len(rows) == 10_000 and rows[-1].targets.range_of("E_x")[0] == 10.0
    assert time.process_time() - begin < 10.0


def test_tables_of_spreadsheets_and_symbols_of_the_dashboard() -> None:
    rows = parse_table("Name;Ex [GPa];νxy;Density [g/cm3]\nplate 1,5;20,5;0,2:0,3;:1,9\n")
    assert rows[0].name == "plate 1,5"
    assert rows[0].targets == parse(["E_x=20.5", "nu_xy=0.2:0.3", "density=:1.9"])
    assert decode_table("name,Ex\nplätte,20\n".encode("cp1252")).endswith("plätte,20\n")
    with pytest.raises(InputError, match="spreadsheet"):
        decode_table(b"PK\x03\x04\x00\x00")
    assert canonical_name("Ez/ρ") == "specific_E_z" and canonical_name("gYZ") == "G_yz"
    assert [canonical_name(name) for name in ("k", "K")] == ["k", "K"]
