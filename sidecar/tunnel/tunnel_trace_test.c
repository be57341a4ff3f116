/* The handshake as the log reports it at log.level debug. */
#include "base/core/log.h"
#include "base/net/fd.h"
#include "sidecar/tunnel/test_world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct heard {
	char text[16384];
};

/* One call through a new tunnel, both ways, with stderr kept aside. */
static void call_and_hear(enum log_level level, struct heard *heard)
{
	_cleanup_(fd_closep) int kept = dup(STDERR_FILENO), aside = memfd_create("log", MFD_CLOEXEC);
	assert_true(kept >= 0 && aside >= 0 && dup2(aside, STDERR_FILENO) >= 0);
	log_set_level(level);
	struct world *world = world_new(NULL);
	struct call *call;
	struct far *far;
	bool is_done = world_connect(world, &call, &far) && world_transfer(world, call->app, far->fd, 1000) &&
		       world_transfer(world, far->fd, call->app, 1000);
	world_free(world);
	log_set_level(LOG_LEVEL_NOTICE);
	assert_true(dup2(kept, STDERR_FILENO) >= 0);
	assert_true(is_done);
	ssize_t len = pread(aside, heard->text, sizeof(heard->text) - 1, 0);
	assert_true(len >= 0);
	heard->text[len] = '\0';
}

/* The step in a line of this role; *io_rest moves behind it. */
static void assert_next(const char **io_rest, const char *role, const char *step)
{
	for (const char *found = *io_rest; (found = strstr(found, step)) != NULL; found++) {
		const char *line = found;
		while (line > *io_rest && line[-1] != '\n')
			line--;
		const char *named = strstr(line, role);
		if (named != NULL && named < found && strstr(line, "handshake: as ") != NULL) {
			*io_rest = found;
			return;
		}
	}
	fail_msg("no line with '%s' and '%s'", role, step);
}

static void debug_logs_what_each_side_of_a_tunnel_sees(_unused_ void **state)
{
	struct heard heard;
	call_and_hear(LOG_LEVEL_DEBUG, &heard);
	const char *client = heard.text, *server = heard.text;
	assert_next(&client, "as client, ", ": client connects\n");
	assert_next(&client, "as client, ", ": server presents its certificate: " SERVER_ID "\n");
	assert_next(&client, "as client, ", ": client verifies the server's certificate\n");
	assert_next(&client, "as client, ", ": client presents its certificate: " CLIENT_ID "\n");
	assert_next(&client, "as client, ", ": server grants access\n");
	assert_next(&client, "as client, ", ": client and server exchange bytes, encrypted\n");
	assert_next(&server, "as server, ", ": client connects\n");
	assert_next(&server, "as server, ", ": client presents its certificate: " CLIENT_ID "\n");
	assert_next(&server, "as server, ", ": server verifies the client's certificate\n");
	assert_next(&server, "as server, ", ": server grants access\n");
}

static void any_other_level_logs_nothing_of_it(_unused_ void **state)
{
	struct heard heard;
	call_and_hear(LOG_LEVEL_NOTICE, &heard);
	assert_null(strstr(heard.text, "handshake"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(debug_logs_what_each_side_of_a_tunnel_sees),
		cmocka_unit_test(any_other_level_logs_nothing_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
