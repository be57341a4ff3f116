#include "base/kube/kube_plugin.h"
#include "base/core/base64.h"
#include "base/core/check.h"
#include "base/core/clock.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/json/json_put.h"
#include "base/net/fd.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A person may have to log in meanwhile. */
enum { RUN_MS = 5 * 60 * 1000, PRINTED_MAX = 1024 * 1024, READ_LEN = 4096, EXIT_NO_PROGRAM = 127 };

static const char *program(const struct kube_plugin *plugin)
{
	return plugin->words[0];
}

/* --- what it printed --- */

static enum err bad(const struct kube_plugin *plugin, const char *got, struct why *why)
{
	return why_set(why, ERR_MALFORMED, "an ExecCredential with a token, or a certificate and its key",
		"run the plugin by hand, and see its documentation", "the credential plugin %.80s printed %s",
		program(plugin), got);
}

static bool read_digits(const char **at, size_t num, int *out)
{
	struct span digits = span_of(*at, strnlen(*at, num));
	if (digits.len < num)
		return false;
	*out = (int)number_take(&digits, 9999);
	*at += num;
	return digits.len == 0;
}

static bool skip(const char **at, char c)
{
	return *(*at)++ == c;
}

/* RFC 3339 5.6, as Kubernetes writes it. */
static bool read_time(const char *text, int64_t *out_s)
{
	struct tm tm = {0};
	const char *at = text;
	int hours = 0, minutes = 0;
	if (!read_digits(&at, 4, &tm.tm_year) || !skip(&at, '-') || !read_digits(&at, 2, &tm.tm_mon) ||
		!skip(&at, '-') || !read_digits(&at, 2, &tm.tm_mday) || !skip(&at, 'T') ||
		!read_digits(&at, 2, &tm.tm_hour) || !skip(&at, ':') || !read_digits(&at, 2, &tm.tm_min) ||
		!skip(&at, ':') || !read_digits(&at, 2, &tm.tm_sec))
		return false;
	if (*at == '.')
		at += 1 + strspn(at + 1, "0123456789");
	char sign = *at++;
	if (sign != 'Z' && ((sign != '+' && sign != '-') || !read_digits(&at, 2, &hours) || !skip(&at, ':') ||
				   !read_digits(&at, 2, &minutes)))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	int offset = (hours * 60 + minutes) * 60;
	*out_s = timegm(&tm) - (sign == '-' ? -offset : offset);
	return *at == '\0';
}

static enum err check_expiry(const struct kube_plugin *plugin, const json_t *status, int64_t now_s, struct why *why)
{
	const char *until = json_string_value(json_object_get(status, "expirationTimestamp"));
	int64_t until_s;
	if (until == NULL)
		return ERR_NONE;
	if (!read_time(until, &until_s))
		return bad(plugin, "an expirationTimestamp that is not a time", why);
	if (until_s > now_s)
		return ERR_NONE;
	return why_set(why, ERR_DENIED, "credentials that are valid now",
		"log in again, and check the clock of this machine",
		"the credentials of the plugin %.80s have expired: %.40s", program(plugin), until);
}

static void put(const char *text, size_t max, struct buf *out)
{
	buf_init(out, max);
	CHECK(buf_append_str(out, text) == ERR_NONE);
}

/* now_s: seconds since 1970. */
static enum err take(const struct kube_plugin *plugin, struct span printed, int64_t now_s, struct kube_config *config,
	struct why *why)
{
	_cleanup_(json_decrefp) json_t *credential = json_loadb((const char *)printed.ptr, printed.len, 0, NULL);
	const json_t *status = json_object_get(credential, "status");
	const char *kind = json_string_value(json_object_get(credential, "kind"));
	const char *version = json_string_value(json_object_get(credential, "apiVersion"));
	const char *token = json_string_value(json_object_get(status, "token"));
	const char *chain = json_string_value(json_object_get(status, "clientCertificateData"));
	const char *key = json_string_value(json_object_get(status, "clientKeyData"));
	if (kind == NULL || strcmp(kind, "ExecCredential") != 0)
		return bad(plugin, credential == NULL ? "no JSON" : "another object", why);
	if (version == NULL || strcmp(version, plugin->api_version) != 0)
		return bad(plugin, "another apiVersion than the kubeconfig has", why);
	if ((chain == NULL) != (key == NULL))
		return bad(plugin, "a certificate or a key without the other", why);
	if (token == NULL && chain == NULL)
		return bad(plugin, "neither a token nor a certificate", why);
	if (token != NULL && strlen(token) > KUBE_TOKEN_MAX)
		return bad(plugin, "a token of more than 16 KiB", why);
	RETURN_IF_ERR(check_expiry(plugin, status, now_s, why));
	if (token != NULL)
		put(token, KUBE_TOKEN_MAX, &config->token);
	if (chain != NULL) {
		put(chain, PRINTED_MAX, &config->client_chain_pem);
		put(key, PRINTED_MAX, &config->client_key_pem);
	}
	return ERR_NONE;
}

