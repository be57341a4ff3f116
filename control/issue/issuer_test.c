#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "certs/digest.h"
#include "certs/private_key.h"
#include "certs/svid.h"
#include "certs/verify.h"
#include "control/issue/confine.h"
#include "control/issue/issuer.h"
#include "control/issue/signer.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	char parent[64], folder[80];
	struct loop *loop;
	struct issuer *issuer;
	struct trust_domain domain;
	struct private_key *key;
	struct buf spki, certs[4];
	size_t num_certs;
	unsigned num_done;
	enum err err;
	bool is_lost;
};

static void on_lost(void *arg, _unused_ enum err err)
{
	((struct world *)arg)->is_lost = true;
}

static void on_done(void *arg, enum err err, const struct issued *issued, _unused_ const struct why *why)
{
	struct world *world = arg;
	world->num_done++;
	world->err = err;
	world->num_certs = issued == NULL ? 0 : issued->num_chain;
	for (size_t i = 0; i < world->num_certs; i++) {
		buf_clear(&world->certs[i]);
		assert_int_equal(buf_append(&world->certs[i], issued->chain[i]), ERR_NONE);
	}
}

static void wait_for(struct world *world, unsigned num_done)
{
	while (world->num_done < num_done)
		loop_run_once(world->loop, true);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	struct why why = {0};
	snprintf(world->parent, sizeof world->parent, "/tmp/issuerXXXXXX");
	assert_non_null(mkdtemp(world->parent));
	snprintf(world->folder, sizeof world->folder, "%s/keys", world->parent);
	snprintf(world->domain.name, sizeof world->domain.name, "td");
	world->loop = loop_new(&clock_system);
	struct issuer_options options = {.loop = world->loop,
		.key_folder = world->folder,
		.trust_domain = &world->domain,
		.max_leaf_ttl_s = 3600,
		.intermediate_life_s = 7 * 86400,
		.root_life_s = 365 * 86400,
		.policy = KEYS_MAY_BE_MADE,
		.on_lost = on_lost,
		.arg = world};
	assert_int_equal(issuer_start(&options, &world->issuer, &why), ERR_NONE);
	world->key = private_key_generate();
	buf_init(&world->spki, 1024);
	for (size_t i = 0; i < 4; i++)
		buf_init(&world->certs[i], 4096);
	assert_int_equal(private_key_public(world->key, &world->spki), ERR_NONE);
	const struct store_mark mark = {.epoch = 1, .incarnation = 1};
	issuer_introduce(world->issuer, &mark, on_done, world);
	wait_for(world, 1);
	assert_int_equal(world->err, ERR_NONE);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	issuer_free(world->issuer);
	loop_free(world->loop);
	private_key_unref(world->key);
	buf_done(&world->spki);
	for (size_t i = 0; i < 4; i++)
		buf_done(&world->certs[i]);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->parent);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static enum err issue(struct world *world, const char *text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(span_of_str(text), &id, NULL), ERR_NONE);
	issuer_issue(world->issuer, &id, buf_span(&world->spki), 60, on_done, world);
	wait_for(world, world->num_done + 1);
	return world->err;
}

static void issues_what_the_signer_grants(void **state)
{
	struct world *world = *state;
	assert_int_equal(world->num_certs, 3);
	assert_int_equal(issue(world, "spiffe://td/ns/a"), ERR_NONE);
	assert_int_equal(world->num_certs, 2);
	struct span chain[] = {buf_span(&world->certs[0]), buf_span(&world->certs[1])};
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	assert_int_equal(svid_parse(chain, 2, &svid, NULL), ERR_NONE);
}

static void W14_the_signer_checks_the_requests_of_the_network_process_again(void **state)
{
	struct world *world = *state;
	assert_int_equal(issue(world, "spiffe://td/handfast/control"), ERR_DENIED);
	assert_int_equal(issue(world, "spiffe://other/a"), ERR_DENIED);
	assert_int_equal(world->num_certs, 0);
}

