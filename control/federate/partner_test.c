#include "control/federate/partner.h"

#include "base/core/mem.h"
#include "base/core/test_wait.h"
#include "certs/test_ca.h"
#include "control/report/control_metrics.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the first two */
#include <cmocka.h>

#define NOW_MS (TEST_NOW_S * 1000)

struct world {
	char folder[32], path[64];
	struct clock_fake clock;
	struct loop *loop;
	struct store *store;
	struct metrics *metrics;
	struct config_partner settings;
	struct partner *partner; /* its endpoint does not answer: bundles are given by hand */
	struct test_cert *roots[2];
	struct why detail;
};

static struct partner *open_partner(struct world *world)
{
	return partner_new(world->loop, world->store, metrics_shard(world->metrics, 0), 60, NULL, &world->settings);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	struct test_cert_spec spec = test_ca_spec("a root");
	clock_fake_init(&world->clock, NOW_MS);
	world->loop = loop_new(&world->clock.clock);
	snprintf(world->folder, sizeof world->folder, "/tmp/partner.XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof world->path, "%s/store", world->folder);
	assert_int_equal(store_open(world->loop, world->path, &world->store, NULL), ERR_NONE);
	world->metrics = control_metrics_new();
	world->settings = (struct config_partner){.host = mem_strdup("127.0.0.1"), .port = 1, .path = mem_strdup("/")};
	snprintf(world->settings.domain.name, sizeof world->settings.domain.name, "p.test");
	for (size_t i = 0; i < 2; i++)
		world->roots[i] = test_cert_new(&spec, NULL);
	world->partner = open_partner(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->folder);
	partner_free(world->partner);
	store_close(world->store);
	loop_run_once(world->loop, false);
	loop_free(world->loop);
	metrics_free(world->metrics);
	config_partner_done(&world->settings);
	for (size_t i = 0; i < 2; i++)
		test_cert_free(world->roots[i]);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

/* A bundle with that root (2: none) and sequence (0: without). */
static enum err give_to(struct world *world, struct partner *partner, size_t root, uint64_t sequence, bool any_sequence)
{
	_cleanup_(jwks_bundle_done) struct jwks_bundle bundle = {.has_sequence = sequence != 0, .sequence = sequence};
	_cleanup_(buf_done) struct buf text = BUF_INIT(JWKS_TEXT_MAX);
	if (root < 2)
		assert_int_equal(jwks_bundle_add_root(&bundle, test_cert_der(world->roots[root])), ERR_NONE);
	assert_int_equal(jwks_bundle_encode(&bundle, &text), ERR_NONE);
	world->detail = (struct why){0};
	return partner_take(partner, buf_span(&text), any_sequence, &world->detail);
}

static void settle(struct world *world, const struct partner *partner)
{
	assert_true(WAIT_UNTIL(partner->saving == NULL, loop_run_once(world->loop, true)));
}

static enum err give(struct world *world, size_t root, uint64_t sequence, bool any_sequence)
{
	enum err err = give_to(world, world->partner, root, sequence, any_sequence);
	settle(world, world->partner);
	return err;
}

/* The setting first, the file later: the next try takes it. */
static void a_first_bundle_is_taken_when_its_file_appears(void **state)
{
	struct world *world = *state;
	_cleanup_(jwks_bundle_done) struct jwks_bundle bundle = {.has_sequence = true, .sequence = 3};
	_cleanup_(buf_done) struct buf text = BUF_INIT(JWKS_TEXT_MAX);
	assert_int_equal(jwks_bundle_add_root(&bundle, test_cert_der(world->roots[0])), ERR_NONE);
	assert_int_equal(jwks_bundle_encode(&bundle, &text), ERR_NONE);
	partner_free(world->partner);
	world->settings.is_spiffe = true;
	world->settings.bundle_file = mem_printf("%s/bundle.json", world->folder);
	world->partner = open_partner(world);
	partner_on_next(&world->partner->next);
	assert_false(world->partner->has_record);
	assert_non_null(strstr(world->partner->trouble.got, "bundle.json"));
	FILE *file = fopen(world->settings.bundle_file, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(buf_span(&text).ptr, 1, buf_len(&text), file), buf_len(&text));
	assert_int_equal(fclose(file), 0);
	partner_on_next(&world->partner->next);
	settle(world, world->partner);
	assert_true(world->partner->has_record);
	assert_int_equal(world->partner->record.live.sequence, 3);
}

static void the_sequence_never_goes_back_by_itself(void **state)
{
	struct world *world = *state;
	const struct jwks_bundle *live = &world->partner->record.live;
	assert_int_equal(give(world, 0, 5, false), ERR_NONE);
	assert_int_equal(live->sequence, 5);
	assert_int_equal(give(world, 1, 4, false), ERR_CONFLICT);
	assert_non_null(strstr(world->detail.got, "sequence 4 after 5"));
	assert_int_equal(give(world, 1, 0, false), ERR_CONFLICT); /* without one */
	assert_int_equal(give(world, 0, 4, false), ERR_NONE);     /* the same content */
	assert_int_equal(live->sequence, 5);
	assert_int_equal(give(world, 1, 6, false), ERR_NONE);
	assert_int_equal(live->sequence, 6);
	assert_int_equal(world->partner->record.retired.num_roots, 1);
	assert_int_equal(give(world, 0, 2, true), ERR_NONE); /* an operator's word */
	assert_int_equal(live->sequence, 2);
}

static void a_bundle_without_roots_withdraws_them(void **state)
{
	struct world *world = *state;
	assert_int_equal(give(world, 0, 1, false), ERR_NONE);
	assert_int_equal(give(world, 2, 2, false), ERR_NONE);
	assert_int_equal(world->partner->record.live.num_roots, 0);
}

static void what_is_stored_is_there_after_a_restart(void **state)
{
	struct world *world = *state;
	assert_int_equal(give(world, 0, 5, false), ERR_NONE);
	partner_free(world->partner);
	world->partner = open_partner(world);
	assert_int_equal(world->partner->record.live.sequence, 5);
	assert_int_equal(give(world, 1, 4, false), ERR_CONFLICT);
}

/* Of two control planes that fetch at the same time one writes; the other one goes on from there. */
static void of_two_writers_one_is_first(void **state)
{
	struct world *world = *state;
	struct partner *other = open_partner(world);
	assert_int_equal(give_to(world, world->partner, 0, 7, false), ERR_NONE);
	assert_int_equal(give_to(world, other, 1, 8, false), ERR_NONE);
	settle(world, world->partner);
	settle(world, other);
	assert_int_equal(other->record.live.sequence, 7);
	assert_int_equal(give_to(world, other, 1, 8, false), ERR_NONE);
	settle(world, other);
	partner_record_changed(world->partner);
	assert_int_equal(world->partner->record.live.sequence, 8);
	partner_free(other);
}

static void hints_are_bounded(void **state)
{
	struct world *world = *state;
	static const uint32_t hints[][2] = {{0, 300}, {1, 60}, {60, 60}, {3600, 3600}, {UINT32_MAX, 86400}};
	for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
		world->partner->record.live.refresh_hint_s = hints[i][0];
		assert_int_equal(partner_refresh_s(world->partner), hints[i][1]);
	}
}

/* A partner that is removed while its bundle is being stored. */
static void an_answer_of_the_store_to_a_partner_that_is_gone_is_dropped(void **state)
{
	struct world *world = *state;
	struct partner *other = open_partner(world);
	assert_int_equal(give_to(world, other, 0, 7, false), ERR_NONE);
	partner_free(other);
	assert_true(WAIT_UNTIL((partner_record_changed(world->partner), world->partner->has_record),
		loop_run_once(world->loop, true)));
	loop_run_once(world->loop, false);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_sequence_never_goes_back_by_itself),
		CASE(a_first_bundle_is_taken_when_its_file_appears),
		CASE(a_bundle_without_roots_withdraws_them),
		CASE(what_is_stored_is_there_after_a_restart),
		CASE(of_two_writers_one_is_first),
		CASE(hints_are_bounded),
		CASE(an_answer_of_the_store_to_a_partner_that_is_gone_is_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
