#include "certs/spiffe_id.h"
#include "base/core/check.h"
#include "base/core/escape.h"
#include "base/core/mem.h"

#define SCHEME   "spiffe://"
#define RESERVED "/handfast"

#define ID_EXPECTED "a SPIFFE ID such as spiffe://example.org/ns/shop/sa/cart"
#define ID_FIX      "correct the SPIFFE ID: lower-case trust domain, path segments of letters, digits and . - _"

/* SPIFFE-ID 2.1. Upper case is refused, not folded: comparisons are byte-exact. */
static bool is_trust_domain_char(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

/* SPIFFE-ID 2.2. */
static bool is_segment_char(uint8_t c)
{
	return is_trust_domain_char(c) || (c >= 'A' && c <= 'Z');
}

static enum err malformed(struct why *why, struct span text, const char *reason)
{
	char shown[161];
	escape_ascii(text, shown, sizeof(shown)); /* here, because a NUL would end the text */
	return why_set(why, ERR_MALFORMED, ID_EXPECTED, ID_FIX, "the SPIFFE ID \"%s\" is malformed: %s", shown, reason);
}

static enum err malformed_domain(struct why *why, struct span text, const char *reason)
{
	char shown[161];
	escape_ascii(text, shown, sizeof(shown));
	return why_set(why, ERR_MALFORMED, "a trust domain such as example.org",
		"write it in lower case, without scheme and path", "the trust domain \"%s\" is malformed: %s", shown,
		reason);
}

static const char *trust_domain_fault(struct span name)
{
	if (name.len == 0)
		return "the trust domain is empty";
	if (name.len > TRUST_DOMAIN_MAX)
		return "the trust domain is longer than 255 bytes";
	for (size_t i = 0; i < name.len; i++)
		if (!is_trust_domain_char(name.ptr[i]))
			return "the trust domain has a byte other than a-z 0-9 . - _";
	return NULL;
}

static bool is_dots(struct span segment)
{
	return (segment.len == 1 && segment.ptr[0] == '.') ||
	       (segment.len == 2 && segment.ptr[0] == '.' && segment.ptr[1] == '.');
}

/* path: "", or the rest from the first '/'. */
static const char *path_fault(struct span path)
{
	size_t at = 0;
	while (at < path.len) {
		size_t start = ++at; /* past the '/' */
		while (at < path.len && path.ptr[at] != '/') {
			if (!is_segment_char(path.ptr[at]))
				return "the path has a byte other than a-z A-Z 0-9 . - _";
			at++;
		}
		if (at == start)
			return "a path segment is empty";
		if (is_dots(span_of(path.ptr + start, at - start)))
			return "a path segment is . or ..";
	}
	return NULL;
}

enum err trust_domain_parse(struct span text, struct trust_domain *out, struct why *why)
{
	const char *fault = trust_domain_fault(text);
	if (fault != NULL)
		return malformed_domain(why, text, fault);
	_Static_assert(sizeof(out->name) > TRUST_DOMAIN_MAX, "room for the NUL");
	memset(out, 0, sizeof(*out));
	memcpy(out->name, text.ptr, text.len);
	return ERR_NONE;
}

static size_t path_start(struct span text)
{
	size_t at = sizeof(SCHEME) - 1;
	while (at < text.len && text.ptr[at] != '/')
		at++;
	return at;
}

static void adopt_text(struct spiffe_id *out, struct span text, size_t path_at)
{
	_Static_assert(SPIFFE_ID_MAX <= UINT16_MAX, "text_len and path_at hold it");
	CHECK(text.len <= SPIFFE_ID_MAX && path_at <= text.len);
	char *copy = mem_alloc(text.len + 1);
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	*out = (struct spiffe_id){.text = copy, .text_len = (uint16_t)text.len, .path_at = (uint16_t)path_at};
}

enum err spiffe_id_parse(struct span text, struct spiffe_id *out, struct why *why)
{
	if (text.len > SPIFFE_ID_MAX)
		return malformed(why, text, "it is longer than 2048 bytes");
	if (!span_starts_with(text, SPAN_LITERAL(SCHEME)))
		return malformed(why, text, "it does not begin with spiffe://");
	size_t path_at = path_start(text);
	struct span domain = span_of(text.ptr + sizeof(SCHEME) - 1, path_at - (sizeof(SCHEME) - 1));
	const char *fault = trust_domain_fault(domain);
	if (fault == NULL)
		fault = path_fault(span_from(text, path_at));
	if (fault != NULL)
		return malformed(why, text, fault);
	adopt_text(out, text, path_at);
	return ERR_NONE;
}

void spiffe_id_done(struct spiffe_id *id)
{
	mem_free(id->text);
	*id = (struct spiffe_id){0};
}

void spiffe_id_copy(const struct spiffe_id *from, struct spiffe_id *out)
{
	if (!spiffe_id_is_set(from))
		*out = (struct spiffe_id){0};
	else
		adopt_text(out, spiffe_id_text(from), from->path_at);
}

bool spiffe_id_eq(const struct spiffe_id *a, const struct spiffe_id *b)
{
	return span_eq(spiffe_id_text(a), spiffe_id_text(b));
}

bool spiffe_id_is_set(const struct spiffe_id *id)
{
	return id->text != NULL;
}

struct span spiffe_id_text(const struct spiffe_id *id)
{
	return span_of(id->text, id->text_len);
}

struct span spiffe_id_path(const struct spiffe_id *id)
{
	if (!spiffe_id_is_set(id))
		return span_of(NULL, 0);
	return span_from(spiffe_id_text(id), id->path_at);
}

struct span spiffe_id_trust_domain(const struct spiffe_id *id)
{
	if (!spiffe_id_is_set(id))
		return span_of(NULL, 0);
	size_t start = sizeof(SCHEME) - 1;
	CHECK(id->path_at > start);
	return span_of(id->text + start, id->path_at - start);
}

bool spiffe_id_in_trust_domain(const struct spiffe_id *id, const struct trust_domain *domain)
{
	return spiffe_id_is_set(id) && span_eq(spiffe_id_trust_domain(id), span_of_str(domain->name));
}

bool spiffe_id_is_reserved(const struct spiffe_id *id)
{
	struct span path = spiffe_id_path(id);
	return span_eq(path, SPAN_LITERAL(RESERVED)) || span_starts_with(path, SPAN_LITERAL(RESERVED "/"));
}
