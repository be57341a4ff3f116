"""A browser shows the operators' page: the token opens it, the keyboard is enough, nothing is refused by its policy, changes
come by themselves, and a text that others have chosen is no markup.

    control: handfast-control, chromium --> 127.0.0.1:15016
    shop, cart, prices, db, old: [sidecar]; stranger (no sidecar)

SCREENSHOTS names a folder for the pictures."""

import json
import os
import secrets

from handfast_harness import Mesh, StreamServer, expect, expect_eq, identity_of, needs, stream, wait_until
from handfast_harness.browser import Browser
from handfast_harness.control_plane import private_file

LONG = "Chromium, 81 MB of packages"
DEADLINE_S = 120
HOSTS = ("shop", "cart", "prices", "db", "old")
POLICY = {"workloads": [{"identity": identity_of("db"), "ports": [{"port": 9000, "mode": "strict"}], "rules": [
    {"name": "no-prices", "action": "deny", "sources": [{"id": identity_of("shop")}]}, {"name": "mesh", "sources": [{"trust_domain": "cluster.local"}]}]}]}
CALLS = (("shop", "cart"), ("shop", "prices"), ("cart", "db"), ("prices", "db"), ("old", "db"))

ROWS = len(CALLS) + 3  # the stranger, to whom old calls; the stranger's plaintext; the shop's call that is refused


def arrange(story):
    story.token = secrets.token_hex(32)
    mesh = story.mesh = Mesh(story, hosts=HOSTS, outsiders=("stranger",), leaf_ttl="1h", policy=POLICY, start=False)
    token_file = private_file(os.path.join(mesh.control.folder, "page.token"), story.token + "\n")
    mesh.control.configure({"page": {"token_file": token_file}})
    mesh.start()
    for name in HOSTS:
        story.own(StreamServer(story, mesh.net.hosts[name], 9000, "echo"))
    wait_until("all to have been asked for reports", lambda: _num_reports(story) == len(HOSTS), 20, 0.2)
    for caller, called in CALLS:
        expect(stream.is_answered(mesh.net.hosts[caller], mesh.net.hosts[called].ipv4, 9000), "%s to %s" % (caller, called))
    mesh.old.connect(mesh.stranger.ipv4, 9000, uid=1000).close()
    expect(stream.is_answered(mesh.stranger, mesh.shop.ipv4, 9000), "plaintext to the shop")
    expect(not stream.is_answered(mesh.stranger, mesh.db.ipv4, 9000) and not stream.is_answered(mesh.shop, mesh.db.ipv4, 9000), "refused calls")
    story.browser = Browser(story, mesh.control.host).start()


def _num_reports(story):
    body = story.mesh.control.host.http("http://127.0.0.1:15016/state", headers={"Authorization": "Bearer " + story.token})[1]
    return json.loads(body)["num_reports"]


def _picture(story, name):
    folder = os.environ.get("SCREENSHOTS") or story.folder("screenshots")
    story.browser.screenshot(os.path.join(folder, name + ".png"))


def _text(story, selector):
    return story.browser.evaluate("document.querySelector(%r).innerText" % selector)


def shows_that_a_wrong_token_is_refused_and_the_right_one_opens_by_keyboard(story):
    browser = story.browser
    browser.open("http://127.0.0.1:15016/")
    expect_eq(browser.evaluate("document.activeElement.id"), "token", "what has the focus at first")
    _picture(story, "login")
    browser.write("0" * 64)
    browser.press("Enter")
    wait_until("the refusal", lambda: "refused" in _text(story, "#refused"), 10, 0.1)
    expect_eq(browser.evaluate("document.activeElement.id"), "token", "the focus after a refusal")
    browser.complaints.clear()  # of the answer 401
    browser.write(story.token)
    browser.press("Tab")
    browser.press("Enter")
    wait_until("the mesh", lambda: _text(story, "#domain") == "cluster.local", 10, 0.1)
    wait_until("the reports", lambda: browser.evaluate("document.querySelectorAll('#refused-calls tbody tr').length") >= 3 and
               browser.evaluate("document.querySelectorAll('#edges tbody tr').length") == ROWS, 30, 0.3)
    expect(story.token not in browser.evaluate("location.href + document.documentElement.outerHTML"), "the token is in the page")
    expect_eq(browser.evaluate("document.cookie + JSON.stringify({...localStorage, ...sessionStorage})"), "{}", "what it keeps")


@needs(shows_that_a_wrong_token_is_refused_and_the_right_one_opens_by_keyboard)
def shows_the_mesh_in_light_and_dark_and_on_a_narrow_screen(story):
    browser = story.browser
    expect_eq(browser.evaluate("document.querySelectorAll('svg .node').length"), 7, "identities, the stranger as a destination and as a source")
    kinds = {kind: browser.evaluate("document.querySelectorAll('#drawing .edge.%s').length" % kind) for kind in ("encrypted", "plaintext", "unknown")}
    expect_eq(kinds, {"encrypted": len(CALLS), "plaintext": 1, "unknown": 2}, "arrows")
    expect("policy refuses" in _text(story, "#refused-calls") and "Fix:" in _text(story, "#refused-calls"), "no reason of a refusal")
    expect_eq(browser.evaluate("[...document.querySelectorAll('#ports tbody tr')].map(row => row.innerText.split(/\\s+/).join(' '))"), [
        identity_of("cart") + " 9000 \u2013", identity_of("prices") + " 9000 \u2013", identity_of("shop") + " \u2013 9000"], "ports; that of db is strict already")
    for scheme in ("light", "dark"):
        browser.prefers(scheme)
        _picture(story, scheme)
    browser.size(400, 900)
    expect_eq(browser.evaluate("document.documentElement.scrollWidth <= 400"), True, "a narrow screen needs no scrolling sideways")
    _picture(story, "narrow")
    browser.size(1280, 1000)


