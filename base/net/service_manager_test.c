#include "base/core/cleanup.h"
#include "base/core/clock.h"
#include "base/net/service_manager.h"
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
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

/* The one datagram that has come. */
static const char *heard(int fd)
{
	static char got[128];
	ssize_t len = recv(fd, got, sizeof got - 1, 0);
	assert_true(len > 0);
	got[len] = '\0';
	return got;
}

static void the_manager_at_a_path_or_an_abstract_name_hears_it(_unused_ void **state)
{
	char folder[] = "/tmp/service_manager_test.XXXXXX", path[64], name[64], expected[64];
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/notify", folder);
	snprintf(name, sizeof name, "@service_manager_test.%d", (int)getpid());
	snprintf(expected, sizeof expected, "MAINPID=%d\nREADY=1\n", (int)getpid());
	const char *const names[] = {path, name};
	for (size_t i = 0; i < 2; i++) {
		int fd = manager(names[i]);
		assert_true(service_manager_is_there());
		service_manager_ready();
		assert_string_equal(heard(fd), expected);
		service_manager_stopping();
		assert_string_equal(heard(fd), "STOPPING=1\n");
		close(fd);
	}
	unlink(path);
	rmdir(folder);
}

static void a_reload_is_not_before_its_request(_unused_ void **state)
{
	char name[64];
	uint64_t at = 0, asked_ms = clock_system.mono_ms(&clock_system);
	snprintf(name, sizeof name, "@service_manager_test.reload.%d", (int)getpid());
	int fd = manager(name);
	service_manager_reloading();
	const char *got = heard(fd), *time = strstr(got, "MONOTONIC_USEC=");
	assert_int_equal(strncmp(got, "RELOADING=1\n", 12), 0);
	assert_non_null(time);
	at = strtoull(time + strlen("MONOTONIC_USEC="), NULL, 10);
	assert_true(at > asked_ms * 1000 && at < (asked_ms + 60000) * 1000);
	close(fd);
}

/* As a manager that does not read: no more datagrams fit. */
static void fill(const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	memcpy(to.sun_path + 1, name + 1, strlen(name) - 1);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_int_equal(
		connect(fd, (struct sockaddr *)&to, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
		0);
	while (send(fd, "x", 1, 0) == 1)
		;
	assert_int_equal(errno, EAGAIN);
	close(fd);
}

/* Whether a process that sends it ends within that time. */
static bool ends_within(int process, int timeout_ms)
{
	struct pollfd end = {.fd = process, .events = POLLIN};
	return poll(&end, 1, timeout_ms) == 1;
}

static int sending(void (*send_one)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		send_one();
		_exit(0);
	}
	int process = (int)syscall(SYS_pidfd_open, pid, 0);
	assert_true(process >= 0);
	return process;
}

static void a_full_queue_is_waited_for_but_not_for_ever(_unused_ void **state)
{
	static void (*const all[])(void) = {service_manager_ready, service_manager_reloading, service_manager_stopping};
	static const char *const texts[] = {"READY=1", "RELOADING=1", "STOPPING=1"};
	int processes[3];
	char name[64], got[128];
	snprintf(name, sizeof name, "@service_manager_test.full.%d", (int)getpid());
	int fd = manager(name);
	for (size_t i = 0; i < 3; i++) {
		bool has_come = false;
		fill(name);
		processes[i] = sending(all[i]);
		assert_false(ends_within(processes[i], 200));
		for (bool has_ended = false; !has_ended;) {
			has_ended = ends_within(processes[i], 10); /* what it sent is in the queue then */
			for (ssize_t len; (len = recv(fd, got, sizeof got - 1, 0)) > 0;) {
				got[len] = '\0';
				has_come = has_come || strstr(got, texts[i]) != NULL;
			}
		}
		assert_true(has_come);
		close(processes[i]);
	}
	fill(name);
	processes[0] = sending(service_manager_ready);
	assert_true(ends_within(processes[0], 30000));
	close(processes[0]);
	close(fd);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static void without_a_manager_nothing_happens(_unused_ void **state)
{
	static const char *const names[] = {"", "@", "relative", "/nowhere/notify"};
	unsetenv("NOTIFY_SOCKET");
	assert_false(service_manager_is_there());
	service_manager_ready();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(setenv("NOTIFY_SOCKET", names[i], 1), 0);
		service_manager_ready();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_at_a_path_or_an_abstract_name_hears_it),
		cmocka_unit_test(a_reload_is_not_before_its_request),
		cmocka_unit_test(a_full_queue_is_waited_for_but_not_for_ever),
		cmocka_unit_test(without_a_manager_nothing_happens),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
