#!/usr/bin/env python3
"""The project's own rules, each with its reason. Prints one line per finding, then `N passed, N failed`, where N counts rules. Run from the workspace root."""

import json
import pathlib
import re
import subprocess
import sys

import build_graph
import dead_code
import document_names
import documented_commands
import documents
import findings
import folder_readmes
import libraries
import processes
import reference
import retired_words
import sleeps
import texts as printed_texts
import threats
import units
from tree import ROOT, report_rules, tracked, tracked_texts

sys.path[:0] = [str(ROOT / "deploy/kubernetes"), str(ROOT / "test")]
import generate  # noqa: E402 (the path must be set first)
import suite  # noqa: E402


def code_of(name):
    """The file without comments and string literals, line numbers kept."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blank = lambda match: re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


SOURCES = tracked("*.c", "*.h")
CODE = {name: code_of(name) for name in SOURCES}
RAW = {name: (ROOT / name).read_text(encoding="utf-8") for name in SOURCES}
TESTS = {name for name in SOURCES if name.endswith("_test.c") or name.startswith(("test/", "bench/")) or "/test_" in name}


def grep(texts, pattern, allowed=lambda name: False):
    expression = re.compile(pattern, re.M)
    for name, text in texts.items():
        if allowed(name):
            continue
        for match in expression.finditer(text):
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group(0).strip()}"


def banned_functions():
    """strcpy and similar functions have no bounds; atoi and similar functions report no errors."""
    return grep(CODE, r"\b(strcpy|strcat|sprintf|vsprintf|gets|atoi|atol|strtol|strtoul|sscanf|strncpy|alloca)\s*\(",
                lambda name: name.startswith("test/interop/"))  # a peer that only the tests run


def no_program_starts_a_shell():
    """A name that becomes part of a command line is a command (abuse case S10): rules go to the kernel by libnftables. The
    programs that are started are our own signer, the operator's command that signs intermediates, handfast-init by the agent of a node, the one that `handfast-sidecar svid`
    is given, by its path alone, and the command line starts the credential plugin that the user's kubeconfig names, with
    its words as they stand there."""
    return grep(CODE, r"(?<![\w.>])(system|popen|wordexp|exec[lv]p?e?|fexecve|posix_spawnp?)\s*\(",
                lambda name: name in ("control/issue/issuer.c", "control/ca_source/ca_command.c", "control/ca_source/command_runner.c", "control/pkcs11/token_start.c", "sidecar/svid/svid_notice.c", "intercept/cni/starter.c", "base/kube/kube_plugin.c") or name in TESTS)


def the_allocator_is_used_in_one_file():
    """Only base/core/mem handles a failed allocation."""
    return grep(CODE, r"(?<![\w.>])(malloc|calloc|realloc|strdup|strndup|asprintf|free)\s*\(",
                lambda name: name == "base/core/mem.c" or name in TESTS)


def sockets_are_made_in_one_folder():
    """Only base/net makes descriptors, with CLOEXEC and NONBLOCK from the start."""
    return grep(CODE, r"(?<![\w.>])(socket|accept|accept4)\s*\(",
                lambda name: name.startswith("base/net/") or name in TESTS)


def json_is_written_in_one_file():
    """Only base/json writes a JSON value into a buffer: its callback was written ten times before."""
    return grep(CODE, r"(?<![\w.>])(json_dump_callback|json_dumps)\s*\(",
                lambda name: name.startswith("base/json/") or name in TESTS)


def fixed_numbers_stand_in_one_header():
    """The sidecar's ports and its id were in ten files. Not those: a mark of packets and a routing table of that number."""
    without_comments = {name: re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match.group(0)), text, flags=re.S)
                        for name, text in RAW.items()}
    return grep(without_comments, r"\b(1337|15000|15001|15006|15008|15020)\b(?!, LOG_EACH_MS)",
                lambda name: name in TESTS or name in ("base/core/fixed_ports.h", "base/net/source_mark.h", "intercept/source_route.c"))


def numbers_are_parsed_in_one_file():
    """Twenty-five parsers of decimal numbers gave different answers to leading zeros and large numbers. The stamps of Kubernetes
    are 14 digits with others between them."""
    return grep(CODE, r"\* *10 *\+ *\(|\b10 *\* *\w+ *\+ *\(",
                lambda name: name in TESTS or name in ("base/core/number.c", "control/kube/objects.c", "control/kube/policy_set.c"))


INCLUDED_IN = {
    "ev.h": ("base/core/",),
    "openssl/": ("base/tls/", "certs/", "control/issue/"),
    "nghttp2/": ("base/h2/",),
    "sqlite3.h": ("control/store/",),
    "nftables/": ("intercept/",),
    "ares.h": ("base/net/",),
    "p11-kit-1/": ("control/pkcs11/",),
    "seccomp.h": ("base/sandbox/",),
}


def third_party_headers_are_included_in_few_folders():
    """So that a library can be replaced, and its pitfalls are handled in one place."""
    for header, folders in INCLUDED_IN.items():
        yield from grep(RAW, r"^\s*#\s*include\s*<" + re.escape(header) + r"[^>]*>",
                        lambda name, folders=folders: name.startswith(folders) or name in TESTS)


def balanced(text, at, opening, closing):
    """The end of what opens at `at`."""
    depth = 0
    for end in range(at, len(text)):
        depth += {opening: 1, closing: -1}.get(text[end], 0)
        if depth == 0:
            return end
    return len(text)


# Names in capitals that are not Handfast's enums: the compiler does not check these for gaps, so a default is correct.
NOT_OURS = re.compile(r"E[A-Z0-9]+|SIG[A-Z]+|AF_\w+|IPPROTO_\w+|SO_\w+|S_IF\w+|YAML_\w+|SSL_\w+|X509_\w+|NID_\w+|NGHTTP2_\w+|SQLITE_\w+"
                      r"|V_ASN1_\w+|CBS_ASN1_\w+|ARES_\w+|HANDFAST__V1__\w+|EVP_\w+|JSON_\w+")


