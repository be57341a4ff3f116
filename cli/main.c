/* handfast: the operator's command line. */
#include "base/core/loop.h"
#include "base/core/version.h"
#include "base/h2/h2_session.h"
#include "base/net/fd.h"
#include "base/net/resolver.h"
#include "base/pb/unpack.h"
#include "base/sandbox/sandbox.h"
#include "base/settings/command_line/library_version.h"
#include "base/tls/tls_context.h"
#include "cli/cluster/api.h"
#include "cli/commands.h"
#include "cli/confine.h"
#include "cli/watch.h"
#include <jansson.h>
#include <yaml.h>

static const struct cli_command commands[] = {
#define COMMAND(words, arguments, help, function, also, without) {words, arguments, help, also, without},
#include "cli/commands.def"
#undef COMMAND
};
static enum cli_exit (*const functions[])(struct command_line *) = {
#define COMMAND(words, arguments, help, function, also, without) function,
#include "cli/commands.def"
#undef COMMAND
};
static const struct cli_values values[] = {
#define VALUES(argument, name, function) {argument, name},
#include "cli/values.def"
#undef VALUES
};
static const struct cli_also also[] = {
#define COMMAND(words, arguments, help, function, also, without)
#define ALSO(commands, flags) {commands, flags},
#include "cli/commands.def"
#undef ALSO
#undef COMMAND
};
static const struct cli_flag flags[] = {
	{"watch", NULL, "repeat the command until it is interrupted, and show what has changed", false},
	{"interval", "DURATION", "with --watch: how often (2s)", false, '\0', "watch"},
	{"socket", "PATH", "the socket of the control plane on this machine (" COMMANDS_SOCKET ")", false},
	{"admin", "ADDRESS", "the admin endpoint of the sidecar on this machine (" COMMANDS_ADMIN ")", false},
	{"from", "ID|plaintext", "the source: a SPIFFE ID, or plaintext for one without identity", false},
	{"to", "spiffe://TD/PATH", "the workload that the source connects to", false},
	{"port", "PORT", "the port that the workload listens on", false},
	{"address", "IP", "the source's address, where a rule depends on it", false},
	{"id", "spiffe://TD/PATH", "the identity that the token or entry is for", false},
	{"ttl", "DURATION", "how long the token is valid (1h), at most 30d; of an entry: its certificates, at most 7d",
		false},
	{"selector", "SELECTOR", "what a workload must prove: unix:uid:1000, x509:san:dns:NAME ...", true},
	{"network", "CIDR", "the network that the token may be used from (any)", true},
	{"intermediate", NULL, "revoke the control plane's intermediate, and so every certificate below it", false},
	{"compromised", NULL, "confirm that the key of the mesh's root was stolen", false},
	{"bootstrap", NULL, "act on the bootstrap root, which signs the control plane's own certificate", false},
	{"any-sequence", NULL, "also take a partner's bundle that is older than the one in use", false},
	{"force", NULL,
		"rotate: wait at most 10 s for sidecars that do not confirm; retire: even if some still need the "
		"former root",
		false},
	{"cluster", NULL, "check or control the cluster, even where a sidecar or a control plane is on this machine",
		false},
	{"fail-if-expires-within", "DURATION",
		"also fail if a certificate or a root expires within this time; one whose lifetime is less than four "
		"times "
		"as long is renewed by itself, and counts only when less than a quarter of its lifetime is left",
		false},
	{"pre", NULL, "check the cluster before an install", false},
	{"uninstall", NULL, "list what still needs the control plane of the cluster", false},
	{"kubeconfig", "FILE", "the kubeconfig of the cluster (KUBECONFIG, else ~/.kube/config)", false},
	{"control-namespace", "NAME", "the namespace of the cluster's control plane (handfast-system)", false},
	{"file", "FILE",
		"objects in YAML or JSON (- is the standard input), the control plane's settings, or a partner's "
		"bundle",
		false, 'f'},
	{"namespace", "NAME", "the namespace of a pod (that of the kubeconfig's context), or of objects that name none",
		false, 'n'},
	{"known", "NUMBER:HASH", "a line that the audit log is known to have: a log without it has lost its end",
		false},
	{"control-address", "ADDRESS", "the control plane's address, for injected pods", false},
	{"root-sha256", "HASH", "the hash of the bootstrap root, for injected pods", false},
	{"trust-domain", "NAME", "the trust domain of injected pods, or of the policy in a file (cluster.local)",
		false},
	{"sidecar-image", "IMAGE", "the sidecar's image, for injected pods", false},
	{"init-image", "IMAGE", "the image of handfast-init, for injected pods", false},
};

static void put_versions(struct buf *out)
{
	LIBRARY_PUT_BORINGSSL(out);
	LIBRARY_PUT_LIBSTDCXX(out);
	LIBRARY_PUT_NGHTTP2(out);
	LIBRARY_PUT_PROTOBUF_C(out);
	LIBRARY_PUT_LIBEV(out);
	LIBRARY_PUT_CARES(out);
	LIBRARY_PUT_JANSSON(out);
	LIBRARY_PUT_YAML(out);
	LIBRARY_PUT_SECCOMP(out);
}

static const struct cli_program program = {.name = "handfast",
	.about = "Queries and controls the control plane (over its Unix socket) or the sidecar (at its admin endpoint) "
		 "on this machine, or those of the cluster of a kubeconfig.",
	.commands = commands,
	.num_commands = sizeof commands / sizeof commands[0],
	.flags = flags,
	.num_flags = sizeof flags / sizeof flags[0],
	.values = values,
	.num_values = sizeof values / sizeof values[0],
	.also = also,
	.num_also = sizeof also / sizeof also[0],
	.release = HANDFAST_VERSION,
	.put_versions = put_versions};

int main(int argc, char **argv)
{
	_cleanup_(command_line_done) struct command_line line;
	(void)fd_limit_raise();
	if (!command_line_begin(&program, argc, argv, &line))
		return CLI_DONE;
	if (buf_len(&line.errors) > 0)
		return (int)command_line_refuse(&line);
	if (line.checks_only)
		return CLI_DONE;
	confine_once();
	bool may_need_plugin = api_has_kubeconfig(&line), watches = command_line_has(&line, "watch");
	if (!may_need_plugin && watches)
		confine_parent();
	else if (!may_need_plugin)
		confine();
	if (watches)
		return (int)watch_run(&line, functions[line.command - commands]);
	return (int)functions[line.command - commands](&line);
}
