#include "base/core/err.h"
#include "base/core/check.h"
#include "base/core/escape.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

struct row {
	const char *label;
	const char *text;
};

static const struct row rows[] = {
	[ERR_NONE] = {"none", "no error"},
#define ERROR(symbol, metric_label, its_text) [symbol] = {.label = metric_label, .text = its_text},
#include "base/core/errors.def"
#undef ERROR
};

bool err_is_known(unsigned number)
{
	return number < sizeof rows / sizeof rows[0];
}

static const struct row *row_of(enum err err)
{
	CHECK(err_is_known(err));
	return &rows[err];
}

const char *err_text(enum err err)
{
	return row_of(err)->text;
}

const char *err_label(enum err err)
{
	return row_of(err)->label;
}

enum err err_from_errno(int errnum)
{
	switch (errnum) {
	case 0:
		return ERR_NONE;
	case ECONNREFUSED:
		return ERR_REFUSED;
	case ECONNRESET:
	case ECONNABORTED:
		return ERR_RESET;
	case EPIPE:
	case ENOTCONN:
		return ERR_CLOSED;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN:
	case ENETDOWN:
	case EADDRNOTAVAIL:
		return ERR_UNREACHABLE;
	case EMFILE:
	case ENFILE:
		return ERR_FD_EXHAUSTED;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case ENOENT:
		return ERR_NOT_FOUND;
	case EEXIST:
	case EADDRINUSE:
		return ERR_EXISTS;
	case EAGAIN:
		return ERR_UNAVAILABLE;
	case EIO:
	case ENOSPC:
	case EDQUOT:
		return ERR_IO;
	default:
		return ERR_SYSTEM;
	}
}

static void put(const char *text, char *out, size_t cap)
{
	escape_ascii(text == NULL ? span_of(NULL, 0) : span_of_str(text), out, cap);
}

enum err why_set(struct why *why, enum err err, const char *expected, const char *fix, const char *got, ...)
{
	if (why == NULL)
		return err;
	why->err = err;
	put(expected, why->expected, sizeof why->expected);
	put(fix, why->fix, sizeof why->fix);
	char raw[2 * sizeof why->got] = ""; /* longer than the field, so that put() marks a cut */
	if (got != NULL) {
		va_list args;
		va_start(args, got);
		int len = vsnprintf(raw, sizeof raw, got, args);
		va_end(args);
		if (len < 0)
			raw[0] = '\0';
	}
	put(raw, why->got, sizeof why->got);
	return err;
}

void why_name_host(struct why *why, const char *host)
{
	static const char *const words[] = {"peer", "other sidecar", "control plane's log"};
	size_t len = strlen(why->fix);
	bool is_elsewhere = false;
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		is_elsewhere = is_elsewhere || strstr(why->fix, words[i]) != NULL;
	if (!is_elsewhere || why->fix[len - 1] == ')')
		return;
	char shown[sizeof why->fix];
	escape_ascii(span_of_str(host), shown, sizeof shown);
	snprintf(why->fix + len, sizeof why->fix - len, " (%.*s)",
		(int)(sizeof why->fix - len > 4 ? sizeof why->fix - len - 4 : 0), shown);
}

static const char expected_mark[] = "; expected: ", fix_mark[] = "; fix: ";

/* The mark without "; " where nothing precedes it. */
static const char *mark_before(const char *mark, const char *text, bool is_first)
{
	return text[0] == '\0' ? "" : is_first ? mark + 2 : mark;
}

const char *why_format(const struct why *why, char *out, size_t cap)
{
	CHECK(cap > 0);
	bool has_got = why->got[0] != '\0', has_expected = why->expected[0] != '\0';
	int len = snprintf(out, cap, "%s%s%s%s%s", why->got, mark_before(expected_mark, why->expected, !has_got),
		why->expected, mark_before(fix_mark, why->fix, !has_got && !has_expected), why->fix);
	CHECK(len >= 0);
	return out;
}

bool why_parse(const char *text, enum err err, struct why *out)
{
	const char *expected = strstr(text, expected_mark), *fix = NULL;
	for (const char *at = expected; at != NULL && (at = strstr(at, fix_mark)) != NULL; at++)
		fix = at;
	if (fix == NULL)
		return false;
	char clause[sizeof out->expected];
	const char *begin = expected + sizeof expected_mark - 1;
	snprintf(clause, sizeof clause, "%.*s", (int)(fix - begin), begin);
	(void)why_set(out, err, clause, fix + sizeof fix_mark - 1, "%.*s", (int)(expected - text), text);
	return true;
}