/* --- its start --- */

static enum err no_program(const struct kube_plugin *plugin, struct why *why)
{
	const char *hint = plugin->install_hint;
	return why_set(why, ERR_NOT_FOUND, "the credential plugin that the kubeconfig names, in a folder of PATH",
		hint != NULL ? hint : "install it, or correct users[].user.exec.command in the kubeconfig",
		"cannot find the program %.120s", program(plugin));
}

/* Absolute folders of PATH alone: a program of the current folder is not what the kubeconfig means. NULL: none. */
static char *find(const char *name)
{
	const char *at = getenv("PATH");
	if (strchr(name, '/') != NULL)
		return access(name, X_OK) == 0 ? mem_strdup(name) : NULL;
	while (at != NULL && *at != '\0') {
		size_t len = strcspn(at, ":");
		char *path = mem_printf("%.*s/%s", (int)len, at, name);
		if (path[0] == '/' && access(path, X_OK) == 0)
			return path;
		mem_free(path);
		at += len + (at[len] == ':');
	}
	return NULL;
}

/* The variable KUBERNETES_EXEC_INFO. */
static enum err describe(const struct kube_plugin *plugin, const struct kube_config *config, bool is_interactive,
	char **out, struct why *why)
{
	_cleanup_(buf_done) struct buf roots = BUF_INIT(4 * PRINTED_MAX);
	json_t *cluster = NULL;
	if (plugin->server != NULL) {
		if (base64_encode(buf_span(&config->ca_pem), &roots) != ERR_NONE)
			return why_set(why, ERR_TOO_LARGE, "fewer roots", "write the kubeconfig again",
				"the roots of the API server do not fit");
		cluster = json_pack("{s:s, s:s*, s:s}", "server", plugin->server, "tls-server-name",
			config->server_name, "certificate-authority-data", buf_cstr(&roots));
	}
	_cleanup_(json_decrefp) json_t *info = json_pack("{s:s, s:s, s:{s:b, s:o*}}", "kind", "ExecCredential",
		"apiVersion", plugin->api_version, "spec", "interactive", is_interactive, "cluster", cluster);
	_cleanup_(buf_done) struct buf text = BUF_INIT(8 * PRINTED_MAX);
	if (buf_append_json(&text, info, JSON_COMPACT) != ERR_NONE)
		return why_set(why, ERR_TOO_LARGE, "fewer roots", "write the kubeconfig again",
			"what the credential plugin is given does not fit");
	*out = mem_printf("KUBERNETES_EXEC_INFO=%s", buf_cstr(&text));
	return ERR_NONE;
}

/* Those of this program, but for names that the plugin's own have. The array is the caller's, the texts are not. */
static char **environment(const struct kube_plugin *plugin, char *info)
{
	size_t num = 0, at = 0, num_own;
	while (environ[num] != NULL)
		num++;
	char **out = mem_calloc(num + KUBE_PLUGIN_VARIABLES_MAX + 2, sizeof(char *));
	out[at++] = info; /* the first of a name counts */
	for (size_t i = 0; plugin->variables[i] != NULL; i++)
		out[at++] = plugin->variables[i];
	num_own = at;
	for (size_t i = 0; i < num; i++) {
		size_t name_len = strcspn(environ[i], "=") + 1;
		bool is_set = false;
		for (size_t j = 0; j < num_own && out[j] != NULL; j++)
			is_set |= strncmp(out[j], environ[i], name_len) == 0;
		if (!is_set)
			out[at++] = environ[i];
	}
	return out;
}