def enum_switches_have_no_default():
    """The compiler finds a missing case only where there is no default."""
    for name, text in CODE.items():
        for match in re.finditer(r"\bswitch\s*\(", text):
            body_at = text.find("{", balanced(text, match.end() - 1, "(", ")"))
            body = text[body_at:balanced(text, body_at, "{", "}")]
            default = re.search(r"\bdefault\s*:", body)
            labels = re.findall(r"\bcase\s+([A-Z][A-Z0-9]*_[A-Z0-9_]+)\s*:", body)
            if default and any(not NOT_OURS.fullmatch(label) for label in labels):
                yield f"{name}:{text.count(chr(10), 0, body_at + default.start()) + 1}: default in a switch over an enum"


def comments_have_one_style():
    """/* */ only, and a comment of several lines carries a star on each."""
    for name, text in RAW.items():
        without_strings = re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/', lambda match: re.sub(r"[^\n]", " ", match.group(0)), text, flags=re.S)
        for number, line in enumerate(without_strings.splitlines(), 1):
            if "//" in line:
                yield f"{name}:{number}: a // comment"
        for match in re.finditer(r"^[ \t]*/\*.*?\*/", text, re.M | re.S):
            if any(not line.lstrip().startswith("*") for line in match.group(0).splitlines()[1:]):
                yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: a line of the comment without a star"


# Lines of the control plane that neither strangers nor sidecars can cause often: commands of an operator, events that a rate limits already (attested, renewed), events once per episode or once per process.
RARE_LINES = ("join token", "banned", "unbanned", "lifted", "revoked", "released by an operator", "attested: ", "renewed: ", "a limit is reached",
              "the limit of", "the server certificate", "too many bans", "the epoch could not", "the bundle cannot",
               "this machine was suspended", "the clock", "forgotten: ", "serve_condition_name",
               "the signer has a new", "answers again", "no certificate can be made", "JWT-SVIDs",
               "JWT-SVID issued: ", "the other authority", "the partner %s", "of a partner",
               "a revocation list", "cut off from the store")  # one per connection and minute


def log_lines_from_outside_are_rate_limited():
    """A stranger must not fill the log: in control/serve and control/distribute a line is guarded by limited_log_allows_...() or is in RARE_LINES. Lines that operators cause are exempt: operators are root."""
    for name, text in RAW.items():
        if not name.startswith(("control/serve/", "control/distribute/")) or name in TESTS or "/operator_" in name:
            continue
        for match in re.finditer(r"\blog_(?:error|warning|notice|why)\(", text):
            before = "\n".join(text[:match.start()].splitlines()[-4:])
            if "limited_log_allows_" in before or any(rare in text[match.start():match.start() + 200] for rare in RARE_LINES):
                continue
            yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group(0)} without limited_log_allows_...()"


