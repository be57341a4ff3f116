/* The parts of /proc as texts, and real processes that connect to a real socket. */
#include "base/core/cleanup.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "control/attest/unix_facts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define STATUS                                                                                                         \
	"Name:\tx\\nUid:\t7\t7\t7\t7\nState:\tS\nUid:\t1000\t1000\t1000\t1000\nGid:\t100\t100\t100\t100\nGroups:\t5\n"

static void W40_the_status_must_be_of_the_user_that_connected(void **state)
{
	(void)state;
	assert_true(unix_status_is_of(SPAN_LITERAL(STATUS), 1000, 100));
	assert_false(unix_status_is_of(SPAN_LITERAL(STATUS), 7, 100)); /* a name that looks like a line */
	assert_false(unix_status_is_of(SPAN_LITERAL(STATUS), 1000, 5));
	assert_false(unix_status_is_of(SPAN_LITERAL("Uid:\t1000\t0\t0\t0\nGid:\t100\t100\t100\t100\n"), 1000, 100));
	assert_false(unix_status_is_of(SPAN_LITERAL(""), 0, 0));
}

static const char *facts_of(const char *cgroup)
{
	static char text[600];
	struct selector_set facts = {0};
	text[0] = 0;
	unix_facts_of_cgroup(span_of_str(cgroup), &facts);
	for (size_t i = 0; i < facts.num; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", facts.texts[i]);
	selector_set_done(&facts);
	return text;
}

static void the_unit_is_the_first_part_that_is_no_slice(void **state)
{
	(void)state;
	assert_string_equal(facts_of("0::/system.slice/cart.service\n"),
		"unix:cgroup:/system.slice/cart.service unix:unit:cart.service ");
	assert_string_equal(facts_of("4:memory:/other\n0::/system.slice/system-a.slice/a@1.service/part\n"),
		"unix:cgroup:/system.slice/system-a.slice/a@1.service/part unix:unit:a@1.service ");
	assert_string_equal(facts_of("0::/\n"), "unix:cgroup:/ ");
	assert_string_equal(facts_of("0::/init.scope"), "unix:cgroup:/init.scope unix:unit:init.scope ");
	assert_string_equal(facts_of(""), "");
}

static void W40_a_user_makes_no_unit_of_the_system(void **state)
{
	(void)state;
	assert_string_equal(facts_of("0::/user.slice/user-1000.slice/user@1000.service/app.slice/cart.service\n"),
		"unix:cgroup:/user.slice/user-1000.slice/user@1000.service/app.slice/cart.service "
		"unix:unit:user@1000.service ");
	assert_string_equal(
		facts_of("0::/docker/system.slice/cart.service\n"), "unix:cgroup:/docker/system.slice/cart.service ");
	assert_string_equal(facts_of("0::/../system.slice/cart.service\n"), ""); /* seen from another namespace */
}

struct pair { /* a process that connects, and the socket that was accepted */
	char path[64];
	int listening, accepted, stop;
	pid_t pid;
};

static void pair_open(struct pair *pair)
{
	int stop[2];
	struct addr peer;
	snprintf(pair->path, sizeof pair->path, "/tmp/unix-facts-%d", (int)getpid());
	assert_int_equal(socket_listen_unix(pair->path, 0600, NULL, &pair->listening, NULL), ERR_NONE);
	assert_int_equal(pipe(stop), 0);
	pair->pid = fork();
	if (pair->pid == 0) {
		int fd;
		char byte;
		close(stop[1]);
		if (socket_connect_unix(pair->path, &fd, NULL) == ERR_NONE)
			while (read(stop[0], &byte, 1) > 0)
				continue;
		_exit(0);
	}
	close(stop[0]);
	pair->stop = stop[1];
	while (fd_accept(pair->listening, &peer, &pair->accepted) != ERR_NONE)
		usleep(1000); /* duration: between polls of the listening socket */
}

static void pair_end_process(struct pair *pair)
{
	close(pair->stop);
	assert_int_equal(waitpid(pair->pid, NULL, 0), pair->pid);
}

static void pair_close(struct pair *pair)
{
	fd_close(pair->accepted);
	fd_close(pair->listening);
	unlink(pair->path);
}

static bool has(const struct selector_set *facts, const char *format, unsigned number)
{
	char text[64];
	struct selector_set wanted = {0};
	snprintf(text, sizeof text, "%s%u", format, number);
	selector_set_add(&wanted, span_of_str(text));
	bool is_there = selector_set_has_all(facts, &wanted);
	selector_set_done(&wanted);
	return is_there;
}

static void a_process_that_runs_has_its_user_and_group(void **state)
{
	(void)state;
	struct pair pair = {0};
	_cleanup_(selector_set_done) struct selector_set facts = {0};
	struct why why = {0};
	pair_open(&pair);
	enum err err = unix_facts_read(pair.accepted, &facts, &why);
	if (err == ERR_UNSUPPORTED)
		print_message("left out: %s\n", why.got);
	else
		assert_int_equal(err, ERR_NONE);
	if (err == ERR_NONE) {
		assert_true(has(&facts, "unix:uid:", geteuid()));
		assert_true(has(&facts, "unix:gid:", getegid()));
	}
	pair_end_process(&pair);
	pair_close(&pair);
}

static void W40_a_process_that_has_ended_gives_nothing_and_its_number_neither(void **state)
{
	(void)state;
	struct pair pair = {0};
	_cleanup_(selector_set_done) struct selector_set facts = {0};
	pair_open(&pair);
	pair_end_process(&pair); /* its end of the connection may live on in another process */
	assert_int_not_equal(unix_facts_read(pair.accepted, &facts, NULL), ERR_NONE);
	assert_int_equal(facts.num, 0);
	pair_close(&pair);
}

static void another_socket_is_refused(void **state)
{
	(void)state;
	struct selector_set facts = {0};
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(unix_facts_read(-1, &facts, NULL), ERR_UNSUPPORTED);
	assert_int_equal(unix_facts_read(fds[0], &facts, NULL), ERR_UNSUPPORTED);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(W40_the_status_must_be_of_the_user_that_connected),
		cmocka_unit_test(the_unit_is_the_first_part_that_is_no_slice),
		cmocka_unit_test(W40_a_user_makes_no_unit_of_the_system),
		cmocka_unit_test(a_process_that_runs_has_its_user_and_group),
		cmocka_unit_test(W40_a_process_that_has_ended_gives_nothing_and_its_number_neither),
		cmocka_unit_test(another_socket_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