/* Runs in the child: only async-signal-safe calls until exec. */
static _Noreturn void become(const char *path, char *const *words, char *const *variables, int in, int out)
{
	if (in >= 0 && dup2(in, STDIN_FILENO) != STDIN_FILENO)
		_exit(EXIT_NO_PROGRAM);
	if (dup2(out, STDOUT_FILENO) != STDOUT_FILENO)
		_exit(EXIT_NO_PROGRAM);
	execve(path, words, variables);
	_exit(EXIT_NO_PROGRAM);
}

/* --- its run --- */

static enum err read_all(int fd, struct buf *out)
{
	uint64_t end = clock_system.mono_ms(&clock_system) + RUN_MS;
	for (;;) {
		uint8_t *room;
		uint64_t now = clock_system.mono_ms(&clock_system);
		struct pollfd one = {.fd = fd, .events = POLLIN};
		if (now >= end)
			return ERR_TIMEOUT;
		if (poll(&one, 1, (int)(end - now)) <= 0)
			continue;
		if (buf_reserve(out, READ_LEN, &room) != ERR_NONE)
			return ERR_TOO_LARGE;
		ssize_t len = read(fd, room, READ_LEN);
		if (len == 0)
			return ERR_NONE;
		if (len < 0 && errno != EINTR && errno != EAGAIN)
			return ERR_IO;
		buf_commit(out, len > 0 ? (size_t)len : 0);
	}
}

static int reap(pid_t child)
{
	int status = 0;
	pid_t ended;
	do
		ended = waitpid(child, &status, 0);
	while (ended < 0 && errno == EINTR);
	return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static enum err collect(const struct kube_plugin *plugin, pid_t child, int fd, struct buf *out, struct why *why)
{
	enum err err = read_all(fd, out);
	if (err != ERR_NONE)
		kill(child, SIGKILL);
	int code = reap(child);
	if (err == ERR_TIMEOUT)
		return why_set(why, err, "a credential plugin that ends within 5 minutes", "run it by hand",
			"the credential plugin %.80s has not ended", program(plugin));
	if (err != ERR_NONE)
		return bad(plugin, "more than 1 MiB", why);
	if (code != 0)
		return why_set(why, ERR_DENIED, "a credential plugin that succeeds",
			"see what it printed above, and log in again",
			"the credential plugin %.80s ended with exit code %d", program(plugin), code);
	return ERR_NONE;
}

static enum err start(const struct kube_plugin *plugin, const char *path, char *const *variables, int in, int *out_fd,
	pid_t *out_child, struct why *why)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return why_set(why, err_from_errno(errno), "a pipe", "raise the limit of descriptors",
			"cannot start the credential plugin: %m");
	pid_t child = fork();
	if (child == 0)
		become(path, plugin->words, variables, in, ends[1]);
	enum err err = child > 0 ? ERR_NONE
				 : why_set(why, err_from_errno(errno), "a child process", "raise the process limit",
					   "cannot start the credential plugin: %m");
	fd_close(ends[1]);
	if (err != ERR_NONE) {
		fd_close(ends[0]);
		return err;
	}
	*out_fd = ends[0];
	*out_child = child;
	return ERR_NONE;
}

enum err kube_plugin_run(const struct kube_plugin *plugin, struct kube_config *config, struct why *why)
{
	_cleanup_(buf_wipe) struct buf printed = BUF_INIT(PRINTED_MAX);
	_cleanup_(mem_freep) char *path = find(program(plugin)), *info = NULL;
	_cleanup_fd_ int in = -1, out = -1;
	pid_t child = -1;
	bool is_interactive = plugin->mode != KUBE_PLUGIN_NEVER && isatty(STDIN_FILENO) == 1;
	if (path == NULL)
		return no_program(plugin, why);
	if (plugin->mode == KUBE_PLUGIN_ALWAYS && !is_interactive)
		return why_set(why, ERR_DENIED, "a terminal, because the plugin asks the user",
			"run this at a terminal, or use a kubeconfig with a token",
			"the credential plugin %.80s needs standard input to be a terminal", program(plugin));
	if (!is_interactive)
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	RETURN_IF_ERR(describe(plugin, config, is_interactive, &info, why));
	char **variables = environment(plugin, info);
	enum err err = start(plugin, path, variables, in, &out, &child, why);
	mem_free(variables);
	RETURN_IF_ERR(err);
	RETURN_IF_ERR(collect(plugin, child, out, &printed, why));
	return take(plugin, buf_span(&printed), clock_system.wall_ms(&clock_system) / 1000, config, why);
}
