"""A sidecar of release 0.1 gets no revocation list, also while the intermediate is replaced: it would refuse whatever an
authority has issued whose list it lacks. Bans reach it, and nothing says that a revocation does. One of a later
release gets the lists.

    control --- server: [sidecar]
            --- old: a peer whose hello has no feature
            --- new: one with the feature claim-proof"""

import concurrent.futures
import json

from cryptography import x509
from handfast_harness import Mesh, TestAuthority, expect, expect_eq, expect_in, identity_of, needs, wait_until
from peers.enrollment import Enrollment, field, fields, new_key, read_token

DEADLINE_S = 180
FEATURES = {"old": (), "new": (b"claim-proof",)}
IDENTITY = "/handfast.v1.Identity/Stream"
TRUST, BUNDLES, BANS, LISTS = 1, 2, 3, 3  # numbers of fields: of IdentityDown, of TrustState twice, of Bundle


def arrange(story):
    story.mesh = Mesh(story, hosts=("server",), outsiders=tuple(FEATURES), leaf_ttl="1h")
    story.control = story.mesh.control


def _all(message, number):
    return [value for key, value in fields(message) if key == number]


def _connect(story, name, identity=True):
    leaf = TestAuthority.of(story.control).leaf(identity_of(name)) if identity else None
    return Enrollment(story.mesh.net.hosts[name], story.control.host.ipv4, leaf)


def _hello(name):
    return field(1, field(1, 1) + b"".join(field(2, feature) for feature in FEATURES[name]))


def _trust(story, name):
    """What a stream with this hello gets first: the trust state."""
    with _connect(story, name) as control:
        return dict(control.talk(IDENTITY, [_hello(name)], lambda down: TRUST in dict(fields(down))))[TRUST]


def _confirm(control, stream, former):
    """The epoch of the next trust state, which this stream confirms."""
    epoch_of = lambda down: dict(fields(dict(fields(down)).get(TRUST, b""))).get(1)
    epoch = epoch_of(control.answer(stream, lambda down: epoch_of(down) not in (None, former)))
    control.send(stream, field(3, field(1, epoch)))
    return epoch


def _lists(trust):
    """Their issuers, by the key that signed."""
    lists = [x509.load_der_x509_crl(der) for der in _all(_all(trust, BUNDLES)[0], LISTS)]
    return {one.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier for one in lists}


def _intermediate(story):
    rows = json.loads(story.control.run("status", "--output", "json").stdout)["authorities"]
    return {row["kind"]: row["sha256"] for row in rows}["intermediate"]


def shows_that_a_later_release_gets_the_lists_and_release_0_1_none(story):
    wait_until("the lists of root and intermediate", lambda: len(_lists(_trust(story, "new"))) == 2, 30)
    expect_eq(_lists(_trust(story, "old")), set(), "lists for release 0.1")


@needs(shows_that_a_later_release_gets_the_lists_and_release_0_1_none)
def shows_that_a_revocation_does_not_count_as_in_force_there(story):
    for words, num in ((("ban", identity_of("foe")), 2), (("revoke", "abcd12"), 1)):
        with _connect(story, "old") as control, concurrent.futures.ThreadPoolExecutor() as pool:
            stream = control.open(IDENTITY, [_hello("old")])
            former = _confirm(control, stream, None)
            done = pool.submit(story.control.run, *words, "--output", "json")
            _confirm(control, stream, former)
            answer = json.loads(done.result().stdout)
        expect_eq((answer["connected_sidecars"], answer["acknowledged"]), (2, num), " ".join(words))


@needs(shows_that_a_later_release_gets_the_lists_and_release_0_1_none)
def shows_that_the_same_holds_when_the_intermediate_is_replaced(story):
    before, first = _lists(_trust(story, "new")), _intermediate(story)
    story.control.run("revoke", "--intermediate")
    wait_until("another intermediate", lambda: _intermediate(story) != first, 20)
    seen = []

    def has_the_next_list():
        seen.append(_lists(_trust(story, "old")))
        return _lists(_trust(story, "new")) - before
    wait_until("the list of the next intermediate", has_the_next_list, 40)
    expect_eq([lists for lists in seen if lists], [], "lists for release 0.1")


@needs(shows_that_the_same_holds_when_the_intermediate_is_replaced)
def shows_that_the_answer_to_an_attestation_has_none_for_it(story):
    found = {}
    for name, features in FEATURES.items():
        token = read_token(story.control.token(identity_of(name)))
        with _connect(story, name, identity=False) as control:
            found[name] = len(_lists(control.attest(token, new_key(), features=features).trust))
    expect_eq(found["old"], 0, "lists for release 0.1")
    expect(found["new"] >= 2, "lists for a later release: %d" % found["new"])


@needs(shows_that_the_same_holds_when_the_intermediate_is_replaced)
def shows_that_bans_reach_it(story):
    story.control.run("ban", identity_of("thief"))
    expect_in(identity_of("thief").encode(), _all(_trust(story, "old"), BANS), "bans")
