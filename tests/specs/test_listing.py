"""A regulator as rows of a table."""

from __future__ import annotations

from qianzhi.specs.listing import dataset_rows, field_rows, regulator_row
from qianzhi.specs.load import parse_regulator


def test_rows_say_what_the_folder_says(files: dict[str, bytes]) -> None:
    """Regulator, datasets and fields are counted and named."""
    regulator = parse_regulator(files)
    row = regulator_row(regulator)
    assert (row["key"], row["datasets"], row["fields"], row["fields_proposed"], row["rules"]) == ("tiny", 2, 17, 1, 1)
    person, visit = dataset_rows(regulator)
    assert (person["key"], person["obliged"], person["required"]) == ("JGDM, KH", True, 5)
    assert visit["references"] == "person"
    field = field_rows(regulator.dataset("person"))[3]
    assert (field["name"], field["type"], field["codes"], field["status"]) == (
        "XBDM",
        "char(1)",
        "GB/T 2261.1",
        "found",
    )
