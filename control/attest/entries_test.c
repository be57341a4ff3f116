/* Entries that an operator makes, beside those of the settings. */
#include "base/core/mem.h"
#include "control/attest/attest_private.h"
#include "control/attest/test_attest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define UID "unix:uid:1000"

static struct workload_entry entry_of(const char *name, const char *id, const char *selector)
{
	struct workload_entry entry = {.name = mem_strdup(name), .id = world_id(id), .ttl_s = 60};
	assert_int_equal(workload_entry_add_selector(&entry, span_of_str(selector), NULL), ERR_NONE);
	return entry;
}

static void on_stored(void *arg, enum err err, _unused_ uint64_t version)
{
	struct world *world = arg;
	world->num_done++;
	world->err = err;
}

static enum err create(struct world *world, const char *name, const char *id, const char *selector)
{
	_cleanup_(workload_entry_done) struct workload_entry entry = entry_of(name, id, selector);
	enum err err = attest_entry_create(world->attest, &entry, on_stored, world, &world->detail);
	if (err != ERR_NONE)
		return err;
	world_wait_for(world, world->num_done + 1);
	return world->err;
}

static enum err delete (struct world *world, const char *name) {
	enum err err = attest_entry_delete(world->attest, span_of_str(name), on_stored, world, &world->detail);
	if (err != ERR_NONE) return err;
	world_wait_for(world, world->num_done + 1);
	return world->err;
}

/* The identity for these facts; "": none. */
static const char *choose(struct world *world, const char *one, const char *two)
{
	static char text[128];
	_cleanup_(selector_set_done) struct selector_set facts = {0};
	const struct workload_entry *entry = NULL;
	selector_set_add(&facts, span_of_str(one));
	if (two != NULL)
		selector_set_add(&facts, span_of_str(two));
	if (attest_choose(world->attest, &facts, &entry, &world->detail) != ERR_NONE)
		return "";
	snprintf(text, sizeof text, "%s", entry->id.text);
	return text;
}

static void an_entry_counts_from_its_commit_until_it_is_deleted(void **state)
{
	struct world *world = *state;
	assert_string_equal(choose(world, UID, NULL), "");
	assert_int_equal(create(world, "a", "spiffe://td/a", UID), ERR_NONE);
	assert_string_equal(choose(world, UID, NULL), "spiffe://td/a");
	/* It is durable: another reader of the store finds it. */
	struct trust_domain domain = {"td"};
	struct attest *again = attest_new(world->loop, world->store, &domain), *own = world->attest;
	world->attest = again;
	assert_string_equal(choose(world, UID, NULL), "spiffe://td/a");
	world->attest = own;
	attest_free(again);
	assert_int_equal(delete (world, "a"), ERR_NONE);
	assert_string_equal(choose(world, UID, NULL), "");
	assert_int_equal(delete (world, "a"), ERR_NOT_FOUND);
}

static void W32_an_entry_that_contradicts_another_is_refused_as_a_whole(void **state)
{
	struct world *world = *state;
	_cleanup_(workload_entry_done) struct workload_entry file = entry_of("file", "spiffe://td/file", "unix:gid:5");
	attest_set_entries(world->attest, &file, 1);
	assert_int_equal(create(world, "a", "spiffe://td/a", UID), ERR_NONE);
	assert_int_equal(create(world, "a", "spiffe://td/a", "unix:uid:7"), ERR_EXISTS);    /* the name */
	assert_int_equal(create(world, "b", "spiffe://td/b", UID), ERR_EXISTS);             /* the selectors */
	assert_int_equal(create(world, "file", "spiffe://td/c", "unix:uid:8"), ERR_EXISTS); /* of the settings */
	assert_int_equal(create(world, "d", "spiffe://td/d", "unix:gid:5"), ERR_EXISTS);
	assert_int_equal(create(world, "e", "spiffe://other/e", "unix:uid:9"), ERR_CONFIG);
	assert_int_equal(create(world, "e", "spiffe://td/handfast/control", "unix:uid:9"), ERR_CONFIG);
	assert_int_equal(delete (world, "file"), ERR_DENIED);
	assert_int_equal(delete (world, "no/name"), ERR_MALFORMED);
	assert_string_equal(choose(world, UID, NULL), "spiffe://td/a");
	assert_string_equal(choose(world, "unix:gid:5", NULL), "spiffe://td/file");
	/* Both fit one process, and neither is narrower. */
	assert_string_equal(choose(world, UID, "unix:gid:5"), "");
	assert_non_null(strstr(world->detail.got, "different identities"));
	attest_set_entries(world->attest, NULL, 0);
}

static void two_commands_for_one_name_make_one_entry(void **state)
{
	struct world *world = *state;
	_cleanup_(workload_entry_done) struct workload_entry one = entry_of("a", "spiffe://td/a", UID);
	_cleanup_(workload_entry_done) struct workload_entry two = entry_of("a", "spiffe://td/b", "unix:uid:7");
	unsigned before = world->num_done;
	assert_int_equal(attest_entry_create(world->attest, &one, on_stored, world, NULL), ERR_NONE);
	assert_int_equal(attest_entry_create(world->attest, &two, on_stored, world, NULL), ERR_NONE);
	world_wait_for(world, before + 2);
	assert_int_equal(world->err, ERR_CONFLICT); /* of the second */
	assert_string_equal(choose(world, UID, NULL), "spiffe://td/a");
	assert_string_equal(choose(world, "unix:uid:7", NULL), "");
}

static void a_record_that_is_not_understood_gives_no_identity(void **state)
{
	struct world *world = *state;
	static const char *const records[] = {"name=x\nid=spiffe://td/x\nselector=later:kind:1\n",
		"name=x\nid=spiffe://td/x\n", "name=x\nid=spiffe://other/x\nselector=unix:uid:3\n", "nonsense"};
	for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
		char key[32];
		snprintf(key, sizeof key, "entry/x%zu", i);
		store_swap(world->store, key, 0, span_of_str(records[i]), on_stored, world);
		world_wait_for(world, world->num_done + 1);
	}
	assert_string_equal(choose(world, "unix:uid:3", NULL), "");
	assert_int_equal(create(world, "a", "spiffe://td/a", "unix:uid:3"), ERR_NONE);
	assert_string_equal(choose(world, "unix:uid:3", NULL), "spiffe://td/a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(an_entry_counts_from_its_commit_until_it_is_deleted),
		WORLD_TEST(W32_an_entry_that_contradicts_another_is_refused_as_a_whole),
		WORLD_TEST(two_commands_for_one_name_make_one_entry),
		WORLD_TEST(a_record_that_is_not_understood_gives_no_identity),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