# Files without a test of their own name beside them, and the test of each, which must exist.
TESTED_ELSEWHERE = {
    "intercept/rtnetlink.c": "intercept/loopback_addr_test.c",
    "intercept/source_route.c": "intercept/check_test.c",
    "sidecar/direct/direct_leg.c": "test/integration/166_mutual_tls_without_a_tunnel.py",
    "sidecar/identity/kept_identity.c": "sidecar/identity/identity_kept_test.c",
    # Parts of the verifier, tested through what it accepts and refuses.
    "certs/cert.c": "certs/svid_test.c",
    "certs/cert_rules.c": "certs/verify_leaf_test.c",
    "certs/crl.c": "certs/verify_revocation_test.c",
    "certs/bundle_crls.c": "certs/verify_revocation_test.c",
    "certs/path.c": "certs/verify_path_test.c",
    "certs/path_verdict.c": "certs/verify_path_test.c",
    # Files that consist of system calls or need the control plane's socket are tested in stories.
    "intercept/cni/agent.c": "test/integration/200_the_cni_plugin_writes_the_rules.py",
    "intercept/cni/agent_config.c": "test/integration/200_the_cni_plugin_writes_the_rules.py",
    "intercept/cni/daemon_set.c": "test/integration/200_the_cni_plugin_writes_the_rules.py",
    "intercept/cni/install.c": "test/integration/200_the_cni_plugin_writes_the_rules.py",
    "intercept/cni/plugin.c": "test/integration/200_the_cni_plugin_writes_the_rules.py",
    "cli/cluster/pod_page.c": "test/kube/stories/016_status_and_why_of_a_pod.py",
    "cli/cluster/pod_forward.c": "test/kube/stories/016_status_and_why_of_a_pod.py",
    "cli/cluster/control_forward.c": "test/kube/stories/023_an_operator_commands_the_control_plane.py",
    "cli/cluster/steps_of_pods.c": "test/kube/stories/017_check_of_ports_services_and_times.py",
    "cli/cluster/steps_of_times.c": "test/kube/stories/017_check_of_ports_services_and_times.py",
    "cli/cluster/pod_pages.c": "test/kube/stories/016_status_and_why_of_a_pod.py",
    "cli/pod_status.c": "test/kube/stories/016_status_and_why_of_a_pod.py",
    "cli/call.c": "test/integration/151_the_command_line.py",
    "cli/operator_commands.c": "test/integration/151_the_command_line.py",
    "cli/policy_check.c": "test/integration/272_policy_is_explained.py",
    "cli/policy_list.c": "test/integration/272_policy_is_explained.py",
    "cli/policy_of.c": "test/integration/272_policy_is_explained.py",
    "cli/cluster/document_file.c": "test/kube/stories/014_handfast_check.py",
    "control/serve/policy_warnings.c": "test/integration/272_policy_is_explained.py",
    "cli/policy_file.c": "test/integration/272_policy_is_explained.py",
    "cli/policy_dry_run.c": "test/integration/272_policy_is_explained.py",
    "cli/policy_lint.c": "test/integration/272_policy_is_explained.py",
    "control/serve/operator_policy.c": "test/integration/272_policy_is_explained.py",
    "policy/policy_message.c": "sidecar/discovery/messages_test.c",
    "sidecar/sidecar_policy_page.c": "test/integration/272_policy_is_explained.py",
    "control/distribute/encode_policy.c": "control/distribute/encode_test.c",
    "cli/tokens.c": "test/integration/152_bans_and_tokens.py",
    "cli/settings.c": "test/integration/177_the_reference_pages_are_true.py",
    "cli/status.c": "test/integration/151_the_command_line.py",
    "cli/cluster/api.c": "test/kube/stories/014_handfast_check.py",
    "cli/cluster/cluster_check.c": "test/kube/stories/014_handfast_check.py",
    "cli/cluster/cluster_inject.c": "test/kube/stories/014_handfast_check.py",
    "cli/cluster/findings.c": "cli/cluster/checks_test.c",
    "cli/page.c": "cli/sidecar_pages_test.c",
    "control/serve/jwt_keys.c": "test/integration/223_jwt_svids.py",
    "sidecar/workload_api/bundle_entries.c": "sidecar/workload_api/workload_messages_test.c",
    "sidecar/workload_api/jwt_messages.c": "test/integration/223_jwt_svids.py",
    "sidecar/identity/istio_source.c": "test/integration/310_an_identity_from_an_istio_ca.py",
    "sidecar/identity/source_identity.c": "test/integration/224_an_identity_from_another_agent.py",
    "sidecar/identity/workload_source.c": "test/integration/224_an_identity_from_another_agent.py",
    "sidecar/identity/discovery_link.c": "test/integration/224_an_identity_from_another_agent.py",
    "sidecar/workload_api/workload_stream.c": "sidecar/workload_api/workload_api_test.c",
    "sidecar/workload_api/sds_stream.c": "test/integration/220_the_workload_gets_its_identity.py",
    # Composition roots: the stories start whole programs.
    "control/control.c": "test/integration/053_restarts_and_drain.py",
    "control/control_drain.c": "test/kube/stories/033_a_replica_that_ends_answers_the_webhook.py",
    "control/control_reload.c": "test/integration/070_bad_input.py",
    "control/kube/kube_plane.c": "test/kube/stories/010_install_to_the_first_encrypted_call.py",
    "control/control_resolver.c": "test/integration/260_two_meshes_federate.py",
    "control/control_federation.c": "test/integration/260_two_meshes_federate.py",
    "control/federate/https_get.c": "test/integration/261_partners_that_misbehave.py",
    "control/federate/own_bundle.c": "test/integration/260_two_meshes_federate.py",
    "control/federate/endpoint.c": "test/integration/261_partners_that_misbehave.py",
    "control/federate/endpoint_conn.c": "test/integration/261_partners_that_misbehave.py",
    "control/federate/endpoint_identity.c": "test/integration/260_two_meshes_federate.py",
    "control/federate/federation_commands.c": "test/integration/261_partners_that_misbehave.py",
    "control/serve/operator_federation.c": "test/integration/261_partners_that_misbehave.py",
    "control/serve/operator_federation_messages.c": "test/integration/261_partners_that_misbehave.py",
    "control/federate/federation.c": "test/integration/260_two_meshes_federate.py",
    "control/control_etcd.c": "test/integration/230_several_control_planes.py",
    "control/control_attestation.c": "test/integration/251_processes_of_this_host_attest.py",
    "control/serve/operator_entry_messages.c": "test/integration/252_fifty_keys_and_one_token.py",
    "control/control_keys_carry.c": "test/integration/230_several_control_planes.py",
    "control/control_keys.c": "test/kube/stories/010_install_to_the_first_encrypted_call.py",
    "control/control_kubernetes.c": "test/kube/stories/010_install_to_the_first_encrypted_call.py",
    "control/control_children.c": "test/integration/241_an_authority_that_is_asked.py",
    "control/control_fence.c": "test/integration/141_a_lost_or_older_store.py",
    "control/control_restore.c": "test/integration/141_a_lost_or_older_store.py",
    "control/control_backup.c": "test/integration/146_backups_under_newer_sidecars.py",
    "control/control_unpack.c": "test/integration/146_backups_under_newer_sidecars.py",
    "control/control_page.c": "test/integration/336_the_operators_page.py",
    "control/serve/page_seen.c": "test/integration/338_sidecars_report_to_the_page.py",
    "sidecar/sidecar_peers.c": "test/integration/338_sidecars_report_to_the_page.py",
    "control/serve/page_edges.c": "test/integration/336_the_operators_page.py",
    "control/distribute/interests.c": "control/distribute/distribute_test.c",
    "control/control_start.c": "test/integration/053_restarts_and_drain.py",
    "sidecar/sidecar.c": "test/integration/020_a_request_travels_in_a_tunnel.py",
    "sidecar/sidecar_drain.c": "test/integration/053_restarts_and_drain.py",
    "sidecar/sidecar_families.c": "test/integration/102_a_family_that_the_mesh_does_not_cover.py",
    "sidecar/sidecar_rules.c": "test/integration/322_rules_and_sidecar_of_different_modes.py",
    "sidecar/sidecar_endpoints_page.c": "test/integration/324_the_zones_of_endpoints_are_shown.py",
    "sidecar/worker/worker_set_aside.c": "test/integration/324_the_zones_of_endpoints_are_shown.py",
    "cli/confine.c": "test/integration/343_forbidden_calls_are_refused.py",
    "sidecar/sidecar_conditions.c": "test/integration/374_a_release_is_shown.py",
    "sidecar/sidecar_health.c": "test/integration/375_the_health_of_sidecars_is_shown.py",
    "sidecar/sidecar_confine.c": "test/integration/174_system_calls_are_restricted_to_a_list.py",
    "sidecar/sidecar_hand_over.c": "test/integration/340_a_sidecar_is_upgraded_in_place.py",
    "sidecar/sidecar_formers.c": "test/integration/372_a_former_process_keeps_to_changed_modes.py",
    "sidecar/sidecar_successor.c": "test/integration/372_a_former_process_keeps_to_changed_modes.py",
    "sidecar/sidecar_interfaces.c": "test/integration/340_a_sidecar_is_upgraded_in_place.py",
    "sidecar/sidecar_take_over.c": "test/integration/340_a_sidecar_is_upgraded_in_place.py",
    "sidecar/sidecar_kept.c": "test/integration/145_sidecars_restart_without_a_control_plane.py",
    "sidecar/sidecar_clients.c": "test/integration/030_connections_before_identity.py",
    "sidecar/sidecar_config_page.c": "test/integration/172_settings_in_force.py",
    "sidecar/sidecar_reload.c": "test/integration/172_settings_in_force.py",
    "sidecar/sidecar_revocation_lists.c": "test/integration/214_lists_and_old_identities.py",
    "sidecar/sidecar_identity.c": "test/integration/224_an_identity_from_another_agent.py",
    "sidecar/sidecar_root_expiry.c": "test/integration/143_the_root_expires_soon.py",
    "sidecar/sidecar_clock.c": "test/integration/357_clocks_that_differ_are_shown.py",
    "sidecar/sidecar_certificates.c": "test/integration/143_the_root_expires_soon.py",
    "sidecar/sidecar_pages.c": "sidecar/worker/worker_pages_test.c",
    "sidecar/sidecar_probes.c": "test/integration/044_probes_of_strict_ports.py",
    # --version, which the gate for the shipped programs reads.
    "control/versions.c": "test/lint/hardening.py",
    "sidecar/versions.c": "test/lint/hardening.py",
    "intercept/cni/versions.c": "test/lint/hardening.py",
    # The signer is a child process: its parts are tested as the issuer sees them.
    "control/issue/confine.c": "control/issue/issuer_test.c",
    "control/issue/key_folder.c": "control/issue/authority_test.c",
    "control/issue/signer.c": "control/issue/issuer_test.c",
    "control/registry/claim.c": "control/registry/claiming_test.c",
    "control/registry/svid_holders.c": "control/attest/attest_test.c",
    # The services are tested over real streams of a real client.
    "control/serve/grant.c": "control/serve/enrollment_test.c",
    "control/serve/messages_down.c": "control/serve/identity_service_test.c",
    "control/serve/messages_up.c": "control/serve/enrollment_test.c",
    "control/serve/operator_messages.c": "test/integration/152_bans_and_tokens.py",
    "control/serve/operator_ca.c": "test/integration/210_the_root_is_rotated.py",
    "control/serve/operator_ca_messages.c": "test/integration/210_the_root_is_rotated.py",
    "control/serve/authorities.c": "test/integration/153_what_status_shows.py",
    "control/serve/operator_revoke.c": "test/integration/211_certificates_are_revoked.py",
    "control/registry/revocations.c": "test/integration/211_certificates_are_revoked.py",
    "control/serve/rotation_progress.c": "test/integration/210_the_root_is_rotated.py",
    "control/serve/operator_lists.c": "test/integration/152_bans_and_tokens.py",
    "control/serve/signer_watch.c": "test/integration/154_a_degraded_control_plane.py",
    # Internal to the store.
    "control/store/database.c": "control/store/store_test.c",
    # BoringSSL calls it.
    "base/tls/socket_bio.c": "base/tls/tls_session_test.c",
    # A file of settings, its overlays and its values: as the programs read them.
    "base/settings/setting_list.c": "base/settings/settings_test.c",
    "base/settings/setting_value.c": "base/settings/settings_errors_test.c",
    "base/settings/settings_overlay.c": "base/settings/settings_test.c",
    "base/settings/settings_yaml.c": "base/settings/settings_test.c",
    # What a program prints: as a shell and man(1) read it.
    "base/settings/command_line/completion.c": "test/integration/273_the_command_line_in_a_shell.py",
    "base/settings/command_line/completion_bash.c": "test/integration/273_the_command_line_in_a_shell.py",
    "base/settings/command_line/completion_fish.c": "test/integration/273_the_command_line_in_a_shell.py",
    "base/settings/command_line/completion_zsh.c": "test/integration/273_the_command_line_in_a_shell.py",
    "base/settings/command_line/man_page.c": "test/integration/273_the_command_line_in_a_shell.py",
    "control/store/etcd/etcd_link.c": "test/integration/230_several_control_planes.py",
    "control/store/mirror.c": "control/store/store_test.c",
    "sidecar/worker/worker_gather.c": "sidecar/worker/worker_test.c",
    "sidecar/worker/worker_listeners.c": "sidecar/worker/worker_test.c",
    "sidecar/conn/close_reason.c": "sidecar/conn/conn_inbound_test.c",
    # Both have a stream to a control plane, which the stories stop and start again.
    "sidecar/discovery/discovery_client.c": "test/integration/052_an_outage_of_the_control_plane.py",
    "sidecar/identity/control_link.c": "test/integration/052_an_outage_of_the_control_plane.py",
}


