/* The projected token, as the kubelet writes it: links that are swapped. */
#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/identity/certificate_request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct volume {
	char folder[32], token[64], data[64], fresh[64];
};

static int set_up(void **state)
{
	struct volume *volume = mem_new(struct volume);
	(void)snprintf(volume->folder, sizeof(volume->folder), "/tmp/hf-projected-XXXXXX");
	assert_non_null(mkdtemp(volume->folder));
	(void)snprintf(volume->token, sizeof(volume->token), "%s/token", volume->folder);
	(void)snprintf(volume->data, sizeof(volume->data), "%s/..data", volume->folder);
	(void)snprintf(volume->fresh, sizeof(volume->fresh), "%s/..data_tmp", volume->folder);
	*state = volume;
	return 0;
}

static int tear_down(void **state)
{
	struct volume *volume = *state;
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", volume->folder);
	assert_int_equal(system(command), 0);
	mem_free(volume);
	return 0;
}

/* A new folder, and ..data renamed to it: at every moment there is a whole token. */
static void swap(const struct volume *volume, const char *name, const char *token, unsigned mode)
{
	_cleanup_(mem_freep) char *folder = mem_printf("%s/%s", volume->folder, name);
	_cleanup_(mem_freep) char *file = mem_printf("%s/token", folder);
	assert_int_equal(mkdir(folder, 0755), 0);
	assert_int_equal(fd_write_file(file, span_of_str(token), 0600, NULL), ERR_NONE);
	assert_int_equal(chmod(file, mode), 0);
	assert_int_equal(symlink(name, volume->fresh), 0);
	assert_int_equal(rename(volume->fresh, volume->data), 0);
	(void)!symlink("..data/token", volume->token);
}

static enum err gather(const struct volume *volume, bool may_join, char *out, size_t cap)
{
	_cleanup_(attestation_data_done) struct attestation_data data = {0};
	const struct attestation_files files = {.kubernetes_token_file = volume->token};
	const struct enrolled_state enrolled = {0};
	struct attestation attestation = {0};
	struct why why = {0};
	enum err err = attestation_gather(&files, &enrolled, may_join, &data, &attestation, &why);
	out[0] = 0;
	assert_true(err == ERR_NONE || (why.got[0] != 0 && why.expected[0] != 0 && why.fix[0] != 0));
	if (err != ERR_NONE)
		return err;
	assert_int_equal(attestation.kind, ATTESTATION_KUBERNETES);
	(void)snprintf(out, cap, "%.*s", (int)attestation.kubernetes.len, (const char *)attestation.kubernetes.ptr);
	return ERR_NONE;
}

static void the_token_is_read_anew_at_each_use(void **state)
{
	const struct volume *volume = *state;
	char token[64];
	swap(volume, "..1", "a.b.c", 0640);
	assert_int_equal(gather(volume, true, token, sizeof(token)), ERR_NONE);
	assert_string_equal(token, "a.b.c");
	swap(volume, "..2", "d.e.f\n", 0640);
	assert_int_equal(gather(volume, true, token, sizeof(token)), ERR_NONE);
	assert_string_equal(token, "d.e.f");
	assert_int_equal(gather(volume, false, token, sizeof(token)), ERR_NONE); /* a renewal */
	assert_string_equal(token, "d.e.f");
	swap(volume, "..3", "g.h.i", 0644);
	assert_int_equal(gather(volume, false, token, sizeof(token)), ERR_NONE);
	assert_string_equal(token, "g.h.i");
}

static void what_is_no_token_is_an_error_until_there_is_one(void **state)
{
	const struct volume *volume = *state;
	char token[64];
	_cleanup_(mem_freep) char *huge = mem_printf("%0*d", 8193, 0);
	assert_int_equal(gather(volume, true, token, sizeof(token)), ERR_NOT_FOUND);
	swap(volume, "..1", "\n", 0640);
	assert_int_equal(gather(volume, true, token, sizeof(token)), ERR_MALFORMED);
	swap(volume, "..2", huge, 0640);
	assert_int_equal(gather(volume, true, token, sizeof(token)), ERR_TOO_LARGE);
	swap(volume, "..3", "a.b.c", 0640);
	assert_int_equal(gather(volume, true, token, sizeof(token)), ERR_NONE);
}

#define VOLUME_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VOLUME_TEST(the_token_is_read_anew_at_each_use),
		VOLUME_TEST(what_is_no_token_is_an_error_until_there_is_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
