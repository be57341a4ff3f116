/* For tests: an API server for records in the process. It is linked in place of base/kube: kube_request_start() and
 * kube_watch_start() are its own. */
#pragma once

#include "base/kube/kube_watch.h"
#include <jansson.h>

#define OBJECTS_MAX 32

enum test_fault { FAULT_NONE, FAULT_LOST_REQUEST, FAULT_LOST_ANSWER, FAULT_STATUS };

struct test_records {
	json_t *objects[OBJECTS_MAX]; /* NULL: free */
	uint64_t version;
	enum test_fault fault;
	unsigned fault_status, num_faults; /* the next requests fail so */
	struct kube_watch_observer observer;
	struct loop_task sync;
	struct loop *loop;
	unsigned num_requests;
	uint64_t snapshot; /* the version of the state that is sent: what is newer is not in it; 0: the present one */
	bool watch_is_late;
};
extern struct test_records server;

void test_records_start(struct loop *loop); /* empty */
void test_records_end(void);
void test_records_send_state(void); /* the whole state, as after a 410 */
/* A change by another replica; value NULL removes. */
void test_records_write(const char *key, const char *value);
size_t test_records_slot(const char *name); /* OBJECTS_MAX: none */
