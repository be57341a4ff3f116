/* Answers of etcd: the first byte chooses which. */
#include "base/core/check.h"
#include "control/store/etcd/etcd_wire.h"
#include "test/fuzz/fuzz.h"

static void on_record(void *arg, const struct etcd_record *record)
{
	size_t *num = arg;
	CHECK(record->key.len > 0 && record->version > 0);
	(*num)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct span message, writer, value;
	struct etcd_answer answer = {0};
	struct why why = {0};
	_cleanup_(buf_wipe) struct buf token = BUF_INIT(4096);
	size_t num = 0;
	if (len == 0)
		return 0;
	message = span_of(bytes + 1, len - 1);
	enum err err = bytes[0] % 5 == 0   ? etcd_range_parse(message, on_record, &num, &answer, &why)
		       : bytes[0] % 5 == 1 ? etcd_swap_parse(message, on_record, &num, &answer, &why)
		       : bytes[0] % 5 == 2 ? etcd_watch_parse(message, on_record, &num, &answer, &why)
		       : bytes[0] % 5 == 3 ? etcd_value_parse(message, &writer, &value)
					   : etcd_login_parse(message, &token, &why);
	if (err == ERR_NONE && bytes[0] % 5 < 3)
		CHECK(answer.head.cluster != 0 && answer.head.revision > 0);
	return 0;
}
