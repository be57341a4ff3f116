"""Servers and clients of protocols whose implementations are libraries: gRPC's of Google, and `websockets`.

    protocol_program.py grpc-server PORT
    protocol_program.py grpc-client TARGET MESSAGE ...      a stream of both directions: prints each answer
    protocol_program.py websocket-server PORT
    protocol_program.py websocket-client URI MESSAGE ...    the same"""

import asyncio
import concurrent.futures
import sys

METHOD = "/handfast.test.Echo/Stream"


def grpc_server(port):
    import grpc
    answer = lambda messages, _: (b"answer to " + message for message in messages)
    service = grpc.method_handlers_generic_handler("handfast.test.Echo", {"Stream": grpc.stream_stream_rpc_method_handler(answer)})
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port("[::]:" + port)
    server.start()
    server.wait_for_termination()


def grpc_client(target, *messages):
    import grpc
    with grpc.insecure_channel(target) as channel:
        for answer in channel.stream_stream(METHOD)((message.encode() for message in messages), timeout=10):
            print(answer.decode())


async def _websocket_answer(socket, *_):
    async for message in socket:
        await socket.send("answer to " + message)


def websocket_server(port):
    import websockets

    async def serve():
        async with websockets.serve(_websocket_answer, None, int(port)):
            await asyncio.Future()
    asyncio.run(serve())


def websocket_client(uri, *messages):
    import websockets

    async def call():
        async with websockets.connect(uri, open_timeout=10) as socket:
            for message in messages:
                await socket.send(message)
                print(await asyncio.wait_for(socket.recv(), 10))
    asyncio.run(call())


if __name__ == "__main__":
    {"grpc-server": grpc_server, "grpc-client": grpc_client, "websocket-server": websocket_server,
     "websocket-client": websocket_client}[sys.argv[1]](*sys.argv[2:])
