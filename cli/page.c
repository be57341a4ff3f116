#include "cli/page.h"
#include "base/core/addr.h"
#include "base/core/buf.h"
#include "base/http/http_fetch.h"
#include "cli/cluster/pod_pages.h"
#include "cli/commands.h"
#include "cli/confine.h"
#include "cli/show.h"
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_MAX   (4u * 1024 * 1024)
#define TIMEOUT_MS 5000

static enum err page_get_of_pod(const struct command_line *line, const char *path, json_t **out, struct why *why)
{
	_cleanup_(pod_pages_closep) struct pod_pages *pages = NULL;
	RETURN_IF_ERR(pod_pages_open(line, &pages, why));
	return pod_pages_get(pages, path, out, why);
}

enum err page_get(const struct command_line *line, const char *path, json_t **out, struct why *why)
{
	_cleanup_(buf_done) struct buf page = BUF_INIT(PAGE_MAX);
	const char *given = command_line_value(line, "admin"), *admin = given != NULL ? given : COMMANDS_ADMIN;
	struct http_fetched fetched = {0};
	struct addr at;
	if (line->num_arguments > 0)
		return page_get_of_pod(line, path, out, why);
	if (addr_parse(span_of_str(admin), &at) != ERR_NONE)
		return why_set(why, ERR_CONFIG, "--admin with an address and port such as " COMMANDS_ADMIN,
			"correct --admin", "--admin is %s", admin);
	confine();
	enum err err = http_fetch(&at, path, TIMEOUT_MS, &page, &fetched);
	if (err != ERR_NONE)
		return why_set(why, ERR_UNAVAILABLE, "a sidecar that answers at its admin endpoint",
			"start it (`systemctl start handfast-sidecar`, or `handfast-sidecar --config FILE`); why it "
			"ended: `journalctl -u handfast-sidecar`; or set --admin to its address",
			"no sidecar answers at %s: %s", admin, err_text(err));
	json_t *parsed =
		fetched.status == 200 ? json_loadb((const char *)fetched.body.ptr, fetched.body.len, 0, NULL) : NULL;
	if (parsed == NULL)
		return why_set(why, ERR_UNAVAILABLE, "the page of a sidecar of this release",
			"set --admin to the sidecar's address", "status %u for %s from %s", fetched.status, path,
			admin);
	*out = parsed;
	return ERR_NONE;
}

enum cli_exit page_show(struct command_line *line, const char *path, page_print_fn *print)
{
	_cleanup_(json_decrefp) json_t *page = NULL;
	struct why why = {0};
	enum err err = page_get(line, path, &page, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	if (line->json)
		show_json(json_incref(page));
	else
		print(page);
	return CLI_DONE;
}

static bool has_sidecar(void)
{
	_cleanup_(buf_done) struct buf page = BUF_INIT(PAGE_MAX);
	struct http_fetched fetched = {0};
	struct addr at;
	return addr_parse(span_of_str(COMMANDS_ADMIN), &at) == ERR_NONE &&
	       http_fetch(&at, "/check", TIMEOUT_MS, &page, &fetched) == ERR_NONE;
}

/* What answers is read by a process that is confined: this one may still need its credential plugin. */
static bool has_sidecar_by_child(void)
{
	int status = 0;
	pid_t ended, child = fork();
	if (child == 0) {
		confine();
		_exit(has_sidecar() ? CLI_DONE : CLI_REFUSED);
	}
	do
		ended = child < 0 ? -1 : waitpid(child, &status, 0);
	while (ended < 0 && child > 0 && errno == EINTR);
	return ended == child && child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == CLI_DONE;
}

bool page_has_sidecar(const struct command_line *line)
{
	return command_line_value(line, "admin") != NULL || (confine_is_due() ? has_sidecar_by_child() : has_sidecar());
}
