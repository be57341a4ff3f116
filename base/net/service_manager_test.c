#include "base/core/cleanup.h"
#include "base/net/service_manager.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

/* A manager at that name, as NOTIFY_SOCKET has it. */
static int manager(const char *name)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	memcpy(at.sun_path, name, len);
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(
		bind(fd, (struct sockaddr *)&at, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
	assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
	return fd;
}

static void the_manager_at_a_path_or_an_abstract_name_hears_it(_unused_ void **state)
{
	char folder[] = "/tmp/service_manager_test.XXXXXX", path[64], name[64];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/notify", folder);
	snprintf(name, sizeof name, "@service_manager_test.%d", (int)getpid());
	const char *const names[] = {path, name};
	for (size_t i = 0; i < 2; i++) {
		char got[32] = "";
		int fd = manager(names[i]);
		service_manager_notify("READY=1\n");
		assert_int_equal(recv(fd, got, sizeof got - 1, 0), 8);
		assert_string_equal(got, "READY=1\n");
		close(fd);
	}
	unlink(path);
	rmdir(folder);
}

static void without_a_manager_nothing_happens(_unused_ void **state)
{
	static const char *const names[] = {"", "@", "relative", "/nowhere/notify"};
	unsetenv("NOTIFY_SOCKET");
	service_manager_notify("READY=1\n");
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
		service_manager_notify("READY=1\n");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_at_a_path_or_an_abstract_name_hears_it),
		cmocka_unit_test(without_a_manager_nothing_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