static void C15_the_control_planes_certificate_chains_to_the_bootstrap_root_only(void **state)
{
	struct world *world = *state;
	uint8_t pin[1][32];
	_cleanup_(spiffe_id_done) struct spiffe_id expected = {0};
	struct why why = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td/handfast/control"), &expected, NULL), ERR_NONE);
	issuer_issue_control(world->issuer, buf_span(&world->spki), 60, on_done, world);
	wait_for(world, 2);
	assert_int_equal(world->num_certs, 2);
	struct span chain[] = {buf_span(&world->certs[0]), buf_span(&world->certs[1])};
	digest_sha256(chain[1], pin[0]);
	struct verify_bootstrap_input input = {.chain = chain,
		.num_chain = 2,
		.pins = pin,
		.num_pins = 1,
		.expected = &expected,
		.now_s = clock_system.wall_ms(&clock_system) / 1000};
	assert_int_equal(verify_bootstrap_chain(&input, &why), ERR_NONE);
}

static void the_bundle_endpoints_svid_has_the_reserved_name_below_the_intermediate(void **state)
{
	struct world *world = *state;
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	struct why why = {0};
	(void)issuer_issue_federation(world->issuer, buf_span(&world->spki), 60, on_done, world);
	wait_for(world, 2);
	struct span chain[] = {buf_span(&world->certs[0]), buf_span(&world->certs[1])};
	assert_int_equal(svid_parse(chain, 2, &svid, &why), ERR_NONE);
	assert_string_equal(svid_id(svid)->text, "spiffe://td/handfast/federation");
}

static void W23_answers_a_flood_in_order_and_refuses_the_excess(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td/a"), &id, NULL), ERR_NONE);
	for (unsigned i = 0; i < 3000; i++)
		issuer_issue(world->issuer, &id, buf_span(&world->spki), 60, on_done, world);
	wait_for(world, 3001);
	assert_int_equal(issue(world, "spiffe://td/ns/a"), ERR_NONE);
}

static pid_t child_of_ours(void)
{
	_cleanup_(mem_freep) char *path = mem_printf("/proc/self/task/%d/children", getpid());
	char text[64] = "";
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof text - 1, file) > 0);
	fclose(file);
	pid_t pid = 0;
	for (const char *at = text; *at >= '0' && *at <= '9'; at++)
		pid = pid * 10 + (*at - '0');
	return pid;
}

/* It has answered all that it has got, or has no room for more answers. */
static bool is_asleep(pid_t pid)
{
	_cleanup_(mem_freep) char *path = mem_printf("/proc/%d/stat", pid);
	char text[256] = "";
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof text - 1, file) > 0);
	fclose(file);
	return strncmp(strrchr(text, ')'), ") S", 3) == 0;
}

/* The rounds of a busy loop are long: with one answer per round the signer would idle and its callers give up. */
static void finding_i14_reads_many_answers_per_round(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	unsigned most = 0;
	pid_t signer = child_of_ours();
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td/a"), &id, NULL), ERR_NONE);
	for (unsigned i = 0; i < 600; i++)
		(void)issuer_issue(world->issuer, &id, buf_span(&world->spki), 60, on_done, world);
	while (world->num_done < 601) {
		unsigned before = world->num_done;
		assert_true(WAIT_UNTIL(is_asleep(signer), ));
		loop_run_once(world->loop, true);
		most = world->num_done - before > most ? world->num_done - before : most;
	}
	assert_in_range(most, 16, 256);
}

static void finding_i14_an_abandoned_request_is_neither_signed_nor_answered(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct issuer_request *requests[900];
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td/a"), &id, NULL), ERR_NONE);
	for (unsigned round = 0; round < 3; round++) { /* more than the limit of requests under way */
		for (unsigned i = 0; i < 900; i++)
			requests[i] = issuer_issue(world->issuer, &id, buf_span(&world->spki), 60, on_done, world);
		for (unsigned i = 0; i < 900; i++)
			issuer_abandon(requests[i]);
	}
	assert_int_equal(issue(world, "spiffe://td/ns/a"), ERR_NONE);
	assert_int_equal(world->num_done, 2); /* the introduction, and the request that was not abandoned */
}

