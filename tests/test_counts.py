from asl.counts import counted


def test_one_is_singular_and_any_other_number_plural():
    assert counted(1, "pair") == "1 pair"
    assert [counted(count, "pair") for count in (0, 2)] == ["0 pairs", "2 pairs"]


def test_irregular_plurals_are_given():
    assert counted(1, "copy", "copies") == "1 copy"
    assert counted(12345, "copy", "copies") == "12,345 copies"
