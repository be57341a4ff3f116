#include "control/attest/test_attest.h"
#include "base/core/base64url.h"
#include "base/core/mem.h"
#include "certs/csr.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct spiffe_id world_id(const char *text)
{
	struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(span_of_str(text), &id, NULL), ERR_NONE);
	return id;
}

void world_on_token(void *arg, enum err err, struct span line, struct span id, _unused_ int64_t not_after_s)
{
	struct world *world = arg;
	assert_int_equal(err, ERR_NONE);
	const uint8_t *first = (const uint8_t *)memchr(line.ptr, '.', line.len) + 1;
	const uint8_t *second = (const uint8_t *)memchr(first, '.', line.len - 4) + 1;
	const uint8_t *third = (const uint8_t *)memchr(second, '.', 60) + 1;
	assert_int_equal(base64url_decode(span_of(first, (size_t)(second - first - 1)), &world->token_id), ERR_NONE);
	assert_int_equal(base64url_decode(span_of(second, (size_t)(third - second - 1)), &world->secret), ERR_NONE);
	assert_true(span_eq(id, buf_span(&world->token_id)));
	world->num_done++;
}

void world_wait_for(struct world *world, unsigned num_done)
{
	while (world->num_done < num_done)
		loop_run_once(world->loop, false);
}

void world_make_token(struct world *world, const char *id)
{
	const uint8_t bootstrap_hash[DIGEST_LEN] = {1};
	struct attest_token_request request = {span_of_str(id), 60, NULL, 0, bootstrap_hash};
	buf_clear(&world->token_id);
	buf_clear(&world->secret);
	assert_int_equal(attest_token_create(world->attest, &request, world_on_token, world, NULL), ERR_NONE);
	world_wait_for(world, world->num_done + 1);
}

int world_set_up(void **state)
{
	struct world *world = mem_new(struct world);
	struct trust_domain domain = {"td"};
	snprintf(world->folder, sizeof world->folder, "/tmp/attestXXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(world->path, sizeof world->path, "%s/db", world->folder);
	clock_fake_init(&world->clock, 1800000000000);
	world->loop = loop_new(&world->clock.clock);
	assert_int_equal(store_open(world->loop, world->path, &world->store, NULL), ERR_NONE);
	world->attest = attest_new(world->loop, world->store, &domain);
	buf_init(&world->token_id, 64);
	buf_init(&world->secret, 64);
	world_make_token(world, TEST_ID);
	*state = world;
	return 0;
}

int world_tear_down(void **state)
{
	struct world *world = *state;
	store_close(world->store);
	loop_run_once(world->loop, false);
	attest_free(world->attest);
	loop_free(world->loop);
	buf_done(&world->token_id);
	buf_done(&world->secret);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->folder);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

void world_ban(struct world *world, const struct spiffe_id *id)
{
	svid_holders_ban(world->store, id, 1800000000, NULL, NULL);
	while (!svid_holders_is_banned(world->store, id))
		loop_run_once(world->loop, false);
}

void world_on_done(void *arg, enum err err, const struct attested *attested, const struct why *why)
{
	struct world *world = arg;
	world->num_done++;
	world->num_good += err == ERR_NONE;
	world->err = err;
	world->detail = *why;
	world->id[0] = 0;
	world->is_recorded = attested != NULL && attested->is_recorded;
	if (attested != NULL)
		snprintf(world->id, sizeof world->id, "%s", attested->svid_holder->id.text);
}

void asking_done(struct asking *asking)
{
	buf_done(&asking->key);
	buf_done(&asking->csr);
	buf_done(&asking->proof);
}

struct asking world_ask(struct world *world, enum attestation_kind kind, const struct private_key *key)
{
	_cleanup_(private_key_unrefp) struct private_key *leaf = private_key_generate();
	struct asking asking = {.key = BUF_INIT(1024), .csr = BUF_INIT(CSR_MAX), .proof = BUF_INIT(1024)};
	struct attest_request *request = &asking.request;
	memset(request->exported, 0x5a, sizeof request->exported);
	assert_int_equal(private_key_public(key, &asking.key), ERR_NONE);
	assert_int_equal(csr_encode(leaf, &asking.csr), ERR_NONE);
	assert_int_equal(private_key_sign(key, span_of(request->exported, 32), &asking.proof), ERR_NONE);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.1"), &request->source), ERR_NONE);
	request->kind = kind;
	request->unix_fd = -1;
	request->token_id = buf_span(&world->token_id);
	request->secret = buf_span(&world->secret);
	request->kubernetes_token = SPAN_LITERAL("a.b.c");
	request->attestation_key = buf_span(&asking.key);
	request->csr = buf_span(&asking.csr);
	request->proof = buf_span(&asking.proof);
	return asking;
}

enum err world_check(struct world *world, const struct attest_request *request)
{
	attest_check(world->attest, request, world_on_done, world);
	world_wait_for(world, world->num_done + 1);
	return world->err;
}

enum err world_attest(struct world *world, enum attestation_kind kind, const struct private_key *key)
{
	_cleanup_(asking_done) struct asking asking = world_ask(world, kind, key);
	return world_check(world, &asking.request);
}
