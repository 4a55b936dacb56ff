"""The server's own small decisions."""

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
