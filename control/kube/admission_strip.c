#include "control/kube/admission_strip.h"

#include <string.h>

/* A review with one of these stays whole: of a pod that is injected already, what the sidecar has is read, and
 * variables of a container that gets the Workload API are added to those that it has. */
static const char *const kept_whole[] = {"handfast.dev/injected", "handfast-token", "handfast.dev/workload-api"};

/* Members of a review, of a pod and of its containers, the most frequent first. */
static const struct span left_out[] = {SPAN_LITERAL("managedFields"), SPAN_LITERAL("env"), SPAN_LITERAL("envFrom"),
	SPAN_LITERAL("command"), SPAN_LITERAL("args"), SPAN_LITERAL("affinity"), SPAN_LITERAL("tolerations"),
	SPAN_LITERAL("topologySpreadConstraints"), SPAN_LITERAL("ownerReferences"), SPAN_LITERAL("status"),
	SPAN_LITERAL("userInfo"), SPAN_LITERAL("options"), SPAN_LITERAL("oldObject")};

static bool is_left_out(struct span name)
{
	for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
		if (span_eq(name, left_out[i]))
			return true;
	return false;
}

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static size_t after_space(struct span text, size_t at)
{
	while (at < text.len && is_space(text.ptr[at]))
		at++;
	return at;
}

/* Behind the closing quote of the string that begins at `at`, or the end. */
static size_t after_string(struct span text, size_t at)
{
	for (at++; at < text.len; at++) {
		if (text.ptr[at] == '\\')
			at++;
		else if (text.ptr[at] == '"')
			return at + 1;
	}
	return text.len;
}

/* Behind the value that begins at `at`, or the end. */
static size_t after_value(struct span text, size_t at)
{
	size_t depth = 0;
	while (at < text.len) {
		uint8_t byte = text.ptr[at];
		if (byte == '"') {
			at = after_string(text, at);
			if (depth == 0)
				return at;
			continue;
		}
		if (depth == 0 && (byte == ',' || byte == '}' || byte == ']'))
			return at; /* behind a number or a word */
		depth += byte == '{' || byte == '[' ? 1 : 0;
		depth -= byte == '}' || byte == ']' ? 1 : 0;
		at++;
		if (depth == 0 && (byte == '}' || byte == ']'))
			return at;
	}
	return text.len;
}

/* The value of the member whose name begins at `at` and ends before `end`; `end` itself: no such member. */
static size_t find_left_out(struct span text, size_t at, size_t end)
{
	size_t colon = after_space(text, end);
	if (colon == text.len || text.ptr[colon] != ':' || end - at < 2 ||
		!is_left_out(span_of(text.ptr + at + 1, end - at - 2)))
		return end;
	return after_space(text, colon + 1);
}

static bool is_kept_whole(struct span review)
{
	for (size_t i = 0; i < sizeof(kept_whole) / sizeof(kept_whole[0]); i++)
		if (review.len > 0 && memmem(review.ptr, review.len, kept_whole[i], strlen(kept_whole[i])) != NULL)
			return true;
	return false;
}

enum err admission_strip(struct span review, struct buf *out)
{
	size_t num = 0, kept = 0; /* values; bytes that are dealt with */
	bool is_whole = is_kept_whole(review);
	for (size_t at = 0; at < review.len;) {
		uint8_t byte = review.ptr[at];
		if (byte != '"') {
			num += byte == ',' || byte == '[' || byte == '{' ? 1 : 0;
			at++;
			continue;
		}
		size_t end = after_string(review, at), value = is_whole ? end : find_left_out(review, at, end);
		at = end;
		if (value == end)
			continue;
		RETURN_IF_ERR(buf_append(out, span_of(review.ptr + kept, value - kept)));
		RETURN_IF_ERR(buf_append_str(out, "null"));
		at = kept = after_value(review, value);
	}
	if (num > ADMISSION_VALUES_MAX)
		return ERR_LIMIT;
	return buf_append(out, span_of(review.ptr + kept, review.len - kept));
}
