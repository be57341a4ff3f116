/* For tests of injection: a cluster's options, and a pod as text that is injected and patched. */
#pragma once

#include "control/kube/inject.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct injected {
	struct inject_result result;
	json_t *before, *after; /* the pod, and the patched pod */
};

extern const struct inject_options test_inject_options;

/* `pod` is JSON with ' in place of ". NULL: the namespace shop, test_inject_options. */
struct injected *test_inject(const char *pod, const struct inject_namespace *ns, const struct inject_options *options);
struct injected *test_inject_json(
	json_t *pod, const struct inject_namespace *ns, const struct inject_options *options); /* steals pod */
struct injected *test_inject_again(const struct injected *first);                              /* the patched pod */
void test_inject_free(struct injected *injected);
/* A pod of one container "app" with `more` in it ("'ports': []"), and `spec` beside; each may be "". Static. */
const char *test_pod(const char *more, const char *spec);
/* The same with annotations alone: "'handfast.dev/inject': 'disabled'". Static. */
const char *test_annotated(const char *annotations);

/* What is at a JSON pointer of the patched pod; fails the test if nothing is. */
json_t *test_at(const struct injected *injected, const char *pointer);
const char *test_text_at(const struct injected *injected, const char *pointer);
const char *test_env(const struct injected *injected, const char *container, const char *name); /* NULL: none */
/* The item of a list of the patched pod that has the name; NULL: none, or no list. */
json_t *test_named(const struct injected *injected, const char *pointer, const char *name);
bool test_has_warning(const struct injected *injected, const char *part);
json_t *test_json(const char *text); /* ' in place of " */

/* An independent reading of RFC 6902 (add, remove, replace, move, test); fails the test where an operation fails. */
void test_patch_apply(json_t *document, const json_t *patch);
json_t *test_pointer(json_t *document, const char *pointer); /* NULL: nothing is there */
/* A pod that asks for a source of its identity by these annotations and has a volume of that name is refused. */
void test_volume_is_refused(const char *annotations, const char *volume);
/* A pod that has its sidecar, and gets the annotation later, keeps the source that it has, with a warning. */
void test_source_stays(const char *annotation, const char *value);
