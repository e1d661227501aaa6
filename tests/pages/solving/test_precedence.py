"""Who computes first: what is more urgent is waited for, the solver waits for all of it, never for ever."""

import threading

from pages.parts.solving.precedence import MOST_HOLD, Precedence, Rank


def test_what_is_more_urgent_is_waited_for() -> None:
    precedence, done = Precedence(), threading.Event()

    def less_urgent() -> None:
        precedence.give_way(Rank.DESIGN, most=60.0)
        done.set()

    with precedence.at_work(Rank.PREVIEW):
        thread = threading.Thread(target=less_urgent)
        thread.start()
        assert not done.wait(0.05)
    assert done.wait(60.0)
    thread.join()


def test_what_is_less_urgent_is_not_waited_for_and_nobody_waits_for_ever() -> None:
    precedence = Precedence()
    with precedence.at_work(Rank.DESIGN):
        precedence.give_way(Rank.PREVIEW, most=60.0)
        precedence.give_way(Rank.DESIGN, most=60.0)
    with precedence.at_work(Rank.PREVIEW):
        precedence.give_way(Rank.DESIGN, most=0.01)


def test_a_busy_server_holds_the_solver_back_for_a_while() -> None:
    now, calls = [100.0], []
    precedence = Precedence(clock=lambda: now[0])
    precedence.on_quiet(lambda: calls.append(now[0]))
    assert precedence.is_quiet()
    with precedence.at_work(Rank.PREVIEW):
        with precedence.at_work(Rank.DESIGN):
            assert not precedence.is_quiet()
        assert not precedence.is_quiet() and not calls
        now[0] += MOST_HOLD + 0.1
        assert precedence.is_quiet()
    assert precedence.is_quiet() and calls == [now[0]]
