#include "base/core/mem.h"
#include "base/core/check.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(void)
{
	static const char text[] = "out of memory\n";
	die(text, sizeof text - 1);
}

static void *not_null(void *pointer)
{
	if (pointer == NULL)
		out_of_memory();
	return pointer;
}

/* malloc(0) may return NULL without a lack of memory. */
static size_t at_least_one(size_t len)
{
	return len == 0 ? 1 : len;
}

void *mem_alloc(size_t len)
{
	return not_null(malloc(at_least_one(len)));
}

void *mem_zalloc(size_t len)
{
	return not_null(calloc(1, at_least_one(len)));
}

void *mem_calloc(size_t num, size_t size)
{
	return not_null(calloc(at_least_one(num), at_least_one(size))); /* calloc refuses a product that overflows */
}

void *mem_realloc(void *pointer, size_t len)
{
	return not_null(realloc(pointer, at_least_one(len)));
}

void *mem_dup(const void *bytes, size_t len)
{
	void *copy = mem_alloc(len);
	if (len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

char *mem_strdup(const char *text)
{
	return mem_dup(text, strlen(text) + 1);
}

char *mem_printf(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, format);
	int len = vasprintf(&text, format, args);
	va_end(args);
	if (len < 0)
		out_of_memory();
	return text;
}

void mem_free(void *pointer)
{
	free(pointer);
}

void mem_wipe(void *bytes, size_t len)
{
	if (len > 0)
		explicit_bzero(bytes, len);
}
