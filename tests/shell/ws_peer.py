"""The peer of tests/shell/ws.sh that python3-websockets makes.

serve [CERTIFICATE KEY]: says PORT n and echoes; ask URL [plain] [ROOT]: asks a server that echoes, says 'good'.
"""

import asyncio
import random
import ssl
import sys

import websockets

SIZES = [0, 1, 125, 126, 1023, 1024, 65535, 65536, 1000000]


async def echo(socket, path=None):
    async for message in socket:
        await socket.send(message)


async def serve(files):
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    async with websockets.serve(echo, "127.0.0.1", 0, ssl=context, max_size=1 << 24) as server:
        print("PORT", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def ask(url, plain=False, root=None):
    context = ssl.create_default_context(cafile=root) if root else None
    compression = None if plain else "deflate"
    noise = random.Random(1)
    text = "".join(noise.choices("abcdefgh", k=1000000))
    async with websockets.connect(url, ssl=context, compression=compression, max_size=1 << 24) as socket:
        for _ in range(3):
            for size in SIZES:
                for message in text[:size], text[:size].encode(), text[: size // 2].replace("a", "\u03ba"):
                    await socket.send(message)
                    assert await socket.recv() == message, f"{size} do not come back"
            await socket.send(iter(["frag", "ments", ""]))
            assert await socket.recv() == "fragments"
            await asyncio.wait_for(await socket.ping(b"x"), 10)
        await socket.close(3001, "done")
        assert socket.close_code == 3001, socket.close_code
    print("good")


if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[2:]))
else:
    asyncio.run(ask(sys.argv[2], "plain" in sys.argv, sys.argv[-1] if sys.argv[-1].endswith(".pem") else None))
