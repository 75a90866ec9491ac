"""The links of the system: which process reaches which over which proxy."""

from collections.abc import Iterator

from localservers.proxy import TcpProxy


class Links:
    """All proxies of one run, by name: `router-1>postgres`, `handler-2>api`, `client>api-1`."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._proxies: dict[str, TcpProxy] = {}

    async def open(
        self,
        name: str,
        target_port: int,
        *,
        target_host: str = "127.0.0.1",
        port: int | None = None,
    ) -> TcpProxy:
        """A proxy that passes everything on, for now."""
        proxy = TcpProxy(
            target_port,
            target_host=target_host,
            port=port,
            seed=f"{self._seed} {name}",
            name=name,
        )
        await proxy.__aenter__()
        self._proxies[name] = proxy
        return proxy

    def __getitem__(self, name: str) -> TcpProxy:
        return self._proxies[name]

    def __iter__(self) -> Iterator[TcpProxy]:
        return iter(self._proxies.values())

    async def close(self) -> None:
        """Ends all of them."""
        for proxy in self._proxies.values():
            await proxy.close()
