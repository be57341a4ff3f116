"""In a namespace without IPv6 the rules are for IPv4, and `up` reports that.

    a (IPv6 off): [rules] --- router --- b"""

from handfast_harness import expect_eq, expect_in, needs
from handfast_harness.interception import OUTBOUND, Interceptor


def arrange(story):
    story.net = story.topology("a", "b")
    story.init = story.binary("handfast-init")
    story.net.a.sysctl("net/ipv6/conf/all/disable_ipv6", "1")


def shows_that_up_reports_it_and_works(story):
    expect_in("IPv6 is off", story.net.a.run([story.init, "up"]).stdout, "up")
    with Interceptor(story.net.a, OUTBOUND) as caught:
        story.net.a.connect(story.net.b.ipv4, 80, uid=1000).close()
        expect_eq(caught.next(), (story.net.b.ipv4, 80), "original destination")


@needs(shows_that_up_reports_it_and_works)
def shows_that_check_passes_on_ipv4(story):
    expect_in("note     outbound_ipv6: IPv6 is off", story.net.a.run([story.init, "check"]).stdout, "check")


@needs(shows_that_up_reports_it_and_works)
def shows_that_down_removes_everything(story):
    story.net.a.run([story.init, "down"])
    expect_eq(story.net.a.run(["nft", "-s", "list", "ruleset"]).stdout, "", "rules")