# Where each source has a test of its own; elsewhere one may be that of a library of several files.
EACH_SOURCE_HAS_A_TEST = ("base/",)


def every_library_has_a_test():
    """foo.c has foo_test.c beside it; outside of base/ a library of several files may be tested under its name or by idea."""
    targets = build_graph.read(ROOT, tracked("BUILD", "*/BUILD"))
    tests = [target for target in targets if target.rule == "hf_test"]
    for target in targets:
        if target.rule != "hf_library" or target.testonly:
            continue
        sources = [name for name in target.srcs if name.endswith(".c")]
        named = {name for name in sources if name[:-2] + "_test.c" in RAW}
        for name in sources:
            if name in named or name in TESTED_ELSEWHERE or not name.startswith(("base/", "certs/", "sidecar/", "control/", "intercept/", "cli/")):
                continue
            is_shared = len(sources) > 1 and not name.startswith(EACH_SOURCE_HAS_A_TEST)
            if is_shared and (named or f"{target.package}/{target.name}_test.c" in RAW):
                continue
            if is_shared and any(target.label in test.deps and test.package == target.package for test in tests):
                continue
            yield f"{name}: no {name[:-2]}_test.c"
    for name, where in TESTED_ELSEWHERE.items():
        if name not in RAW or not (ROOT / where).is_file():
            yield f"{name}: TESTED_ELSEWHERE names {where}; one of them does not exist"
        elif name[:-2] + "_test.c" in RAW:
            yield f"{name}: has a test of its own now; remove it from TESTED_ELSEWHERE"


