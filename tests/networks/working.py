"""Work that runs in a process of its own, in the tests: well-behaved and not."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time

import numpy as np

from normviz.errors import LimitError, ReadError, ShapeError
from normviz.networks import load


def counting(number: int):
    yield from range(number)


def own_process(_: int = 0):
    yield os.getpid(), os.getppid()
    time.sleep(60)


def arrays(count: int, size: int):
    for index in range(count):
        yield np.full(size, index, np.float32)


def allocating(size: int):
    yield "begun"
    yield len(bytearray(size))


def sleeping(seconds: float):
    yield "begun"
    time.sleep(seconds)
    yield "done"


def stepping(steps: int, seconds: float):
    for step in range(steps):
        time.sleep(seconds)
        yield step


def killing(number: int):
    yield "begun"
    os.kill(os.getpid(), number)
    time.sleep(60)


def crashing():
    yield "begun"
    ctypes.string_at(0)


def leaving(code: int):
    yield "begun"
    os._exit(code)


def refusing():
    yield 1
    raise ReadError("net.onnx", "it is odd", "Try another")


def bounding():
    raise LimitError("net.onnx", "it is large")
    yield


def misshaping():
    raise ShapeError("not this shape")
    yield


class Odd(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def failing(travels: bool):
    yield 1
    if travels:
        raise ZeroDivisionError("by nothing")
    raise Odd(1, 2)


def printing():
    print("out of Python", flush=True)
    os.write(1, b"out of a library")
    os.write(2, b"an error of a library")
    yield sys.stdin.read()
    subprocess.run(["echo", "out of another process"], check=True)
    yield "printed"


def running(model: bytes, name: str, side: int, images: int = 1):
    network = load(model, name)
    yield "opened"
    for _ in range(images):
        found = network.run(np.zeros((1, side, side, 3), np.float32), [network.output])
        yield float(found[network.output].sum())


def main_modules():
    """Which module is __main__ here, and whether what ran the tests was imported again."""
    yield sys.modules["__main__"].__spec__.name, "pytest" in sys.modules
