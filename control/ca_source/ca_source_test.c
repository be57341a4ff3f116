/* With doubles of the signer, the rotation and the command at link time, and a clock that the test sets. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "certs/test_ca.h"
#include "control/ca_source/ca_source.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka requires the four above */
#include <cmocka.h>

#define LIFE_S 3600

struct issuer_request {
	issuer_done_fn *on_done; /* NULL: none is under way */
	void *arg;
};

static struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct ca_source *source;
	struct issuer_request shown, requested, imported;
	struct span pem;
	ca_command_done_fn *on_signed;
	void *signed_arg;
	struct test_cert *root, *intermediate;
	bool is_own_root, wants_root;
	uint8_t wanted[DIGEST_LEN];
	unsigned num_requests, num_signed, num_imports, num_taken;
	enum err take_result;
} * world;

static struct issuer_request *keep(struct issuer_request *request, issuer_done_fn *on_done, void *arg)
{
	CHECK(request->on_done == NULL);
	*request = (struct issuer_request){on_done, arg};
	return request;
}

struct issuer_request *issuer_poll(_unused_ struct issuer *issuer, issuer_done_fn *on_done, void *arg)
{
	return keep(&world->shown, on_done, arg);
}

struct issuer_request *issuer_request_intermediate(_unused_ struct issuer *issuer, issuer_done_fn *on_done, void *arg)
{
	world->num_requests++;
	return keep(&world->requested, on_done, arg);
}

struct issuer_request *issuer_import(_unused_ struct issuer *issuer, struct span pem, _unused_ struct span root_sha256,
	issuer_done_fn *on_done, void *arg)
{
	world->num_imports++;
	world->pem = pem;
	return keep(&world->imported, on_done, arg);
}

void issuer_abandon(struct issuer_request *request)
{
	request->on_done = NULL;
}

void ca_command_sign(
	_unused_ struct ca_command *command, _unused_ struct span request_pem, ca_command_done_fn *on_done, void *arg)
{
	world->num_signed++;
	world->on_signed = on_done;
	world->signed_arg = arg;
}

bool rotation_is_own_root(_unused_ const struct rotation *rotation)
{
	return world->is_own_root;
}

bool rotation_wants_root(_unused_ const struct rotation *rotation, uint8_t out_sha256[DIGEST_LEN])
{
	memcpy(out_sha256, world->wanted, DIGEST_LEN);
	return world->wants_root;
}

void rotation_take_root(
	_unused_ struct rotation *rotation, _unused_ struct span root_der, rotation_done_fn *on_done, void *arg)
{
	struct why why = {0};
	world->num_taken++;
	if (world->take_result == ERR_NONE)
		world->is_own_root = true;
	on_done(arg, world->take_result, world->take_result == ERR_NONE ? NULL : &why);
}

static int set_up(_unused_ void **state)
{
	world = mem_new(struct world);
	clock_fake_init(&world->clock, TEST_NOW_S * 1000LL);
	world->loop = loop_new(&world->clock.clock);
	struct test_cert_spec root = test_ca_spec("root"), intermediate = test_ca_spec("intermediate");
	world->root = test_cert_new(&root, NULL);
	intermediate.not_before_s = TEST_NOW_S;
	intermediate.not_after_s = TEST_NOW_S + LIFE_S;
	world->intermediate = test_cert_new(&intermediate, world->root);
	return 0;
}

static int tear_down(_unused_ void **state)
{
	ca_source_free(world->source);
	loop_free(world->loop);
	test_cert_free(world->root);
	test_cert_free(world->intermediate);
	mem_free(world);
	return 0;
}

static void pass(int64_t seconds)
{
	for (int64_t i = 0; i < seconds; i++) {
		clock_fake_advance(&world->clock, 1000);
		loop_run_once(world->loop, false);
	}
}

static void finish(struct issuer_request *request, enum err err, const struct issued *issued)
{
	struct issuer_request done = *request;
	struct why why = {0};
	assert_non_null(done.on_done);
	request->on_done = NULL;
	if (err != ERR_NONE)
		(void)why_set(&why, err, "a chain", "sign it", "the chain is bad");
	done.on_done(done.arg, err, err == ERR_NONE ? issued : NULL, &why);
}

static void show(bool is_own_root)
{
	const struct span root = test_cert_der(world->root), intermediate = test_cert_der(world->intermediate);
	const struct issued issued = {.chain = {root, root, intermediate}, .num_chain = 3};
	world->is_own_root = is_own_root;
	finish(&world->shown, ERR_NONE, &issued);
}

static void start(bool with_command, bool is_own_root)
{
	const struct ca_source_options options = {
		.loop = world->loop, .command = with_command ? (struct ca_command *)world : NULL};
	world->source = ca_source_new(&options);
	show(is_own_root);
}