# Folder: what it may use (docs/design.md, "Folders"), as its README states too. A prefix ending in / means all below; tests may use anything.
CORE, BASE = ("base/core",), ("base/",)
MAY_USE = {
    "base/core": ("third_party/libev",),
    "base/health": CORE,
    "base/net": CORE + ("third_party/cares",),
    "base/http": CORE + ("base/net", "third_party/http_parser"),
    "base/json": CORE + ("third_party/jansson",),
    "base/settings/command_line": CORE + ("base/json", "base/settings", "third_party/jansson"),
    "base/sandbox": CORE + ("third_party/seccomp",),
    "base/settings": CORE + ("base/net", "third_party/yaml"),
    "base/pb": CORE + ("third_party/protobuf_c",),
    "base/h2": CORE + ("third_party/nghttp2",),
    "base/tls": CORE + ("base/net", "base/settings", "certs", "@boringssl"),  # settings: of tls.profile and tls.groups alone
    # A web server's identity and chain; of rpc the transport alone.
    "base/kube": CORE + ("base/http:http_answer", "base/http:http_date", "base/http:websocket", "base/json", "base/net", "base/rpc:h2_link", "base/rpc:transport", "base/rpc:web_dial", "base/tls", "certs", "third_party/jansson", "third_party/yaml"),
    "base/rpc": CORE + ("base/h2", "base/tls", "base/net", "certs"),
    "certs": CORE + ("@boringssl",),
    "proto": ("third_party/protobuf_c",),
    # Pure; the sidecar decides by it, the control plane and the command line explain by it (decision 076).
    "policy": CORE + ("base/pb", "certs:spiffe_id", "proto", "third_party/jansson"),
    "sidecar/leg": CORE + ("base/net",),
    "sidecar/relay": CORE + ("sidecar/leg",),
    "sidecar/tunnel": CORE + ("base/h2", "base/tls", "base/net", "certs", "sidecar/leg"),  # a tunnel's stream is a leg
    "sidecar/tunnel/pool": CORE + ("base/h2", "base/tls", "certs", "sidecar/leg", "sidecar/tunnel"),
    "sidecar/route": CORE + ("base/net", "certs:spiffe_id"),
    "sidecar/conn": CORE + ("base/net", "certs:credentials", "sidecar/direct", "sidecar/leg", "sidecar/route", "sidecar/tunnel", "sidecar/tunnel/pool",
                            "policy", "sidecar/relay", "sidecar/report"),
    "sidecar/probe": CORE + ("base/net", "base/rpc"),
    # The table of close reasons gives the labels of a counter.
    "sidecar/report": CORE + ("base/http", "base/json", "base/net", "base/tls:key_exchange", "certs", "sidecar/conn:close_reason", "third_party/jansson"),
    "sidecar/identity": BASE + ("certs", "proto", "third_party/jansson"),
    "sidecar/svid": BASE + ("certs", "proto"),
    "sidecar/workload_api": BASE + ("certs", "proto", "third_party/jansson"),
    "sidecar/discovery": BASE + ("proto", "policy", "sidecar/route"),  # it speaks of both
    "sidecar/direct": CORE + ("base/net", "base/tls", "certs", "sidecar/leg"),
    "sidecar/worker": CORE + ("base/http", "base/net", "base/tls", "certs", "sidecar/conn", "sidecar/direct", "sidecar/report", "sidecar/route", "sidecar/tunnel",
                       "sidecar/tunnel/pool"),
    "sidecar": BASE + ("certs", "policy", "sidecar/", "third_party/"),
    "control/store": CORE + ("base/json", "base/kube", "base/net", "certs:digest", "third_party/jansson", "third_party/sqlite"),
    "control/store/etcd": CORE + ("base/net", "base/pb", "base/rpc", "control/store", "proto"),
    "control/issue": CORE + ("base/net", "base/sandbox", "certs", "control/pkcs11:token_wire", "@boringssl"),
    "control/audit": CORE + ("base/net", "certs:digest"),
    "control/pkcs11": CORE + ("base/net", "control/issue:confine", "third_party/pkcs11"),
    "control/ca_source": CORE + ("base/net", "base/settings", "certs", "control/issue", "control/rotate"),
    "control/rotate": CORE + ("certs:digest", "control/issue", "control/store"),
    "control/config": CORE + ("base/settings", "base/tls:key_exchange", "base/tls:key_exchange_settings", "certs:spiffe_id", "control:state_folder"),
    "control/report": CORE + ("base/http",),
    "control/federate": BASE + ("certs", "control/config", "control/issue", "control/report", "control/store"),
    "control/registry": CORE + ("certs", "control/config", "control/store"),
    "control/attest": CORE + ("base/net", "certs", "control/config:workload_entry", "control/registry", "control/store"),
    "control/distribute": CORE + ("base/pb", "base/rpc", "certs:digest", "control/config", "control/registry", "policy", "proto"),
    "control/serve": BASE + ("certs", "proto", "control/", "third_party/jansson"),  # the page's state
    "control/kube": BASE + ("certs", "control/", "third_party/jansson"),
    "control/page": CORE + ("base/http", "certs:digest"),
    "control": BASE + ("certs", "control/", "third_party/"),
    # Injection is pure, and what is printed and what is checked must be what the webhook does.
    "cli/cluster": BASE + ("certs:describe", "certs:expiry", "certs:pem", "cli:confine", "cli:show", "control/kube:inject",
                            "sidecar/identity:control_address", "third_party/jansson", "third_party/yaml"),
    "cli": BASE + ("certs:digest", "cli/cluster", "control/audit:audit_chain", "control/audit:audit_verify", "control/config", "control/distribute:encode_policy", "control/distribute:policy_review", "control/kube:policy_advice", "control/kube:policy_set", "policy", "proto", "third_party/jansson", "third_party/yaml"),
    "intercept/cni": BASE + ("third_party/",),
    "intercept": CORE + ("base/json", "base/sandbox", "base/settings/command_line", "base/net", "base/settings:setting_table", "third_party/jansson", "third_party/nftables"),
}


