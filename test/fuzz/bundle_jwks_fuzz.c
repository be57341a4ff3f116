/* A partner's trust bundle, and the record that is made of it. What is accepted is written and read again. */
#include "control/federate/bundle_jwks.h"
#include "control/federate/partner_record.h"
#include "test/fuzz/fuzz.h"

static void write_and_read_again(const struct jwks_bundle *bundle)
{
	_cleanup_(buf_done) struct buf value = BUF_INIT(STORE_VALUE_MAX);
	_cleanup_(partner_record_done) struct partner_record read = {0};
	_cleanup_(bundle_unrefp) struct bundle *judged = NULL;
	struct partner_record record = {.live = *bundle}; /* borrows */
	CHECK(partner_record_encode(&record, &value) == ERR_NONE);
	CHECK(partner_record_parse(PARTNER_RECORDS_PREFIX "p.test", buf_span(&value), &read) == ERR_NONE);
	CHECK(partner_record_has_same_content(&read, bundle) && read.live.sequence == bundle->sequence);
	(void)!partner_record_bundle(&read, &judged, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(jwks_bundle_done) struct jwks_bundle bundle = {0};
	_cleanup_(partner_record_done) struct partner_record record = {0};
	struct why why = {0};
	if (jwks_bundle_parse(span_of(bytes, len), &bundle, &why) == ERR_NONE)
		write_and_read_again(&bundle);
	else
		CHECK(why.err != ERR_NONE && why.got[0] != '\0');
	(void)!partner_record_parse(PARTNER_RECORDS_PREFIX "p.test", span_of(bytes, len), &record);
	return 0;
}