static void reports_that_the_signer_has_ended_and_fails_later_requests(void **state)
{
	struct world *world = *state;
	pid_t child = child_of_ours();
	assert_true(child > 0);
	kill(child, SIGKILL);
	while (!world->is_lost)
		loop_run_once(world->loop, true);
	assert_int_equal(issue(world, "spiffe://td/ns/a"), ERR_UNAVAILABLE);
}

static void on_damage(void *arg, enum err err)
{
	struct world *world = arg;
	world->err = err;
	world->is_lost = true;
}

static void C17_reports_damaged_keys(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *key = mem_printf("%s/root.pem", world->folder);
	struct issuer *second;
	struct issuer_options options = {.loop = world->loop,
		.key_folder = world->folder,
		.trust_domain = &world->domain,
		.max_leaf_ttl_s = 3600,
		.intermediate_life_s = 7 * 86400,
		.root_life_s = 365 * 86400,
		.policy = KEYS_MAY_BE_MADE,
		.on_lost = on_damage,
		.arg = world};
	assert_int_equal(unlink(key), 0);
	assert_int_equal(issuer_start(&options, &second, NULL), ERR_NONE);
	while (!world->is_lost)
		loop_run_once(world->loop, true);
	assert_int_equal(world->err, ERR_STATE_DAMAGED);
	issuer_free(second);
}

static void W24_C17_S7_once_confined_the_network_process_cannot_reach_the_keys(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *key = mem_printf("%s/root.pem", world->folder);
	_cleanup_(mem_freep) char *own = mem_printf("%s/store", world->parent);
	_cleanup_(mem_freep) char *database = mem_printf("%s/db", own);
	assert_int_equal(mkdir(own, 0700), 0);
	assert_int_equal(access(key, R_OK), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct landlock_path paths[] = {{own, true}};
		if (confine_network(world->folder, paths, 1, NULL) != ERR_NONE)
			_exit(1);
		FILE *file = fopen(database, "w");
		if (file == NULL)
			_exit(2);
		_exit(fopen(key, "r") == NULL && errno == EACCES ? 7 : 3);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void fails_when_a_listed_path_is_above_the_keys(void **state)
{
	struct world *world = *state;
	pid_t pid = fork();
	if (pid == 0) {
		struct landlock_path paths[] = {{world->parent, false}};
		_exit(confine_network(world->folder, paths, 1, NULL) == ERR_UNSUPPORTED ? 7 : 1);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
/* For the child processes, which have no environment: the leak sanitizer uses ptrace, which they forbid, and would end
 * them with its own exit code. The test's ASAN_OPTIONS override this. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], SIGNER_COMMAND) == 0)
		return signer_main(argc, argv);
	const struct CMUnitTest tests[] = {
		TEST(issues_what_the_signer_grants),
		TEST(W14_the_signer_checks_the_requests_of_the_network_process_again),
		TEST(C15_the_control_planes_certificate_chains_to_the_bootstrap_root_only),
		TEST(the_bundle_endpoints_svid_has_the_reserved_name_below_the_intermediate),
		TEST(W23_answers_a_flood_in_order_and_refuses_the_excess),
		TEST(finding_i14_reads_many_answers_per_round),
		TEST(finding_i14_an_abandoned_request_is_neither_signed_nor_answered),
		TEST(reports_that_the_signer_has_ended_and_fails_later_requests),
		TEST(C17_reports_damaged_keys),
		TEST(W24_C17_S7_once_confined_the_network_process_cannot_reach_the_keys),
		TEST(fails_when_a_listed_path_is_above_the_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
