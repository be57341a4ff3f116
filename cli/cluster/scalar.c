#include "cli/cluster/scalar.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool is_among(const char *text, const char *const *words, size_t num)
{
	for (size_t i = 0; i < num; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

#define NUM(array) (sizeof(array) / sizeof((array)[0]))
static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
static const char *const trues[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"};
static const char *const falses[] = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"};

static int digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

static bool digits(const char *text, int base, int64_t *out)
{
	int64_t number = 0;
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		int digit = digit_of(*text);
		if (digit >= base || number > (INT64_MAX - digit) / base)
			return false;
		number = number * base + digit;
	}
	*out = number;
	return true;
}

static bool integer(const char *text, int64_t *out)
{
	bool is_negative = *text == '-';
	const char *at = text + (*text == '-' || *text == '+' ? 1 : 0);
	bool is_number = at[0] == '0' && (at[1] == 'x' || at[1] == 'X')   ? digits(at + 2, 16, out)
			 : at[0] == '0' && (at[1] == 'o' || at[1] == 'O') ? digits(at + 2, 8, out)
			 : at[0] == '0' && at[1] == 'b'                   ? digits(at + 2, 2, out)
			 : at[0] == '0' && at[1] != '\0'                  ? digits(at + 1, 8, out)
									  : digits(at, 10, out);
	if (is_number && is_negative)
		*out = -*out;
	return is_number;
}

static bool real(const char *text, double *out)
{
	char *end;
	if (text[0] == '\0' || text[strspn(text, "+-.eE0123456789")] != '\0' || strpbrk(text, "0123456789") == NULL)
		return false;
	*out = strtod(text, &end);
	return *end == '\0';
}

json_t *scalar_resolve(const char *text, size_t len)
{
	int64_t whole;
	double number;
	json_t *json = NULL;
	if (strlen(text) != len)
		return json_stringn(text, len);
	if (is_among(text, nulls, NUM(nulls)))
		return json_null();
	if (is_among(text, trues, NUM(trues)))
		return json_true();
	if (is_among(text, falses, NUM(falses)))
		return json_false();
	if (integer(text, &whole))
		return json_integer(whole);
	if (real(text, &number))
		json = json_real(number); /* NULL: beyond what a number can be */
	return json != NULL ? json : json_stringn(text, len);
}

bool scalar_needs_quotes(const char *text)
{
	static const char *const more[] = {"y", "Y", "n", "N", "<<", "="};
	return is_among(text, nulls, NUM(nulls)) || is_among(text, trues, NUM(trues)) ||
	       is_among(text, falses, NUM(falses)) || is_among(text, more, NUM(more)) ||
	       strchr("+-.0123456789", text[0]) != NULL;
}
