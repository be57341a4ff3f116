/* With a real process and real commands. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "control/ca_source/ca_command.h"
#include "control/ca_source/command_runner.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	char parent[64], keys[80], program[80], output_folder[80];
	struct loop *loop;
	struct ca_command *command;
	unsigned num_done;
	enum err err;
	char output[512];
	struct why detail;
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	snprintf(world->parent, sizeof world->parent, "/tmp/commandXXXXXX");
	assert_non_null(mkdtemp(world->parent));
	snprintf(world->keys, sizeof world->keys, "%s/keys", world->parent);
	snprintf(world->program, sizeof world->program, "%s/sign", world->parent);
	snprintf(world->output_folder, sizeof world->output_folder, "%s/out", world->parent);
	assert_int_equal(mkdir(world->keys, 0700), 0);
	assert_int_equal(mkdir(world->output_folder, 0700), 0);
	world->loop = loop_new(&clock_system);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	if (world->command != NULL)
		ca_command_free(world->command);
	loop_free(world->loop);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->parent);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static void on_done(void *arg, enum err err, struct span output, const struct why *why)
{
	struct world *world = arg;
	world->num_done++;
	world->err = err;
	snprintf(world->output, sizeof world->output, "%.*s", (int)output.len, (const char *)output.ptr);
	if (err != ERR_NONE)
		world->detail = *why;
}

/* A script in the place of the operator's program. */
static void start(struct world *world, const char *script, uint64_t timeout_ms)
{
	char *words[] = {world->program, (char *)(uintptr_t) "--role", (char *)(uintptr_t) "a b; c"};
	FILE *file = fopen(world->program, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", script);
	assert_int_equal(fchmod(fileno(file), 0755), 0);
	assert_int_equal(fclose(file), 0);
	const struct ca_command_options options = {.loop = world->loop,
		.key_folder = world->keys,
		.words = words,
		.num_words = 3,
		.timeout_ms = timeout_ms};
	assert_int_equal(ca_command_start(&options, &world->command, &world->detail), ERR_NONE);
}

static enum err sign(struct world *world)
{
	unsigned before = world->num_done;
	ca_command_sign(world->command, SPAN_LITERAL("the request"), on_done, world);
	assert_int_equal(world->num_done, before);
	assert_true(WAIT_UNTIL(world->num_done > before, loop_run_once(world->loop, false)));
	return world->err;
}

static void a_command_gets_the_request_and_its_words_and_no_environment(void **state)
{
	struct world *world = *state;
	assert_int_equal(setenv("SECRET", "of the control plane", 1), 0);
	start(world, "cat; echo; echo \"$1 $2\"; env | grep -c SECRET; ls /proc/self/fd | wc -l", 5000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sign(world), ERR_NONE);
		assert_string_equal(world->output, "the request\n--role a b; c\n0\n4\n"); /* 0 to 2, and ls's own */
	}
}

static void a_failure_has_its_reason(void **state)
{
	struct world *world = *state;
	start(world, "echo 'permission denied' >&2; echo more >&2; exit 3", 5000);
	assert_int_equal(sign(world), ERR_REFUSED);
	assert_string_equal(world->detail.got, "the command ended with exit code 3: permission denied");
}

/* Its id is in the file. */
static void wait_for_its_end(struct world *world)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/pid", world->output_folder);
	FILE *file = fopen(path, "r");
	char line[16];
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof line, file));
	fclose(file);
	int pid = 0;
	for (const char *digit = line; *digit >= '0' && *digit <= '9'; digit++)
		pid = 10 * pid + (*digit - '0');
	assert_true(pid > 1);
	assert_true(WAIT_UNTIL(kill(pid, 0) != 0, loop_run_once(world->loop, false)));
}

static void C41_a_command_that_does_not_end_is_ended_with_what_it_started(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *script =
		mem_printf("sleep 600 & echo $! > %s/pid; echo half; sleep 600", world->output_folder);
	start(world, script, 3000);
	assert_int_equal(sign(world), ERR_REFUSED);
	assert_non_null(strstr(world->detail.got, "command_timeout"));
	wait_for_its_end(world);
}

/* In a session of its own, below a parent that has ended: no longer in the command's group, nor among its children. */
static void C41_what_leaves_the_commands_group_is_ended(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *script =
		mem_printf("(setsid sh -c 'echo $$ > %s/new; mv %s/new %s/pid; exec sleep 600' <&- >&- 2>&- &)\n"
			   "while ! test -s %s/pid; do sleep 0.01; done; echo done",
			world->output_folder, world->output_folder, world->output_folder, world->output_folder);
	start(world, script, 60000);
	assert_int_equal(sign(world), ERR_NONE);
	assert_string_equal(world->output, "done\n");
	wait_for_its_end(world);
}

static void C41_too_much_output_is_refused(void **state)
{
	struct world *world = *state;
	start(world, "head -c 30000 /dev/zero", 5000);
	assert_int_equal(sign(world), ERR_REFUSED);
	assert_non_null(strstr(world->detail.got, "24576"));
}

static void C41_a_command_cannot_reach_the_keys(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *path = mem_printf("%s/root.pem", world->keys);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "secret");
	fclose(file);
	_cleanup_(mem_freep) char *script =
		mem_printf("cat %s || ls %s || echo > %s/new || echo none", path, world->keys, world->keys);
	start(world, script, 5000);
	assert_int_equal(sign(world), ERR_NONE);
	assert_string_equal(world->output, "none\n");
}

static void a_program_that_is_not_there_is_named(void **state)
{
	struct world *world = *state;
	start(world, "true", 5000);
	assert_int_equal(sign(world), ERR_REFUSED); /* it prints nothing */
	assert_int_equal(unlink(world->program), 0);
	assert_int_equal(sign(world), ERR_REFUSED);
	assert_non_null(strstr(world->detail.got, "cannot be run"));
}

static void the_end_of_the_process_is_an_answer(void **state)
{
	struct world *world = *state;
	start(world, "kill -9 $PPID; sleep 600", 5000);
	assert_int_equal(sign(world), ERR_UNAVAILABLE);
	assert_int_equal(sign(world), ERR_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], RUNNER_COMMAND) == 0)
		return command_runner_main(argc, argv);
	const struct CMUnitTest tests[] = {
		TEST(a_command_gets_the_request_and_its_words_and_no_environment),
		TEST(a_failure_has_its_reason),
		TEST(C41_a_command_that_does_not_end_is_ended_with_what_it_started),
		TEST(C41_what_leaves_the_commands_group_is_ended),
		TEST(C41_too_much_output_is_refused),
		TEST(C41_a_command_cannot_reach_the_keys),
		TEST(a_program_that_is_not_there_is_named),
		TEST(the_end_of_the_process_is_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
