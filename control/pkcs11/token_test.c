/* With SoftHSM, where Debian's packages softhsm2 and opensc are there (test/apt-packages.txt). */
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/pkcs11/token.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

#define MODULE "/usr/lib/softhsm/libsofthsm2.so"

struct world {
	char parent[64], pin[80];
	struct token *token;
	struct why detail;
};

static void run(const char *command)
{
	_cleanup_(mem_freep) char *line = mem_printf("%s >/dev/null 2>&1", command);
	assert_int_equal(system(line), 0);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	snprintf(world->parent, sizeof world->parent, "/tmp/tokenXXXXXX");
	assert_non_null(mkdtemp(world->parent));
	snprintf(world->pin, sizeof world->pin, "%s/pin", world->parent);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	if (world->token != NULL)
		token_free(world->token);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->parent);
	run(command);
	mem_free(world);
	return 0;
}

static void write_pin(const struct world *world, const char *pin)
{
	assert_int_equal(fd_write_file(world->pin, span_of_str(pin), 0600, NULL), ERR_NONE);
}

static void make_token(const struct world *world)
{
	_cleanup_(mem_freep) char *folder = mem_printf("%s/tokens", world->parent);
	_cleanup_(mem_freep) char *path = mem_printf("%s/softhsm2.conf", world->parent);
	_cleanup_(mem_freep) char *text = mem_printf("directories.tokendir = %s\nobjectstore.backend = file\n", folder);
	if (access(MODULE, F_OK) != 0 || access("/usr/bin/pkcs11-tool", X_OK) != 0) {
		print_message("left out: softhsm2 and opensc are not installed\n");
		skip();
	}
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(fd_write_file(path, span_of_str(text), 0600, NULL), ERR_NONE);
	assert_int_equal(setenv("SOFTHSM2_CONF", path, 1), 0);
	run("softhsm2-util --init-token --free --label mesh --pin 1234 --so-pin 5678");
	run("pkcs11-tool --module " MODULE
	    " --token-label mesh --login --pin 1234 --keypairgen --key-type EC:prime256v1 "
	    "--label root");
}

static void open_token(struct world *world, const char *label, const char *key)
{
	const struct token_options options = {.module = MODULE, .label = label, .key = key, .pin_file = world->pin};
	assert_int_equal(token_open(&options, &world->token, &world->detail), ERR_NONE);
}

static enum err sign(struct world *world)
{
	static const uint8_t digest[32] = {1};
	_cleanup_(buf_done) struct buf signature = BUF_INIT(512);
	enum err err = token_sign(world->token, true, span_of(digest, sizeof digest), &signature, &world->detail);
	if (err == ERR_NONE)
		assert_int_equal(buf_len(&signature), 64);
	return err;
}

static void what_is_no_module_is_refused(void **state)
{
	struct world *world = *state;
	static const char *const paths[] = {"/nowhere.so", "/lib/x86_64-linux-gnu/libc.so.6"};
	for (size_t i = 0; i < 2; i++) {
		const struct token_options options = {
			.module = paths[i], .label = "", .key = "", .pin_file = world->pin};
		assert_int_equal(token_open(&options, &world->token, &world->detail), ERR_CONFIG);
	}
}

static void C42_a_wrong_pin_is_given_once(void **state)
{
	struct world *world = *state;
	make_token(world);
	write_pin(world, "9999\n");
	open_token(world, "mesh", "root");
	assert_int_equal(sign(world), ERR_DENIED);
	assert_non_null(strstr(world->detail.got, "CKR_PIN_INCORRECT"));
	for (int i = 0; i < 20; i++) {
		assert_int_equal(sign(world), ERR_DENIED);
		assert_null(strstr(world->detail.got, "CKR_"));
	}
	write_pin(world, "1234\n");
	assert_int_equal(sign(world), ERR_NONE);
	assert_int_equal(sign(world), ERR_NONE);
}

static void what_is_not_there_is_named(void **state)
{
	struct world *world = *state;
	make_token(world);
	write_pin(world, "1234");
	open_token(world, "mes", "root");
	assert_int_equal(sign(world), ERR_NOT_FOUND);
	assert_non_null(strstr(world->detail.got, "'mes'"));
	token_free(world->token);
	world->token = NULL;
	open_token(world, "mesh", "roots");
	assert_int_equal(sign(world), ERR_NOT_FOUND);
	assert_non_null(strstr(world->detail.got, "'roots'"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_module_is_refused),
		TEST(C42_a_wrong_pin_is_given_once),
		TEST(what_is_not_there_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
