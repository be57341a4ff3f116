"""With --profile host an open SSH session stays open, and rules that are not confirmed are rolled back.

    a: [rules] sshd's port 22, 8080 --- router --- b: the operator's session to a:22

Sockets of the story take the place of sshd and the workload."""

from handfast_harness import StreamServer, expect, expect_eq, expect_in, needs, wait_until
from handfast_harness import stream
from handfast_harness.interception import INBOUND, OUTBOUND, Interceptor


def arrange(story):
    story.net = story.topology("a", "b")
    story.a, story.b = story.net.a, story.net.b
    story.init = story.binary("handfast-init")
    story.own(StreamServer(story, story.b, 22, "echo"))


def _init(story, *words, code=0):
    done = story.a.run([story.init, *words], check=False)
    expect_eq(done.returncode, code, "exit code of %s (%s%s)" % (" ".join(words), done.stdout, done.stderr))
    return done


def _wait_for_the_guards_end(story):
    """It restores the rules, and ends a moment later: until then a command finds its socket."""
    def is_over():
        code = story.a.run([story.init, "confirm"], check=False).returncode
        expect(code != 0, "rules were confirmed after their time")
        return code == 69
    wait_until("the end of the guard", is_over)


def _rules(story):
    return story.a.run(["nft", "-s", "list", "ruleset"]).stdout


def _session(story, address):
    """(the operator's end, sshd's end) of a connection from b to port 22 of a."""
    with story.a.listen("::", 22) as listener:
        operator = story.b.connect(address, 22)
        return operator, listener.accept()[0]


def _passes(sender, receiver, data):
    sender.sendall(data)
    expect_eq(stream.receive_exactly(receiver, len(data)), data, "what arrived")


def shows_that_open_sessions_stay_open_whichever_side_sends_first(story):
    sessions = [_session(story, address) for address in (story.a.ipv4, story.a.ipv6) for _ in range(2)]
    _init(story, "up", "--profile", "host", "--confirm-within", "60")
    for number, (operator, sshd) in enumerate(sessions):
        with operator, sshd:
            operator.settimeout(5)
            sshd.settimeout(5)
            first, second = (sshd, operator) if number % 2 else (operator, sshd)
            _passes(first, second, b"first after the rules")
            _passes(second, first, b"and the answer")


@needs(shows_that_open_sessions_stay_open_whichever_side_sends_first)
def shows_that_new_sessions_open_in_both_directions(story):
    operator, sshd = _session(story, story.a.ipv6)
    with operator, sshd:
        _passes(sshd, operator, b"inbound")
    with story.a.connect(story.b.ipv4, 22, uid=1000) as sock:
        expect_eq(stream.exchange(sock, b"outbound"), (b"outbound", "fin"), "outbound session")


@needs(shows_that_open_sessions_stay_open_whichever_side_sends_first)
def shows_that_everything_else_is_redirected(story):
    with Interceptor(story.a, INBOUND) as caught:
        story.b.connect(story.a.ipv4, 8080).close()
        expect_eq(caught.next(), (story.a.ipv4, 8080), "inbound")
    with Interceptor(story.a, OUTBOUND) as caught:
        story.a.connect(story.b.ipv6, 8080, uid=1000).close()
        expect_eq(caught.next(), (story.b.ipv6, 8080), "outbound")


@needs(shows_that_open_sessions_stay_open_whichever_side_sends_first)
def shows_that_a_second_up_waits_for_the_first_to_be_confirmed(story):
    expect_in("confirm", _init(story, "up", "--profile", "host", code=69).stderr, "why not")


@needs(shows_that_open_sessions_stay_open_whichever_side_sends_first)
def shows_that_confirmed_rules_stay_and_a_later_change_is_rolled_back_to_them(story):
    _init(story, "confirm")
    confirmed = _rules(story)
    _init(story, "up", "--profile", "host", "--confirm-within", "5", "--exclude-outbound-ports", "5432")
    expect_in("5432", _rules(story), "the new rules")
    wait_until("the confirmed rules to come back", lambda: _rules(story) == confirmed, 20)
    _wait_for_the_guards_end(story)


def shows_that_first_rules_are_removed_without_a_confirmation(story):
    _init(story, "down")
    _init(story, "up", "--profile", "host", "--confirm-within", "1")
    wait_until("the rules to be removed", lambda: _rules(story) == "")
    wait_until("the addresses to be removed", lambda: "169.254.15.6" not in story.a.run(["ip", "addr", "show", "lo"]).stdout)
    _wait_for_the_guards_end(story)


def shows_that_down_also_ends_a_pending_rollback(story):
    _init(story, "up", "--profile", "host", "--confirm-within", "60")
    _init(story, "down")
    _wait_for_the_guards_end(story)
    expect_in("no table inet handfast existed", _init(story, "down").stdout, "a second `down`")