def folders_use_what_they_may():
    """The dependencies of docs/design.md: a new one is first added there."""
    for target in build_graph.read(ROOT, tracked("BUILD", "*/BUILD")):
        allowed = MAY_USE.get(target.package)
        if allowed is None or target.testonly or target.rule not in ("hf_library", "hf_binary"):
            continue
        for dep in target.deps:
            label = dep.removeprefix("//")
            folder = label.split(":")[0]
            fits = any(label == use or folder == use or (use.endswith("/") and label.startswith(use)) or label.startswith(use + "//")
                       for use in allowed)
            if folder != target.package and not fits:
                yield f"{target.label}: may not use {dep}"


def private_headers_stay_in_their_target():
    """A target includes headers of its own and `hdrs` of others; gcc builds without that, clang does not."""
    targets = build_graph.read(ROOT, tracked("BUILD", "*/BUILD"))
    public = {name for target in targets for name in target.hdrs}
    private = {name for target in targets for name in target.srcs if name.endswith(".h")} - public
    for target in targets:
        for name in target.srcs + target.hdrs:
            for header in build_graph.includes(RAW.get(name, "")):
                if header in private and header not in target.srcs:
                    yield f"{name}: {target.label} includes {header}, which is in srcs of another target; move it to hdrs there"


def targets_depend_on_what_they_include():
    """A target depends on the library of each header that a file of it includes; gcc builds without that, clang does not."""
    targets = build_graph.read(ROOT, tracked("BUILD", "*/BUILD"))
    aliases = {target.label: target.actual for target in targets if target.actual}
    owners = {}
    for target in targets:
        for name in target.hdrs:
            owners.setdefault(name, set()).add(target.label)
    for target in targets:
        near = {target.label, *(aliases.get(dep, dep) for dep in target.deps)}
        for name in target.srcs:
            for header in build_graph.includes(RAW.get(name, "")) if name.endswith(".c") else ():
                if header in owners and not owners[header] & near and header not in target.srcs:
                    yield f"{name}: {target.label} includes {header} and does not depend on {' or '.join(sorted(owners[header]))}"


# Functions above 60 lines, each with its reason.
LONG_FUNCTIONS = {
}


def functions_fit_a_screen():
    """A function with more than 60 lines needs a reason (docs/style.md, rule 9)."""
    command = ["ctags", "--languages=C", "--kinds-C=f", "--fields=+ne", "--output-format=json", "-f", "-", *SOURCES]
    for line in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        tag = json.loads(line)
        lines = tag.get("end", tag["line"]) - tag["line"] + 1
        if lines > 60 and (tag["path"], tag["name"]) not in LONG_FUNCTIONS:
            yield f"{tag['path']}:{tag['line']}: {tag['name']} has {lines} lines"


def folders_have_a_readme():
    """One page per folder: purpose, files in reading order, allowed dependencies."""
    for folder in sorted({str(pathlib.PurePosixPath(name).parent) for name in SOURCES}):
        if not (ROOT / folder / "README.md").is_file():
            yield f"{folder}: no README.md"
    for name in tracked("*README.md"):
        lines = (ROOT / name).read_text(encoding="utf-8").count("\n")
        if lines > 60 and name != "README.md":
            yield f"{name}: {lines} lines, more than a page"


def readmes():
    """{folder: text}; for what is compared with the tree."""
    return {str(pathlib.PurePosixPath(name).parent): text for name, text in tracked_texts("*README.md").items()}


def readmes_state_what_a_folder_may_use():
    """The sentence 'May use: `a`, `b`.' of a folder's README has the targets of MAY_USE, no more and no less."""
    return folder_readmes.uses_are_those_of_the_table(MAY_USE, readmes())


def readmes_name_their_files():
    """The README of a folder names each .c, .h and .def file that is no test's (docs/style.md, rule 11)."""
    return folder_readmes.files_are_named(tracked("*.c", "*.h", "*.def"), readmes())


def no_unfinished_words():
    """Unfinished work is recorded as an issue, not in a comment."""
    word = r"(?i)\b(TODO|FIXME|XXX|HACK|not implemented)\b"
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace")
             for name in tracked("*.c", "*.h", "*.md", "*.sh", "*.py", "*.proto", "BUILD", "*/BUILD", "*.bzl")
             if not name.startswith(("docs/decisions/", "test/lint/"))}
    return grep(texts, word)


