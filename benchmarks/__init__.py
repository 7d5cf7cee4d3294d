"""How much work mralab costs, beside nginx, HAProxy, Traffic Server and a plain aiohttp proxy doing the same."""
