"""The server's own small decisions."""

import contextlib
import os
import socket

from gateway.server import ears


def test_every_ear_hears_the_same_address():
    """The loop takes one connection from each a round."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        heard = ears(listening)
        places = {each.getsockname() for each in heard}
        for each in heard[1:]:
            each.close()
    assert (len(heard) > 8, len(places)) == (True, 1)


def test_no_ear_ever_blocks():
    """The socket is shared with other processes, and so is whether it blocks: theirs would stand still in `accept`."""
    with contextlib.ExitStack() as opened:
        theirs = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        os.set_blocking(theirs.fileno(), False)
        ours = socket.socket(fileno=os.dup(theirs.fileno()))
        for each in ears(ours):
            opened.enter_context(each)
        assert not os.get_blocking(theirs.fileno())