def no_private_keys():
    """No commit contains a key, not even a test key: keys are made when they are needed."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in tracked()
             if not name.startswith("test/lint/")}
    return grep(texts, r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=]")


def fuzz_targets_run_as_tests():
    """Each fuzz target is built, and has a corpus that runs as an ordinary test (abuse case S8)."""
    build = (ROOT / "test/fuzz/BUILD").read_text(encoding="utf-8")
    for name in tracked("test/fuzz/*_fuzz.c"):
        parser = pathlib.PurePosixPath(name).stem.removesuffix("_fuzz")
        if f'("{parser}", [' not in build:
            yield f"{name}: no target in test/fuzz/BUILD"
        if not tracked(f"test/fuzz/corpus/{parser}/*"):
            yield f"{name}: no file in test/fuzz/corpus/{parser}"


def files_stay_small():
    """A file with more than 400 lines has more than one purpose; tables and tests are exempt."""
    for name in SOURCES:
        lines = RAW[name].count("\n")
        if lines > 400 and name not in TESTS:
            yield f"{name}: {lines} lines"


def tests_stay_on_their_own_addresses():
    """Test hosts have addresses of the documentation ranges or loopback: a test must not reach other hosts."""
    texts = {name: (ROOT / name).read_text(encoding="utf-8") for name in tracked("test/*.py", "test/*.sh", "bench/*.py", "docker/*.py")}
    return grep(texts, r"(?<![\d.])(?:10|172\.(?:1[6-9]|2\d|3[01])|192\.168)\.[\d%]+\.[\d%]+[^\n]*",
                lambda name: name == "test/integration/070_bad_input.py")  # an option that is refused


def metrics_are_set():
    """A counter that no code sets is always 0, and an alert on it never fires: each name of a metrics.def has a row
    whose symbol code outside of tests names (rows of one name are often counted from the first)."""
    for table in tracked("*metrics.def"):
        rows = re.findall(r'^METRIC(?:_DURATION|_OF_PARTNER)?\((\w+),(?: METRIC_\w+,)? "(\w+)"', (ROOT / table).read_text(encoding="utf-8"), re.M)
        code = "".join(text for name, text in CODE.items() if name not in TESTS)
        for name in sorted({name for _, name in rows}):
            symbols = [symbol for symbol, of in rows if of == name]
            if not any(re.search(r"\b%s\b" % symbol, code) for symbol in symbols):
                yield f"{table}: nothing sets {name} ({symbols[0]})"


def headers_are_guarded():
    """#pragma once, everywhere, first."""
    for name in SOURCES:
        if name.endswith(".h") and "#pragma once" not in RAW[name]:
            yield f"{name}: no #pragma once"


COMMAND_TABLES = {"handfast": "cli", "handfast-cni": "intercept/cni", "handfast-control": "control", "handfast-init": "intercept", "handfast-sidecar": "sidecar"}


def commands_of(program):
    """The rows of a program's commands.def, from which the program is built."""
    text = (ROOT / COMMAND_TABLES[program] / "commands.def").read_text(encoding="utf-8")
    return re.findall(r'^COMMAND\("([^"]+)"', text, re.M)


# Where a program's name is a noun: "handfast-init adds it".
NOUNS = {"handfast-control signer", "handfast-cni and", "handfast-cni on"}


