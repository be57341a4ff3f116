#include "sidecar/workload_api/bundle_entries.h"

#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/workload/spiffe.pb-c.h"

struct bundle_entry {
	Handfast__Workload__BundleEntry message;
	char *key;
	struct buf value;
};

void bundle_entries_done(struct bundle_entries *entries)
{
	for (size_t i = 0; i < entries->num; i++) {
		mem_free(entries->all[i].key);
		buf_done(&entries->all[i].value);
	}
	mem_free(entries->all);
	mem_free(entries->pointers);
}

static enum err put_entry(const struct bundle_set *bundles, const struct bundle *bundle, bundle_value_fn *put_value,
	struct bundle_entry *out)
{
	handfast__workload__bundle_entry__init(&out->message);
	out->value = BUF_INIT(BUNDLE_ENTRY_MAX);
	out->key = mem_printf("spiffe://%s", bundle_trust_domain(bundle)->name);
	RETURN_IF_ERR(put_value(bundles, bundle, &out->value));
	out->message.key = pb_bytes(span_of_str(out->key));
	out->message.value = pb_bytes(buf_span(&out->value));
	return ERR_NONE;
}

enum err bundle_entries_make(const struct bundle_set *bundles, const struct bundle *but, bundle_value_fn *put_value,
	struct bundle_entries *out)
{
	size_t num = bundle_set_num(bundles);
	out->all = mem_calloc(num + 1, sizeof(*out->all));
	out->pointers = mem_calloc(num + 1, sizeof(*out->pointers));
	for (size_t i = 0; i < num; i++) {
		const struct bundle *bundle = bundle_set_at(bundles, i);
		if (bundle == but)
			continue;
		struct bundle_entry *entry = &out->all[out->num];
		out->pointers[out->num++] = &entry->message;
		RETURN_IF_ERR(put_entry(bundles, bundle, put_value, entry));
	}
	return ERR_NONE;
}
