"""The sequence chart as plain data: every message a row, every strike in its column, no arrow the wrong way."""

import pytest

from gates.chaos.pages.chart import WIDTH, StrikeSeen, columns, fault_words, sequence_chart
from gates.chaos.pages.differences import changed_again, changed_rows
from tests.gates.chaos.pages.staged import CHANGES, MESSAGES


def seen(number, place, fault, status="passed"):
    return StrikeSeen(number, MESSAGES[place]["point"], fault, status, f"{fault}: {status}")


def test_every_message_is_a_row_and_every_strike_stands_beside_its_message():
    strikes = [seen(1, 0, "kill before"), seen(2, 4, "kill before"), seen(3, 4, "lose the request", "failed")]
    chart = sequence_chart("open", MESSAGES, strikes)
    assert [row.label for row in chart.rows] == [message["label"] for message in MESSAGES]
    assert [[cell.strike.crash_point for cell in row.cells] for row in chart.rows][:5] == [[1], [], [], [], [2, 3]]
    assert [row.struck for row in chart.rows][:5] == ["", "", "", "", "failed"]
    (killed,), (killed_later, lost) = chart.rows[0].cells, chart.rows[4].cells
    assert killed.x == killed_later.x < lost.x
    assert killed.y == chart.rows[0].y


def test_the_arrow_keys_meet_no_row_without_a_strike():
    chart = sequence_chart("open", MESSAGES, [seen(1, 0, "kill before"), seen(2, 7, "kill before")])
    assert [cell.row for row in chart.rows for cell in row.cells] == [0, 1]


def test_a_request_leaves_the_target_and_an_answer_comes_to_it():
    chart = sequence_chart("open", MESSAGES, [])
    lines = dict(chart.lines)
    assert {(row.direction, row.channel) for row in chart.rows} == {
        (message["direction"], message["channel"]) for message in MESSAGES
    }
    for row in chart.rows:
        leaves = abs(row.start_x - lines["target"]) < abs(row.end_x - lines["target"])
        assert leaves is (row.direction == "request"), row.label
        other = row.end_x if leaves else row.start_x
        assert abs(other - lines[row.channel]) <= 3


def test_columns_keep_the_order_of_the_design_whatever_comes_first():
    strikes = [seen(1, 0, "lose the answer"), seen(2, 0, "kill after"), seen(3, 0, "kill before, left half open")]
    strikes += [seen(4, 0, "something new"), seen(5, 0, "kill before")]
    assert columns(strikes) == [
        *("kill before", "kill before, left half open", "kill after", "lose the answer", "something new")
    ]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("kill before", "kill before"),
        ("delay (delay_ms 4000)", "delay 4000 ms"),
        (
            "refuse connections (duration_ms 1500, within_ms 10000)",
            "refuse connections 1500 ms, within 10000 ms",
        ),
        ("kill after, left half open", "kill after, left half open"),
        ("broker refusal (status 503, after_s 2)", "broker refusal status 503, 2 s"),
    ],
)
def test_a_fault_is_written_as_a_person_says_it(fault, words):
    assert fault_words(fault) == words


def test_a_chart_fits_the_page_until_its_strikes_are_too_many():
    few = sequence_chart("open", MESSAGES, [seen(n, 0, f"fault {n:02}") for n in range(4)])
    many = sequence_chart("open", MESSAGES, [seen(n, 0, f"fault {n:02}") for n in range(40)])
    assert few.fits
    assert few.width <= WIDTH < many.width
    assert not many.fits
    assert max(cell.x for row in many.rows for cell in row.cells) < many.width


def test_a_chart_without_messages_is_an_empty_picture():
    chart = sequence_chart("open", [], [])
    assert (chart.rows, chart.headings) == ((), ())


def test_only_changed_values_of_a_changed_row_are_shown_with_what_they_were():
    orders, accounts = changed_rows(CHANGES)
    assert (orders.columns, orders.rows[0].values) == (("order_id", "units", "status"), ("o-1", "1000", "filled"))
    assert orders.rows[0].mark == "+"
    assert accounts.columns == ("row", "balance")
    assert accounts.rows[0].values == ("101", "100000.0000 → 99999.5000")


def test_what_one_more_restart_changed_is_told_apart():
    changes = CHANGES | {"second restart": {"orders": {"removed": {"o-1": {"order_id": "o-1", "status": "filled"}}}}}
    assert [each.relation for each in changed_rows(changes)] == ["orders", "accounts"]
    (again,) = changed_again(changes)
    assert (again.relation, again.rows[0].mark) == ("orders", "−")


def test_a_flood_of_changed_rows_is_cut_and_says_so():
    flood = {"orders": {"added": {str(n): {"order_id": str(n)} for n in range(450)}}}
    (orders,) = changed_rows(flood)
    assert (len(orders.rows), orders.left_out) == (200, 250)
