"""A way out of a network namespace that leads to some hosts only.

A program in a network of its own reaches nothing but its own 127.0.0.1. `bridge` runs there before the program does: it
opens sockets that listen, hands them to us, and becomes the program; nothing of ours stays inside. `gateway` serves
these sockets from outside: one is an HTTP proxy, which the environment names (`proxy_environment`), the others lead to
the same port of this machine, for programs that know their model's address and ignore proxies. `base.hosts` decides.

What may go wrong: a program speaks something else than HTTP, or ignores the proxy: then it reaches nothing. A program
reaches an allowed host and through it others (a web proxy, a content network under several names): the list is about
whom one connects to.
"""

from tapeout.base.egress.filtered import Filtered
from tapeout.base.egress.gateway import Gateway, proxy_environment
from tapeout.base.hosts import AllowList, Endpoint, allow_list, named_by_urls

__all__ = ["AllowList", "Endpoint", "Filtered", "Gateway", "allow_list", "named_by_urls", "proxy_environment"]
