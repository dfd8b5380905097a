"""Performance adds up to the last digit: to the balance, to its own parts, and to itself cut in two."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from gates.live_capital.performance import Equity, Performance, drawdown, moved_since, performance

from .records import NOON, Account

cents = st.integers(-500_000, 500_000).map(lambda n: Decimal(n) / 10_000)
positive = st.integers(0, 10_000).map(lambda n: Decimal(n) / 10_000)


@st.composite
def accounts(draw):
    account = Account()
    for _ in range(draw(st.integers(0, 25))):
        match draw(st.sampled_from(["close", "reduce", "financing", "transfer", "dividend"])):
            case "financing":
                amount = draw(cents)
                account.book("DAILY_FINANCING", change=amount, financing=f"{amount:f}")
            case "transfer":
                amount = draw(cents)
                account.book("TRANSFER_FUNDS", change=amount, amount=f"{amount:f}")
            case "dividend":
                amount = draw(cents)
                account.book("DIVIDEND_ADJUSTMENT", change=amount, dividendAdjustment=f"{amount:f}")
            case kind:
                trade = str(draw(st.integers(1, 5))) if kind == "reduce" else f"t{len(account.transactions)}"
                amounts = {"financing": draw(cents), "commission": draw(positive), "spread": draw(positive)}
                account.close(trade, draw(cents), whole=kind == "close", **amounts)
    return account


@given(accounts())
def test_what_was_earned_and_moved_is_what_the_balance_changed(account):
    seen = performance(account.transactions)
    assert Decimal(500) + seen.net + seen.moved == account.balance


@given(accounts())
def test_trades_wins_losses_and_their_sums_agree(account):
    seen = performance(account.transactions)
    assert seen.wins + seen.losses <= seen.trades
    assert (seen.profit_factor is None) == (seen.gross_loss == 0)
    assert seen.gross_profit >= 0
    assert seen.gross_loss >= 0
    if seen.trades:
        assert 0 <= seen.win_rate <= 1


@given(accounts(), st.integers(0, 25))
def test_two_stretches_add_up_to_the_whole(account, cut):
    first, then = performance(account.transactions[:cut]), performance(account.transactions[cut:])
    whole = performance(account.transactions)
    for name in ("realised", "financing", "commission", "spread", "dividends", "moved", "net", "costs"):
        assert getattr(first, name) + getattr(then, name) == getattr(whole, name)


@given(accounts())
def test_what_is_kept_as_text_is_read_back_the_same(account):
    seen = performance(account.transactions)
    assert Performance.read(seen.as_text()) == seen


def test_a_trade_closed_in_parts_is_one_trade_with_the_sum_of_its_parts():
    account = Account()
    account.close("7", Decimal("-3"), whole=False)
    account.close("7", Decimal("5"))
    seen = performance(account.transactions)
    assert (seen.trades, seen.wins, seen.gross_profit, seen.gross_loss) == (1, 1, Decimal(2), Decimal(0))


def test_the_result_so_far_of_a_trade_opened_before_counts():
    account = Account()
    account.close("7", Decimal("2"))
    assert performance(account.transactions, opened={"7": Decimal(-5)}).losses == 1


def test_win_rate_and_profit_factor_by_hand():
    account = Account()
    for number, pl in enumerate(("3", "-1", "0", "2"), start=1):
        account.close(str(number), Decimal(pl), commission=Decimal("0.5"), spread=Decimal("0.25"))
    seen = performance(account.transactions)
    assert (seen.win_rate, seen.profit_factor) == (Decimal("0.5000"), Decimal("5.0000"))
    assert (seen.costs, seen.net) == (Decimal("3.00"), Decimal("2.0"))


def curve(*navs):
    return [Equity(NOON + timedelta(days=n), Decimal(nav), Decimal(nav)) for n, nav in enumerate(navs)]


def test_the_drawdown_is_from_the_peak_before_to_the_trough_after():
    seen = drawdown(curve(100, 120, 90, 130, 110))
    assert (seen.amount, seen.part) == (Decimal(30), Decimal("0.2500"))
    assert (seen.peak_at, seen.trough_at) == (NOON + timedelta(days=1), NOON + timedelta(days=2))


@given(st.lists(st.integers(1, 1000), max_size=30))
def test_no_pair_of_moments_falls_deeper_than_the_drawdown(navs):
    deepest = max((early - late for n, early in enumerate(navs) for late in navs[n:]), default=0)
    assert drawdown(curve(*navs)).amount == deepest


def test_money_moved_before_a_moment_is_left_out():
    account = Account()
    account.book("TRANSFER_FUNDS", change=Decimal(5), amount="5")
    account.book("TRANSFER_FUNDS", change=Decimal(-2), amount="-2")
    assert moved_since(account.transactions, NOON + timedelta(seconds=2)) == Decimal(-2)
