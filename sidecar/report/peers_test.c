#include "sidecar/report/peers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka requires the four above */
#include <cmocka.h>

DEFINE_CLEANUP(struct peers *, peers_free)
#define OWNED _cleanup_(peers_freep)

static struct peer_seen seen[PEERS_MAX];
static uint32_t num_left_out;

static struct spiffe_id id_of(const char *text)
{
	struct spiffe_id id;
	assert_int_equal(spiffe_id_parse(span_of_str(text), &id, NULL), ERR_NONE);
	return id;
}

static struct addr addr_of(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

static struct access_record outbound(const struct spiffe_id *to)
{
	return (struct access_record){.direction = "outbound",
		.source = addr_of("127.0.0.1:40000"),
		.destination = addr_of("192.0.2.7:80"),
		.destination_id = to,
		.encrypted = true,
		.reason = "done",
		.duration_ms = 500,
		.ended_wall_ms = 10000};
}

static void a_peer_has_one_row_per_outcome_with_counts_and_times(void **state)
{
	(void)state;
	OWNED struct peers *peers = peers_new();
	struct spiffe_id db = id_of("spiffe://cluster.local/db");
	struct access_record record = outbound(&db);
	peers_set_on(peers, true);
	peers_note(peers, &record);
	record.destination = addr_of("192.0.2.8:80"); /* the same identity at another address */
	record.ended_wall_ms = 12000;
	peers_note(peers, &record);
	struct why why = {0};
	(void)why_set(&why, ERR_DENIED, "a rule", "allow it", "policy refuses it");
	record.failed = true;
	record.reason = "denied";
	record.detail = &why;
	peers_note(peers, &record);
	assert_int_equal(peers_copy(peers, seen, &num_left_out), 2);
	assert_string_equal(seen[0].reason, "denied");
	assert_string_equal(seen[0].detail, "policy refuses it");
	assert_string_equal(seen[0].fix, "allow it");
	assert_string_equal(seen[1].id, "spiffe://cluster.local/db");
	assert_true(seen[1].num == 2 && seen[1].first_ms == 9500 && seen[1].last_ms == 12000 && seen[1].is_encrypted);
	assert_string_equal(seen[1].reason, "");
	spiffe_id_done(&db);
}

static void nothing_is_noted_before_it_is_asked_for(void **state)
{
	(void)state;
	OWNED struct peers *peers = peers_new();
	struct access_record record = outbound(NULL);
	peers_note(peers, &record);
	assert_int_equal(peers_copy(peers, seen, &num_left_out), 0);
	peers_set_on(peers, true);
	record.destination = (struct addr){0};
	peers_note(peers, &record); /* nothing is known of it */
	assert_int_equal(peers_copy(peers, seen, &num_left_out), 0);
}

static void D40_strangers_take_half_of_the_rows_at_most(void **state)
{
	(void)state;
	OWNED struct peers *peers = peers_new();
	char text[64];
	peers_set_on(peers, true);
	for (int i = 0; i < 40; i++) {
		struct access_record record = outbound(NULL);
		snprintf(text, sizeof text, "198.51.100.%d:80", i + 1);
		record.destination = addr_of(text);
		peers_note(peers, &record);
	}
	for (int i = 0; i < 1000; i++) {
		struct access_record record = {.direction = "inbound_plain",
			.destination = addr_of("192.0.2.1:80"),
			.failed = true,
			.reason = "plaintext_refused"};
		snprintf(text, sizeof text, "203.0.%d.%d:40000", i / 250, 1 + i % 250);
		record.source = addr_of(text);
		peers_note(peers, &record);
	}
	size_t num = peers_copy(peers, seen, &num_left_out), num_outbound = 0;
	for (size_t i = 0; i < num; i++)
		num_outbound += seen[i].is_outbound;
	assert_true(num <= PEERS_MAX && num_outbound >= PEERS_MAX / 2);
	assert_int_equal(num_left_out, 1040 - num);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_has_one_row_per_outcome_with_counts_and_times),
		cmocka_unit_test(nothing_is_noted_before_it_is_asked_for),
		cmocka_unit_test(D40_strangers_take_half_of_the_rows_at_most),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
