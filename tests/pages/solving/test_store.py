"""The bounded store: what is forgotten, and that threads do not disturb it."""

import threading

from pages.parts.solving.store import BoundedStore


def store(max_count: int = 3, max_bytes: int = 100) -> BoundedStore[str, bytes]:
    return BoundedStore(max_count=max_count, max_bytes=max_bytes, size=len)


def test_the_least_recently_used_is_forgotten() -> None:
    kept = store()
    for key in "abc":
        assert kept.put(key, b"x") == []
    assert kept.get("a") == b"x"
    assert kept.put("d", b"x") == ["b"]
    assert [key in kept for key in "abcd"] == [True, False, True, True]


def test_the_size_is_bounded_and_the_last_stays() -> None:
    kept = store()
    kept.put("a", bytes(60))
    assert kept.put("b", bytes(60)) == ["a"] and kept.nbytes == 60
    assert kept.put("c", bytes(500)) == ["b"] and kept.get("c") == bytes(500)
    kept.put("c", bytes(10))
    assert (len(kept), kept.nbytes) == (1, 10)
    kept.remove("c")
    kept.remove("c")
    assert (len(kept), kept.nbytes, kept.get("c")) == (0, 0, None)


def test_threads_share_it() -> None:
    """Without a lock the number and the sum of sizes go wrong, or a key is forgotten twice."""
    kept = store(max_count=5)
    errors: list[Exception] = []

    def work(seed: int) -> None:
        try:
            for number in range(3000):
                key = str((7 * number + seed) % 17)
                kept.put(key, bytes(number % 9))
                kept.get(str(number % 17))
                kept.remove(str(number % 5))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(kept) <= 5
    assert kept.nbytes == sum(len(kept.get(str(key)) or b"") for key in range(17))