@needs(shows_the_mesh_in_light_and_dark_and_on_a_narrow_screen)
def shows_that_the_keyboard_reaches_and_chooses_an_identity(story):
    browser = story.browser
    browser.evaluate("document.body.focus(), document.activeElement.blur()")
    chosen = "document.activeElement.closest('.node') && document.activeElement.dataset.id"
    for _ in range(4):
        browser.press("Tab")
        if browser.evaluate(chosen):
            break
    first = browser.evaluate(chosen)
    expect_eq(first, min(identity_of(name) for name in HOSTS), "the first identity by Tab")
    browser.press("ArrowRight")
    expect_eq(browser.evaluate(chosen), identity_of("db"), "the next by an arrow")
    browser.press("Enter")
    expect_eq(browser.evaluate("document.querySelectorAll('#edges tbody tr').length"), 4, "its rows")
    expect_eq(browser.evaluate(chosen), identity_of("db"), "the focus stays on it")
    _picture(story, "chosen")
    browser.press("Escape")
    expect_eq(browser.evaluate("document.querySelectorAll('#edges tbody tr').length"), ROWS, "all rows again")


@needs(shows_that_a_wrong_token_is_refused_and_the_right_one_opens_by_keyboard)
def shows_that_a_ban_and_an_outage_come_by_themselves(story):
    control = story.mesh.control
    control.run("ban", identity_of("old"))
    wait_until("the ban", lambda: "banned" in _text(story, "#sidecars"), 10, 0.1)
    _picture(story, "banned")
    control.run("unban", identity_of("old"))
    control.stop()
    wait_until("that it is not live", lambda: "not connected" in _text(story, "#live"), 10, 0.1)
    control.start()
    wait_until("that it is live again", lambda: _text(story, "#live") == "live" and "banned" not in _text(story, "#sidecars"), 20, 0.1)
    story.browser.complaints[:] = [text for text in story.browser.complaints if "ERR_" not in text]  # of the outage


_UNREADABLE = """(() => {
  const real = window.fetch;
  let ends;
  window.fetch = async () => new Response(new ReadableStream({ start(stream) {
    ends = () => { window.fetch = real; stream.close(); };
    for (const text of ["event: error\\ndata: the state is too ", "large\\n\\n", ": still here\\n\\n"]) stream.enqueue(new TextEncoder().encode(text));
  } }), { headers: { Date: new Date().toUTCString() } });
  window.readable = () => ends();
})()"""


@needs(shows_that_a_wrong_token_is_refused_and_the_right_one_opens_by_keyboard)
def shows_that_a_state_that_cannot_be_read_is_shown_as_such_and_as_old(story):
    """The control plane's own state is bounded so that it does not grow too large: the browser gets the bytes that
    control/page/page_test.c expects of the server then, in pieces."""
    browser, control = story.browser, story.mesh.control
    rows = browser.evaluate("document.querySelectorAll('#sidecars tbody tr').length")
    browser.evaluate(_UNREADABLE)
    control.restart()  # the page connects again
    wait_until("the error", lambda: _text(story, "#live") == "what is shown is old: the mesh's state cannot be read: the state is too large", 20, 0.1)
    expect_eq(browser.evaluate("document.querySelector('#live').className"), "bad", "how it is shown")
    expect_eq(browser.evaluate("document.querySelectorAll('#sidecars tbody tr').length"), rows, "rows, which stay")
    expect_eq(browser.evaluate("document.querySelector('#login').hidden"), True, "the login stays away")
    _picture(story, "unreadable")
    browser.evaluate("window.readable()")
    wait_until("that it is live again", lambda: _text(story, "#live") == "live", 20, 0.1)
    browser.complaints[:] = [text for text in browser.complaints if "ERR_" not in text]  # of the restart


@needs(shows_that_a_wrong_token_is_refused_and_the_right_one_opens_by_keyboard)
def shows_that_markup_in_a_text_stays_a_text(story):
    """Through the page's own way of showing: the browser's own refusal would be a complaint."""
    story.browser.evaluate("document.querySelector('#filter').value = '<img src=x>', document.querySelector('#filter').dispatchEvent(new Event('input'))")
    expect_eq(story.browser.evaluate("document.images.length"), 0, "images")
    expect_eq(story.browser.evaluate("try { document.body.innerHTML = '<b>'; 'set' } catch (error) { error.name }"), "TypeError", "setting markup")
    story.browser.complaints[:] = [text for text in story.browser.complaints if "TrustedHTML" not in text]


@needs(shows_that_markup_in_a_text_stays_a_text)
def shows_that_the_browser_has_no_complaint(story):
    expect_eq(story.browser.complaints, [], "errors and refusals of the policy")
