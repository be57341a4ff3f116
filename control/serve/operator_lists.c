/* Answers of many rows: join tokens and bans. */
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "control/serve/operator_messages.h"
#include "proto/handfast/v1/operator.pb-c.h"

#define ROWS_MAX 20000 /* bounds one answer */

struct token_row {
	Handfast__V1__Token message;
	uint8_t token_id[JOIN_TOKEN_ID_LEN], used_by[DIGEST_LEN];
	char *id, *network_texts;
	ProtobufCBinaryData networks[JOIN_TOKEN_NETWORKS_MAX];
};
struct token_list {
	struct token_row **rows; /* each of its own: the messages point into them */
	size_t num, cap, num_left_out;
};

static void *grown(void *rows, size_t num, size_t *cap)
{
	if (num < *cap)
		return rows;
	*cap = *cap == 0 ? 64 : 2 * *cap;
	return mem_realloc(rows, *cap * sizeof(void *));
}

struct token_list *token_list_new(void)
{
	return mem_new(struct token_list);
}

void token_list_free(struct token_list *list)
{
	for (size_t i = 0; i < list->num; i++) {
		mem_free(list->rows[i]->id);
		mem_free(list->rows[i]->network_texts);
		mem_free(list->rows[i]);
	}
	mem_free(list->rows);
	mem_free(list);
}

static void add_networks(struct token_row *row, const struct join_token *token)
{
	row->network_texts = mem_calloc(JOIN_TOKEN_NETWORKS_MAX, ADDR_TEXT_MAX);
	for (size_t i = 0; i < token->num_networks; i++) {
		char *text = row->network_texts + i * ADDR_TEXT_MAX;
		row->networks[i] = pb_bytes(span_of_str(network_format(&token->networks[i], text)));
	}
	row->message.networks = row->networks;
	row->message.n_networks = token->num_networks;
}

void token_list_add(struct token_list *list, struct span id, const struct join_token *token)
{
	if (id.len != JOIN_TOKEN_ID_LEN)
		return;
	if (list->num == ROWS_MAX) {
		list->num_left_out++;
		return;
	}
	struct token_row *row = mem_new(struct token_row);
	handfast__v1__token__init(&row->message);
	memcpy(row->token_id, id.ptr, id.len);
	memcpy(row->used_by, token->key_hash, DIGEST_LEN);
	row->id = mem_strdup(token->id.text);
	row->message.token_id = pb_bytes(span_of(row->token_id, sizeof row->token_id));
	row->message.id = pb_bytes(span_of_str(row->id));
	row->message.expires_ms = token->not_after_s * 1000;
	if (token->is_bound)
		row->message.used_by = pb_bytes(span_of(row->used_by, sizeof row->used_by));
	add_networks(row, token);
	list->rows = grown(list->rows, list->num, &list->cap);
	list->rows[list->num++] = row;
}

enum err token_list_encode(struct token_list *list, struct buf *out)
{
	Handfast__V1__TokenListResponse message = HANDFAST__V1__TOKEN_LIST_RESPONSE__INIT;
	_cleanup_(mem_freep) Handfast__V1__Token **tokens = mem_calloc(list->num, sizeof *tokens);
	for (size_t i = 0; i < list->num; i++)
		tokens[i] = &list->rows[i]->message;
	message.tokens = tokens;
	message.n_tokens = list->num;
	message.num_left_out = list->num_left_out;
	return pb_pack(&message.base, out);
}

/* --- bans --- */

struct ban_row {
	Handfast__V1__Ban message;
	char *id;
};
struct ban_list {
	struct ban_row **rows;
	size_t num, cap, num_left_out;
};

struct ban_list *ban_list_new(void)
{
	return mem_new(struct ban_list);
}

void ban_list_free(struct ban_list *list)
{
	for (size_t i = 0; i < list->num; i++) {
		mem_free(list->rows[i]->id);
		mem_free(list->rows[i]);
	}
	mem_free(list->rows);
	mem_free(list);
}

void ban_list_add(struct ban_list *list, struct span id, int64_t since_ms)
{
	if (list->num == ROWS_MAX) {
		list->num_left_out++;
		return;
	}
	struct ban_row *row = mem_new(struct ban_row);
	handfast__v1__ban__init(&row->message);
	row->id = mem_printf("%.*s", (int)id.len, (const char *)id.ptr);
	row->message.id = pb_bytes(span_of_str(row->id));
	row->message.since_ms = since_ms;
	list->rows = grown(list->rows, list->num, &list->cap);
	list->rows[list->num++] = row;
}

void ban_list_count(struct ban_list *list, struct span id)
{
	size_t low = 0, high = list->num;
	_cleanup_(mem_freep) char *text = mem_printf("%.*s", (int)id.len, (const char *)id.ptr);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int comparison = strcmp(list->rows[middle]->id, text);
		if (comparison == 0)
			list->rows[middle]->message.num_svid_holders++;
		if (comparison == 0)
			return;
		if (comparison < 0)
			low = middle + 1;
		else
			high = middle;
	}
}

enum err ban_list_encode(struct ban_list *list, struct buf *out)
{
	Handfast__V1__BanListResponse message = HANDFAST__V1__BAN_LIST_RESPONSE__INIT;
	_cleanup_(mem_freep) Handfast__V1__Ban **bans = mem_calloc(list->num, sizeof *bans);
	for (size_t i = 0; i < list->num; i++)
		bans[i] = &list->rows[i]->message;
	message.bans = bans;
	message.n_bans = list->num;
	message.num_left_out = list->num_left_out;
	return pb_pack(&message.base, out);
}
