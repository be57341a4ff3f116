/* For tests: an etcd in memory, a gRPC server over a socket pair; test_etcd_link.c takes the place of etcd_link.c. */
#pragma once

#include "control/store/etcd/etcd_link.h"

#define TEST_ETCD_RECORDS_MAX 512
#define TEST_ETCD_ANSWER_MAX  (32u * 1024 * 1024)

struct test_etcd {
	uint64_t cluster, revision, compacted;
	struct test_etcd_record {
		char *key;
		struct buf value; /* as stored */
		uint64_t version;
		bool is_removed;
	} records[TEST_ETCD_RECORDS_MAX]; /* with removals, for a watch from an older revision */
	size_t num_records;
	struct rpc_server *server;
	struct rpc_call *watch;              /* the server's; NULL: none */
	bool is_silent;                      /* no question is answered, as by a member that is stopped */
	bool is_watch_silent;                /* the watch sends nothing */
	bool loses_answer;                   /* the next transaction happens, and the connection ends */
	enum rpc_status refuses_with;        /* every transaction; RPC_OK: none is refused */
	enum rpc_status refuses_ranges_with; /* every question, too */
	const char *refusal;
	bool is_logged_in; /* of the link; false: authentication was off at the login */
	unsigned num_connections, num_ranges, num_swaps, num_watches;
};

extern struct test_etcd test_etcd; /* of this test; zeroed but for cluster and revision by test_etcd_begin() */
void test_etcd_begin(void);
void test_etcd_end(void);
void test_etcd_serve(struct loop *loop); /* test_etcd.server anew, without connections */
/* Another client's change; value NULL: removed. */
void test_etcd_put(const char *key, const char *value);
void test_etcd_forget_newest(size_t num); /* as after a restore from a backup */
void test_etcd_cut(void);                 /* the connection ends */