static void answer_request(void)
{
	const struct issued issued = {.sealed = SPAN_LITERAL("request")};
	finish(&world->requested, ERR_NONE, &issued);
}

static void answer_import(enum err err)
{
	const struct issued issued = {
		.chain = {test_cert_der(world->root), test_cert_der(world->intermediate)}, .num_chain = 2};
	finish(&world->imported, err, &issued);
}

static void sign(void)
{
	answer_request();
	world->on_signed(world->signed_arg, ERR_NONE, SPAN_LITERAL("chain"), NULL);
	assert_true(span_eq(world->pem, SPAN_LITERAL("chain")));
	answer_import(ERR_NONE);
}

static void a_command_is_asked_at_first_and_at_half_of_the_life(_unused_ void **state)
{
	start(true, false);
	assert_int_equal(world->num_requests, 1);
	sign();
	assert_int_equal(world->num_taken, 1);
	pass(LIFE_S / 2 - 60);
	assert_int_equal(world->num_requests, 1);
	pass(120);
	assert_int_equal(world->num_requests, 2);
}

static void what_was_imported_before_a_restart_is_kept(_unused_ void **state)
{
	start(true, true);
	pass(LIFE_S / 2 - 60);
	assert_int_equal(world->num_requests, 0);
	pass(120);
	assert_int_equal(world->num_requests, 1);
}

static void C41_a_command_that_fails_is_asked_again_ever_more_rarely(_unused_ void **state)
{
	struct why why = {0};
	start(true, false);
	for (unsigned num_failed = 0; num_failed < 20; num_failed++) {
		assert_int_equal(world->num_requests, num_failed + 1);
		answer_request();
		(void)why_set(&why, ERR_REFUSED, "a signature", "unseal the vault", "the vault is sealed");
		world->on_signed(world->signed_arg, ERR_REFUSED, (struct span){0}, &why);
		assert_string_equal(ca_source_trouble(world->source)->got, "the vault is sealed");
		for (int i = 0; i < 610 && world->num_requests == num_failed + 1; i++)
			pass(1);
	}
	sign();
	assert_int_equal(ca_source_trouble(world->source)->err, ERR_NONE);
}

static void a_root_of_another_control_plane_is_asked_for_at_once(_unused_ void **state)
{
	start(true, true);
	pass(10);
	assert_int_equal(world->num_requests, 0);
	world->wants_root = true;
	world->wanted[0] = 1;
	pass(6);
	assert_int_equal(world->num_requests, 1);
	sign(); /* below another root than that: the next attempt is due at the next poll */
	pass(6);
	assert_int_equal(world->num_requests, 2);
	digest_sha256(test_cert_der(world->root), world->wanted);
	sign();
	pass(20);
	assert_int_equal(world->num_requests, 2);
}

/* After handfast ca replace --compromised: the mesh has a root of the signer's own until the authority has another. */
static void a_command_whose_root_was_withdrawn_is_asked_again(_unused_ void **state)
{
	start(true, true);
	pass(10);
	assert_int_equal(world->num_requests, 0);
	world->is_own_root = false;
	world->take_result = ERR_REVOKED;
	pass(6);
	assert_int_equal(world->num_requests, 1);
	sign();
	assert_int_equal(ca_source_trouble(world->source)->err, ERR_REVOKED);
	pass(6); /* the first wait is up to 10 s */
	world->take_result = ERR_NONE;
	ca_source_poll(world->source);
	if (world->num_requests == 2)
		sign();
	pass(20);
	assert_int_equal(ca_source_trouble(world->source)->err, ERR_NONE);
}

static void files_are_read_every_few_seconds_and_at_a_reload(_unused_ void **state)
{
	start(false, false);
	assert_int_equal(world->num_imports, 1);
	assert_int_equal(world->pem.len, 0);
	answer_import(ERR_MALFORMED);
	assert_string_equal(ca_source_trouble(world->source)->got, "the chain is bad");
	pass(6);
	assert_int_equal(world->num_imports, 2);
	answer_import(ERR_NONE);
	assert_int_equal(ca_source_trouble(world->source)->err, ERR_NONE);
	ca_source_poll(world->source);
	assert_int_equal(world->num_imports, 3);
	ca_source_poll(world->source); /* one at a time */
	assert_int_equal(world->num_imports, 3);
	world->take_result = ERR_EXISTS;
	answer_import(ERR_NONE);
	assert_int_equal(ca_source_trouble(world->source)->err, ERR_EXISTS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_command_is_asked_at_first_and_at_half_of_the_life),
		TEST(what_was_imported_before_a_restart_is_kept),
		TEST(C41_a_command_that_fails_is_asked_again_ever_more_rarely),
		TEST(a_root_of_another_control_plane_is_asked_for_at_once),
		TEST(a_command_whose_root_was_withdrawn_is_asked_again),
		TEST(files_are_read_every_few_seconds_and_at_a_reload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
