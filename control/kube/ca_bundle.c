#include "control/kube/ca_bundle.h"

#include "base/core/base64.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/pem.h"
#include "control/issue/certificate.h"
#include <string.h>

struct authority {
	struct span der; /* own: borrowed; else in `copy` */
	uint8_t *copy;
	int64_t not_after_s;
	bool is_own;
};

struct bundle {
	struct authority items[CA_BUNDLE_AUTHORITIES_MAX + 1];
	size_t num;
};

static void bundle_done(struct bundle *bundle)
{
	for (size_t i = 0; i < bundle->num; i++)
		mem_free(bundle->items[i].copy);
}

static bool has(const struct bundle *bundle, struct span der)
{
	for (size_t i = 0; i < bundle->num; i++)
		if (span_eq(bundle->items[i].der, der))
			return true;
	return false;
}

static void drop(struct bundle *bundle, size_t at)
{
	mem_free(bundle->items[at].copy);
	bundle->num--;
	memmove(&bundle->items[at], &bundle->items[at + 1], (bundle->num - at) * sizeof(bundle->items[0]));
}

static void add(struct bundle *bundle, struct authority authority)
{
	CHECK(bundle->num <= CA_BUNDLE_AUTHORITIES_MAX);
	bundle->items[bundle->num++] = authority;
	if (bundle->num <= CA_BUNDLE_AUTHORITIES_MAX)
		return;
	size_t first = 0;
	for (size_t i = 1; i < bundle->num; i++)
		if (!bundle->items[i].is_own &&
			(bundle->items[first].is_own ||
				bundle->items[i].not_after_s < bundle->items[first].not_after_s))
			first = i;
	drop(bundle, first);
}

static bool is_own(struct span der, const struct span *own, size_t num_own)
{
	for (size_t i = 0; i < num_own; i++)
		if (span_eq(der, own[i]))
			return true;
	return false;
}

/* Returns whether everything in `pem` is to stay. */
static bool read(struct span pem, const struct span *own, size_t num_own, int64_t now_s, struct bundle *bundle)
{
	_cleanup_(pem_block_done) struct pem_block block = {.der = NULL};
	bool is_right = true;
	for (;;) {
		int64_t from = 0, to = 0;
		enum err err = pem_next(&pem, &block);
		if (err == ERR_NOT_FOUND)
			return is_right;
		if (err != ERR_NONE)
			return false;
		struct span der = span_of(block.der, block.der_len);
		if (strcmp(block.label, "CERTIFICATE") != 0 || certificate_validity(der, &from, &to) != ERR_NONE ||
			to <= now_s - CA_BUNDLE_EXPIRED_S || has(bundle, der)) {
			is_right = false;
			continue;
		}
		is_right = is_right && bundle->num < CA_BUNDLE_AUTHORITIES_MAX;
		uint8_t *copy = mem_dup(der.ptr, der.len);
		add(bundle, (struct authority){.der = span_of(copy, der.len),
				    .copy = copy,
				    .not_after_s = to,
				    .is_own = is_own(der, own, num_own)});
	}
}

static void write(const struct bundle *bundle, struct buf *out)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(CA_BUNDLE_TEXT_MAX);
	for (size_t i = 0; i < bundle->num; i++)
		CHECK(pem_encode("CERTIFICATE", bundle->items[i].der, &pem) == ERR_NONE);
	CHECK(base64_encode(buf_span(&pem), out) == ERR_NONE);
}

bool ca_bundle_repair(struct span before, const struct span *own, size_t num_own, int64_t now_s, struct buf *out)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(CA_BUNDLE_TEXT_MAX);
	_cleanup_(bundle_done) struct bundle bundle = {.num = 0};
	bool is_right = before.len <= CA_BUNDLE_TEXT_MAX && base64_decode(before, &pem) == ERR_NONE;
	if (is_right)
		is_right = read(buf_span(&pem), own, num_own, now_s, &bundle);
	for (size_t i = 0; i < num_own; i++) {
		if (has(&bundle, own[i]))
			continue;
		is_right = false;
		add(&bundle, (struct authority){.der = own[i], .is_own = true});
	}
	if (!is_right)
		write(&bundle, out);
	return !is_right;
}

bool ca_bundle_has(struct span bundle, struct span authority)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(CA_BUNDLE_TEXT_MAX);
	_cleanup_(pem_block_done) struct pem_block block = {.der = NULL};
	if (bundle.len > CA_BUNDLE_TEXT_MAX || base64_decode(bundle, &pem) != ERR_NONE)
		return false;
	struct span rest = buf_span(&pem);
	while (pem_next(&rest, &block) == ERR_NONE)
		if (span_eq(span_of(block.der, block.der_len), authority))
			return true;
	return false;
}
