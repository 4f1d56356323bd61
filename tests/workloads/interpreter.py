"""Recursion and arithmetic in the interpreter's own loop. Usage: python3 interpreter.py SECONDS"""

import sys
import time


def work(depth):
    """Fibonacci the slow way: calls, additions, comparisons."""
    return depth if depth < 2 else work(depth - 1) + work(depth - 2)


def main():
    end = time.monotonic() + float(sys.argv[1])
    print("ready", flush=True)
    while time.monotonic() < end:
        sorted(str(work(12)) for _ in range(20))


main()
