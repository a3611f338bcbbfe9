"""A window of headless Chromium for the tests of pages, spoken to over its driver's own protocol, WebDriver.

The tests marked `browser` need Chromium and its driver (Debian: chromium, chromium-driver); leave them out where there
are none with -m "not browser".
"""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

CHROMIUM_WORDS = [
    "--headless", "--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-quic", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
    "--use-angle=swiftshader", "--enable-unsafe-swiftshader",  # WebGL without a graphics card
]  # fmt: skip
# To paint by WebGL without a graphics card takes most of the time of its page, and no test looks at what was painted.
PAINT_NOTHING = """
for (const {prototype} of [WebGLRenderingContext, WebGL2RenderingContext])
    prototype.drawArrays = prototype.drawElements = prototype.texImage2D = () => {};
"""
KEYS = {"left": "\ue012", "right": "\ue014", "down": "\ue015", "tab": "\ue004", "enter": "\ue007"}


class Browser:
    """One window of headless Chromium."""

    def __init__(self, driver: str, profile) -> None:
        options = {"args": [*CHROMIUM_WORDS, f"--user-data-dir={profile}"], "binary": shutil.which("chromium")}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.address = driver + "/session"
        self.address += "/" + self.ask("POST", "", capabilities={"alwaysMatch": wanted})["sessionId"]
        self.command("Page.addScriptToEvaluateOnNewDocument", source=PAINT_NOTHING)

    def ask(self, method, path, **body):
        """What the driver answers."""
        payload = json.dumps(body).encode() if method == "POST" else None
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, payload, headers, method=method)
        with urllib.request.urlopen(request, timeout=600) as reply:
            return json.load(reply)["value"]

    def visit(self, address, width=1200):
        """Shows the page anew in a window of that width."""
        self.ask("POST", "/window/rect", width=width, height=900)
        self.leave()
        self.ask("POST", "/url", url=address)

    def leave(self):
        """Shows an empty page."""
        self.ask("POST", "/url", url="about:blank")

    def run(self, expression):
        """The value of a JavaScript expression."""
        return self.ask("POST", "/execute/sync", script=f"return {expression}", args=[])

    def becomes(self, expression, wanted):
        """Whether the expression has that value within a minute: a busy browser answers late."""
        for _ in range(1200):
            if self.run(expression) == wanted:
                return True
            time.sleep(0.05)
        return False

    def press(self, key):
        """A real key press."""
        moves = [{"type": kind, "value": KEYS[key]} for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": moves}])

    def find(self, selector):
        return self.ask("POST", "/element", using="css selector", value=selector)

    def click(self, selector):
        """A real click on the element."""
        self.ask("POST", f"/element/{next(iter(self.find(selector).values()))}/click")

    def hover(self, selector):
        """Moves the pointer over the element."""
        move = {"type": "pointerMove", "duration": 0, "origin": self.find(selector), "x": 0, "y": 0}
        self.ask("POST", "/actions", actions=[{"type": "pointer", "id": "mouse", "actions": [move]}])

    def asked(self):
        """The addresses of the page and of all that it has asked for since."""
        return self.run("['navigation', 'resource'].flatMap(k => performance.getEntriesByType(k)).map(e => e.name)")

    def errors(self):
        """What went wrong in the page since it was asked last."""
        return self.ask("POST", "/se/log", type="browser")

    def narrow(self, width):
        """A telephone's window of that width, which no desktop's can have; the page stays."""
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=True)

    def widen(self):
        """A window of its own size again."""
        self.command("Emulation.clearDeviceMetricsOverride")

    def command(self, name, **params):
        """One of Chromium's own, of its DevTools protocol."""
        self.ask("POST", "/goog/cdp/execute", cmd=name, params=params)


@contextlib.contextmanager
def driver_on_free_port():
    """chromedriver, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [shutil.which("chromedriver"), f"--port={port}"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(1200):
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                urllib.request.urlopen(f"{address}/status", timeout=5).close()
                break
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()