def texts_that_operators_read():
    """(place, text): string literals of the product, and the code in its documents and examples."""
    for name in SOURCES + tracked("*.def"):
        if name not in TESTS:
            text = (ROOT / name).read_text(encoding="utf-8")
            joined = re.sub(r'"\s*\n\s*"', "", re.sub(r"/\*.*?\*/", "", text, flags=re.S))
            yield from ((name, match) for match in re.findall(r'"((?:\\.|[^"\\\n])*)"', joined))
    for name in tracked("*README.md", "docker/*.yaml", "docs/*.md", "docs/decisions/*.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        yield from ((name, match) for match in re.findall(r"`([^`\n]+)`|^    (handfast\S* .*)$", text, re.M) for match in match if match)


def commands_in_texts_exist():
    """Every command that a text names is in its program's table."""
    mention = re.compile(r"(?<![\w/.-])(handfast(?:-control|-init|-sidecar|-cni)?) ([a-z][a-z-]*(?: [a-z][a-z-]*)?)")
    for name, text in texts_that_operators_read():
        for program, words in mention.findall(text):
            commands = commands_of(program)
            first = words.split()[0]
            if f"{program} {first}" in NOUNS or first in commands or any(words == command for command in commands):
                continue
            yield f"{name}: {program} {words}: no such command; {program} has {', '.join(commands)}"


def printed_texts_are_whole():
    """A command in what programs print stands in backquotes, and no text is cut at the end of its field."""
    first_words = {command.split()[0] for program in COMMAND_TABLES for command in commands_of(program)}
    return printed_texts.findings(tracked_texts("*.c", "*.h", "*.def"), first_words)


# Actions that need a command: a text that advises one names the command.
DEEDS = re.compile(r"lift the ban|(?:new|fresh) (?:join )?token|give the sidecar a|a new one: |rotate the|release (?:it|the claim)\b", re.I)


def advice_names_its_command():
    """"Lift the ban" helps only where the command stands beside it."""
    for name, text in texts_that_operators_read():
        if name.endswith((".c", ".h", ".def")) and not name.endswith("/commands.def") and DEEDS.search(text) and "handfast " not in text:
            yield f"{name}: {text}"


# Where a path may be opened. The control plane's network process has no access to most of the file system once it is confined
# (control/issue/confine.c): a path that is opened later works in a test and always fails in service (finding I1).
OPENS_PATHS = {
    "base/net/fd.c": "whole files, of folders that confine_network() lists",
    "base/net/exchanged_file.c": "the signer's mark, in its key folder",
    "control/control_fence.c": "in the store's folder",
    "base/core/log.c": "at the start, before anything is confined",
    "base/kube/kube_plugin.c": "/dev/null, as standard input of a credential plugin",
    "intercept/cni/plugin.c": "the network namespace of a pod; the plugin has no list of paths",
    "base/core/line_out.c": "at the start",
    "base/net/resolver.c": "whether it still can; else the servers that were kept are used",
    "base/core/process_facts.c": "at the start",
    "base/net/tcp_table.c": "at the start",
    "control/store/database.c": "at the start, and its own folder",
    "control/control_backup.c": "a command, which has no list of paths",
    "base/sandbox/landlock.c": "its purpose",
    "sidecar/main.c": "`upgrade`, before the process is confined",
    "control/issue/confine.c": "its purpose",
    "control/audit/audit.c": "in the store's folder",
    "control/attest/unix_facts.c": "/proc, which its rules have where listen.streams_socket is set",
    "cli/audit.c": "the operator's files",
    "sidecar/identity/state_folder.c": "the sidecar, which has no Landlock",
    "intercept/rollback.c": "handfast-init",
}


def paths_are_opened_in_few_files():
    """A new open() must work behind Landlock."""
    return grep(CODE, r"(?<![\w.>])(open|openat|fopen|opendir)\s*\(",
                lambda name: name in OPENS_PATHS or name in TESTS or not name.startswith(("base/", "certs/", "control/", "sidecar/", "cli/", "intercept/")))


def metrics_in_documents_exist():
    """Each metric that a document names is one."""
    metrics = {metric.name for program in reference.METRICS for metric in reference.metrics_of(program)}
    for name in tracked("*README.md", "CHANGES.md", "docs/*.md"):
        for metric in re.findall(r"`(handfast_[a-z0-9_]+)[`{]", (ROOT / name).read_text(encoding="utf-8")):
            if metric not in metrics and not (ROOT / "test/harness" / metric).exists():
                yield f"{name}: {metric}: no such metric"


def retired_words_do_not_return():
    """A retired word of docs/glossary.md is in the tree no more often than its budget allows."""
    yield from retired_words.findings()[2]


def cited_codes_are_defined_and_tested():
    """docs/threats.md and docs/findings.md name tests that exist, and each code that a comment or a test name cites is there."""
    yield from threats.gaps()[1]
    yield from findings.gaps(findings.tests())[1]


def of_documents(rule):
    """A rule of documents.py as one of these."""
    def judged():
        return rule(DOCUMENTS)
    judged.__name__, judged.__doc__ = rule.__name__, rule.__doc__
    return judged


def documents_name_what_exists():
    """A function, struct, file or folder that a document names in backticks exists: a rename includes the documents."""
    return document_names.checked().findings


DOCUMENTS = documents.tracked()


def of_dead_code(rule):
    """A rule of dead_code.py as one of these."""
    def judged():
        return rule(CODE_TREE)
    judged.__name__, judged.__doc__ = rule.__name__, rule.__doc__
    return judged


CODE_TREE = dead_code.Tree()


def documented_commands_run():
    """Each command block of README and docs/ is run by a story or another test, or has a reason why none can."""
    texts = {name: text for name, text in DOCUMENTS.texts.items() if documented_commands.is_read(name)}
    yield from documented_commands.gaps(texts)
    yield from documented_commands.missing_paths(texts, lambda path: (ROOT / path).exists())


def reference_pages_are_made_from_the_tables():
    """The pages of docs/reference/ and the example files are as the .def tables of the programs make them."""
    yield from reference.findings()


def manifests_are_made_from_their_source():
    """deploy/kubernetes/handfast.yaml and the chart have the objects of objects.yaml.in, all of them and no others."""
    for name in generate.stale():
        yield f"{name}: not current; run deploy/kubernetes/generate.py --write"


def units_fit_the_programs():
    """What the units and packages of deploy/debian repeat of the programs' tables is the same there."""
    return units.findings()


def libraries_are_in_the_table():
    """What a program links has a row in third_party/libraries.def, with its license, for the SBOMs and --version."""
    return libraries.findings()


def each_process_has_a_filter():
    """Each command of a program that ships and each process that it forks has a row in base/sandbox/processes.def, with its
    filter of system calls, or the reason why it has none, and story 343 tries each filter."""
    return processes.findings(CODE, TESTS)


def manifests_name_images_that_can_be_made():
    """An image that a manifest names has a Dockerfile, and the suite builds its programs for the stories on Kubernetes, which
    import these images and no others."""
    built = {"//{}:{}".format(*program.rsplit("/", 1)) for program in suite.PROGRAMS}
    for name, labels in generate.images().items():
        if not labels:
            yield f"deploy/kubernetes: the image {name} has no docker/Dockerfile.{name.removeprefix('handfast-')} that makes it"
        for label in sorted(set(labels) - built):
            yield f"test/suite.py: PROGRAMS lacks {label}, which the image {name} of a manifest has"


def tests_wait_for_conditions():
    """A sleep in a test, in docker/ or in bench/ has a comment `duration: WHY`; what is waited for is polled."""
    yield from sleeps.tests_wait_for_conditions(tracked_texts("*.py", "*.c", "*.h", "*.sh"))


def processes_are_ended_by_their_id():
    """pidof, pgrep, pkill and killall find the processes of other runs on the machine, in every namespace."""
    return grep(tracked_texts("test/*.py", "test/*.sh", "bench/*.py", "tools/*.sh"),
                r"""["'](pidof|pgrep|pkill|killall)["' ]|^\s*(pidof|pgrep|pkill|killall) |\$\((pidof|pgrep) """,
                lambda name: name.startswith("test/lint/"))


RULES = [
    *map(of_documents, documents.RULES),
    documents_name_what_exists,
    retired_words_do_not_return,
    cited_codes_are_defined_and_tested,
    paths_are_opened_in_few_files,
    advice_names_its_command,
    printed_texts_are_whole,
    commands_in_texts_exist,
    banned_functions,
    no_program_starts_a_shell,
    log_lines_from_outside_are_rate_limited,
    the_allocator_is_used_in_one_file,
    sockets_are_made_in_one_folder,
    third_party_headers_are_included_in_few_folders,
    enum_switches_have_no_default,
    comments_have_one_style,
    every_library_has_a_test,
    folders_use_what_they_may,
    private_headers_stay_in_their_target,
    targets_depend_on_what_they_include,
    functions_fit_a_screen,
    folders_have_a_readme,
    readmes_state_what_a_folder_may_use,
    readmes_name_their_files,
    metrics_in_documents_exist,
    documented_commands_run,
    reference_pages_are_made_from_the_tables,
    manifests_are_made_from_their_source,
    manifests_name_images_that_can_be_made,
    units_fit_the_programs,
    libraries_are_in_the_table,
    each_process_has_a_filter,
    no_unfinished_words,
    no_private_keys,
    files_stay_small,
    fuzz_targets_run_as_tests,
    headers_are_guarded,
    json_is_written_in_one_file,
    fixed_numbers_stand_in_one_header,
    numbers_are_parsed_in_one_file,
    metrics_are_set,
    *map(of_dead_code, dead_code.RULES),
    tests_stay_on_their_own_addresses,
    tests_wait_for_conditions,
    processes_are_ended_by_their_id,
]


if __name__ == "__main__":
    sys.exit(report_rules(RULES))
