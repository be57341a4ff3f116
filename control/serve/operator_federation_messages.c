/* The messages of federation list, refresh and import. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "certs/digest.h"
#include "control/issue/certificate.h"
#include "control/serve/operator_messages.h"
#include "control/serve/reach_message.h"
#include "proto/handfast/v1/operator.pb-c.h"

#define ROOTS_MAX (JWKS_ROOTS_MAX + PARTNER_RETIRED_MAX)

struct row {
	Handfast__V1__FederationPartner message;
	Handfast__V1__FederationRoot roots[ROOTS_MAX], *root_rows[ROOTS_MAX];
	uint8_t hashes[ROOTS_MAX][DIGEST_LEN];
	char *url;
};

struct rows {
	struct span only; /* a trust domain; empty: all */
	size_t num;
	struct row *all[PARTNER_RECORDS_MAX];
	Handfast__V1__FederationPartner *pointers[PARTNER_RECORDS_MAX];
};

static void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < rows->num; i++) {
		mem_free(rows->all[i]->url);
		mem_free(rows->all[i]);
	}
}

static void add_roots(const struct jwks_bundle *from, bool is_retired, struct row *row)
{
	for (size_t i = 0; i < from->num_roots && row->message.n_roots < ROOTS_MAX; i++) {
		size_t at = row->message.n_roots++;
		int64_t from_s = 0, to_s = 0;
		handfast__v1__federation_root__init(&row->roots[at]);
		row->root_rows[at] = &row->roots[at];
		digest_sha256(from->roots[i], row->hashes[at]);
		row->roots[at].sha256 = pb_bytes(span_of(row->hashes[at], DIGEST_LEN));
		row->roots[at].retired = is_retired;
		if (certificate_validity(from->roots[i], &from_s, &to_s) == ERR_NONE)
			row->roots[at].not_after_ms = to_s * 1000;
	}
}

static void fill_record(const struct partner_record *record, struct row *row)
{
	row->message.has_bundle = true;
	row->message.has_sequence = record->live.has_sequence;
	row->message.sequence = record->live.sequence;
	row->message.changed_ms = record->changed_s * 1000;
	row->message.num_jwt_keys = (uint32_t)record->live.num_jwt_keys;
	row->message.roots = row->root_rows;
	add_roots(&record->live, false, row);
	add_roots(&record->retired, true, row);
}

static void fill_settings(const struct config_partner *settings, struct row *row)
{
	bool is_v6 = strchr(settings->host, ':') != NULL;
	row->url = mem_printf("https://%s%s%s:%u%s", is_v6 ? "[" : "", settings->host, is_v6 ? "]" : "",
		(unsigned)settings->port, settings->path);
	row->message.trust_domain = pb_bytes(span_of_str(settings->domain.name));
	row->message.url = pb_bytes(span_of_str(row->url));
	row->message.profile = pb_bytes(span_of_str(settings->is_spiffe ? "https_spiffe" : "https_web"));
	if (settings->is_spiffe)
		row->message.endpoint_id = pb_bytes(spiffe_id_text(&settings->endpoint_id));
}

static void add_row(void *arg, const struct federation_view *view)
{
	struct rows *rows = arg;
	if (rows->num == PARTNER_RECORDS_MAX ||
		(rows->only.len > 0 && !span_eq(rows->only, span_of_str(view->settings->domain.name))))
		return;
	struct row *row = mem_new(struct row);
	handfast__v1__federation_partner__init(&row->message);
	fill_settings(view->settings, row);
	row->message.refresh_s = view->refresh_s;
	row->message.success_ms = view->success_s * 1000;
	row->message.num_fetched = view->num_fetched;
	row->message.num_failed = view->num_failed;
	row->message.trouble = pb_bytes(span_of_str(view->trouble->got));
	row->message.expected = pb_bytes(span_of_str(view->trouble->expected));
	row->message.fix = pb_bytes(span_of_str(view->trouble->fix));
	if (view->record != NULL)
		fill_record(view->record, row);
	rows->all[rows->num] = row;
	rows->pointers[rows->num++] = &row->message;
}

enum err federation_list_encode(
	const struct federation *federation, struct span only, const struct reach *reach, struct buf *out)
{
	Handfast__V1__FederationListResponse message = HANDFAST__V1__FEDERATION_LIST_RESPONSE__INIT;
	Handfast__V1__Reach reached;
	message.reach = reach_fill(reach, &reached);
	_cleanup_(rows_done) struct rows rows = {.only = only};
	federation_each(federation, add_row, &rows);
	message.partners = rows.pointers;
	message.n_partners = rows.num;
	message.own_bundle = pb_bytes(federation_own_page(federation));
	return pb_pack(&message.base, out);
}

enum err federation_request_parse(struct span bytes, struct federation_request *out, struct why *why)
{
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__federation_request__descriptor, bytes, &out->arena, &unpacked, why));
	const Handfast__V1__FederationRequest *message = (const Handfast__V1__FederationRequest *)unpacked;
	out->trust_domain = pb_span(message->trust_domain);
	out->any_sequence = message->any_sequence;
	out->bundle = pb_span(message->bundle);
	return ERR_NONE;
}

void federation_request_done(struct federation_request *request)
{
	pb_arena_free(request->arena);
}
