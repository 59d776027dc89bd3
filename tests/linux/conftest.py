"""The two implementations of list_head behind one factory, so that a test runs on both."""

import ctypes

import pytest

from walkthroughs.linux import container_of, list_head


class Objects:
    """Nodes of plain Python objects."""

    ListHead = list_head.ListHead

    class Entry:
        def __init__(self, data):
            self.data = data
            self.list = list_head.ListHead(self)

        def __str__(self):
            return str(self.data)

    def head(self, name="head"):
        return list_head.ListHead(name)

    def node(self, name):
        return list_head.ListHead(name)

    def entry(self, data):
        return self.Entry(data)


class Bytes:
    """Nodes in the memory of an arena; one that is no head starts as zeros."""

    ListHead = container_of.ListHead

    class Entry(ctypes.Structure):
        _fields_ = (("data", ctypes.c_int), ("list", container_of.ListHead))

        def __eq__(self, other):
            return ctypes.addressof(self) == ctypes.addressof(other)

        __hash__ = None

    def __init__(self):
        self.arena = container_of.Arena()

    def head(self, name="head"):
        head = self.node(name)
        list_head.init_list_head(head)
        return head

    def node(self, name):
        return self.arena.new(container_of.ListHead, name=name)

    def entry(self, data):
        return self.arena.new(self.Entry, name=str(data), data=data)


@pytest.fixture(scope="session", params=[Objects, Bytes], ids=["objects", "bytes"])
def implementation(request):
    return request.param


@pytest.fixture
def lists(implementation):
    return implementation()
