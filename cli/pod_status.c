#include "cli/pod_status.h"
#include "cli/cluster/pod_pages.h"
#include "cli/page.h"
#include "cli/show.h"
#include <stdio.h>

enum cli_exit pod_status(struct command_line *line)
{
	_cleanup_(pod_pages_closep) struct pod_pages *pages = NULL;
	_cleanup_(json_decrefp) json_t *check = NULL, *certs = NULL;
	struct why why = {0};
	enum err err = pod_pages_open(line, &pages, &why);
	if (err == ERR_NONE)
		err = pod_pages_get(pages, "/check", &check, &why);
	if (err == ERR_NONE)
		err = pod_pages_get(pages, "/certs", &certs, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	if (line->json) {
		show_json(json_pack("{s:s, s:O, s:O}", "pod", pod_pages_name(pages), "check", check, "certs", certs));
		return CLI_DONE;
	}
	printf("pod %s: ", pod_pages_name(pages));
	page_print_identity(certs);
	page_print_check(check);
	return CLI_DONE;
}
