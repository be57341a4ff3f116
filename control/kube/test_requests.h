/* For tests: a double of base/kube's client, at link time. Requests wait until the test answers them. */
#pragma once

#include "base/kube/kube_client.h"

struct kube_client *test_client_new(void);
void test_client_free(struct kube_client *client);                            /* no request is under way */
unsigned test_client_num(const struct kube_client *client, const char *path); /* under way */
unsigned test_client_num_ever(const struct kube_client *client, const char *path);
const char *test_client_accept(const struct kube_client *client, const char *path); /* of the oldest under way */
const char *test_client_body(const struct kube_client *client, const char *path);
/* Answers the oldest one to this path. */
void test_client_answer(struct kube_client *client, const char *path, unsigned status, const char *body);
void test_client_fail(struct kube_client *client, const char *path, enum err err);
