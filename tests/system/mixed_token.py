"""mixed_token.py - a token with another cluster's broker in it.

usage: mixed_token.py TOKEN HOME
HOME belongs to a principal of the other cluster, whose broker's address and key the token gets.
"""
import sys

import peer

with open(sys.argv[1]) as f:
    token = peer.token_of(f.read())
other = peer.Identity(sys.argv[2])
print(peer.token_text({**token, "addresses": [other.address.removeprefix("tcp://")],
                       "broker_key": other.broker_key}))
