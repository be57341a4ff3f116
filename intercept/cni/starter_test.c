/* In namespaces the real handfast-init is started: answering_test.c. */
#include "base/net/fd.h"
#include "intercept/cni/starter.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static const struct starter_question nothing = {.checks = true};

static int open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int code_in(struct starter *starter, const char *netns)
{
	struct why why;
	int fd = open_path(netns), out = open_path("/dev/null"), status_fd = -1, code = -1;
	assert_int_equal(starter_run(starter, &nothing, fd, out, &status_fd, &why), ERR_NONE);
	fd_close(fd);
	fd_close(out);
	assert_true(starter_code(status_fd, &code));
	fd_close(status_fd);
	return code;
}

static void what_is_no_namespace_is_not_entered(void **state)
{
	_cleanup_(starter_freep) struct starter *starter = NULL;
	struct why why;
	(void)state;
	assert_int_equal(starter_new("/bin/true", &starter, &why), ERR_NONE);
	for (int i = 0; i < 40; i++) /* more than it runs at once */
		assert_int_equal(code_in(starter, "/dev/null"), STARTER_NO_NAMESPACE);
}

/* An agent that was taken over would cut its node off. */
static void the_own_namespace_is_not_entered(void **state)
{
	_cleanup_(starter_freep) struct starter *starter = NULL;
	struct why why;
	(void)state;
	assert_int_equal(starter_new("/bin/true", &starter, &why), ERR_NONE);
	assert_int_equal(code_in(starter, "/proc/self/ns/net"), STARTER_NO_NAMESPACE);
}

static void a_question_that_is_none_ends_it(void **state)
{
	_cleanup_(starter_freep) struct starter *starter = NULL;
	struct starter_question question = {0};
	struct why why;
	int null = open_path("/dev/null"), status_fd = -1, code = -1;
	(void)state;
	memset(question.rules.exclude_outbound_networks, 'x', NODE_POD_VALUE_MAX); /* no end */
	assert_int_equal(starter_new("/bin/true", &starter, &why), ERR_NONE);
	assert_int_equal(starter_run(starter, &question, null, null, &status_fd, &why), ERR_NONE);
	assert_false(starter_code(status_fd, &code));
	fd_close(status_fd);
	char byte;
	assert_int_equal(recv(starter_fd(starter), &byte, 1, 0), 0); /* its end is seen */
	assert_int_equal(starter_run(starter, &nothing, null, null, &status_fd, &why), ERR_CLOSED);
	fd_close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_namespace_is_not_entered),
		cmocka_unit_test(the_own_namespace_is_not_entered),
		cmocka_unit_test(a_question_that_is_none_ends_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
