"""A headless Chromium on a host of a story, led by its DevTools protocol.

    browser = Browser(story, host).start()
    browser.open("http://127.0.0.1:15016/")
    browser.evaluate("document.title")      the value
    browser.press("Tab"), browser.write("text"), browser.screenshot(path), browser.complaints"""

import asyncio
import base64
import contextlib
import json
import os
import tempfile

import websockets

from .expect import StoryFailure, expect, wait_until
from .process import Process

PORT, UID = 9222, 65534
_KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowRight": 39, "ArrowLeft": 37}


class Browser:
    """`complaints`: texts of errors and refusals of the page's policy that the browser has reported."""

    def __init__(self, story, host):
        self.host, self._log = host, story.log_path("chromium")
        self._folder = story.own(tempfile.TemporaryDirectory(prefix="hf-chromium-"))
        os.chown(self._folder, UID, UID)
        self.process, self._socket, self.complaints, self._number = None, None, [], 0
        self._loop = asyncio.new_event_loop()
        story.own(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._socket:
            with contextlib.suppress(Exception):  # the browser may be gone
                self._run(self._socket.close())
        if self.process:
            self.process.stop()
        self._loop.close()

    def start(self, width=1280, height=1000):
        argv = ["/usr/bin/chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
                "--user-data-dir=" + self._folder, "--remote-debugging-port=%d" % PORT, "--window-size=%d,%d" % (width, height),
                "about:blank"]
        self.process = Process(self.host, "chromium", argv, self._log, uid=UID, env={"HOME": self._folder})
        self.process.wait_for_http("http://127.0.0.1:%d/json/list" % PORT, deadline_s=30)
        wait_until("a tab", self._tabs, 10, 0.1)
        self._socket = self._run(self._connect(self._tabs()[0]["webSocketDebuggerUrl"]))
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.call(domain + ".enable")
        self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        return self

    def _tabs(self):
        return [tab for tab in json.loads(self.host.http("http://127.0.0.1:%d/json/list" % PORT)[1]) if tab["type"] == "page"]

    def _run(self, coroutine):
        return self._loop.run_until_complete(asyncio.wait_for(coroutine, 20))

    async def _connect(self, url):
        sock = self.host.connect("127.0.0.1", PORT)
        sock.setblocking(False)
        return await websockets.connect(url, sock=sock, max_size=None, ping_interval=None)

    async def _talk(self, message):
        await self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(await self._socket.recv())
            if answer.get("id") == message["id"]:
                return answer
            self._note(answer)

    def _note(self, event):
        if event["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["params"]["exceptionDetails"])[:400])
        elif event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(event["params"]["entry"]["text"])

    def call(self, method, **parameters):
        self._number += 1
        answer = self._run(self._talk({"id": self._number, "method": method, "params": parameters}))
        expect("error" not in answer, "%s: %s" % (method, answer.get("error")))
        return answer["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)

        def is_there():
            with contextlib.suppress(StoryFailure):  # of a question that meets the end of the page before
                return self.evaluate("document.readyState") == "complete" and self.evaluate("location.href") == url
            return False
        wait_until("the page", is_there, 20, 0.1)

    def evaluate(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)["result"].get("value")

    def press(self, key, shift=False):
        of = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key], "modifiers": 8 * shift}
        text = {"text": "\r"} if key == "Enter" else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", **of, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **of)

    def write(self, text):
        self.call("Input.insertText", text=text)

    def prefers(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path):
        """The whole page."""
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]))
