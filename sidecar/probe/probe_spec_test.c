#include "base/core/mem.h"
#include "sidecar/probe/probe_spec.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three above */
#include <cmocka.h>

static void reads_each_kind(_unused_ void **state)
{
	_cleanup_(probe_spec_done) struct probe_spec http = {0}, tcp = {0}, grpc = {0};
	assert_int_equal(
		probe_spec_parse("app/liveness http 8080 /healthz?a=b host=x.test header=X-A:1%2C2", &http, NULL),
		ERR_NONE);
	assert_string_equal(http.name, "app/liveness");
	assert_int_equal(http.kind, PROBE_HTTP);
	assert_int_equal(http.port, 8080);
	assert_string_equal(http.path, "/healthz?a=b");
	assert_string_equal(http.host, "x.test");
	assert_int_equal(http.num_headers, 1);
	assert_string_equal(http.headers[0].name, "X-A");
	assert_string_equal(http.headers[0].value, "1,2");
	assert_int_equal(probe_spec_parse("db/readiness tcp 5432", &tcp, NULL), ERR_NONE);
	assert_int_equal(tcp.kind, PROBE_TCP);
	assert_int_equal(tcp.timeout_s, 1);
	assert_int_equal(probe_spec_parse("rpc/startup grpc 50051 service=a.B timeout=300", &grpc, NULL), ERR_NONE);
	assert_int_equal(grpc.timeout_s, 300);
	assert_string_equal(grpc.service, "a.B");
}

static void refuses_what_is_no_probe(_unused_ void **state)
{
	static const char *const texts[] = {"", "app", "app/liveness", "app/liveness ftp 21", "app/other tcp 1",
		"/liveness tcp 1", "App/liveness tcp 1", "app/liveness tcp", "app/liveness tcp 0",
		"app/liveness tcp 65536", "app/liveness tcp 80x", "app/liveness http 80",
		"app/liveness http 80 healthz", "app/liveness http 80 /%0d%0aX:1", "app/liveness http 80 /%zz",
		"app/liveness http 80 / header=X", "app/liveness http 80 / header=X%20Y:1",
		"app/liveness http 80 / header=X:1%0d%0aY:2", "app/liveness tcp 80 host=a",
		"app/liveness tcp 80 timeout=0", "app/liveness tcp 80 timeout=301",
		"app/liveness tcp 80 timeout=4294967297", "app/liveness tcp 80 timeout=1s",
		"app/liveness tcp 80 timeout=", "app/liveness grpc 80 scheme=https",
		"app/liveness http 80 / scheme=ftp"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct probe_spec spec = {0};
		struct why why = {0};
		assert_int_equal(probe_spec_parse(texts[i], &spec, &why), ERR_MALFORMED);
		assert_string_not_equal(why.fix, "");
		assert_null(spec.name);
	}
}

static void the_specs_headers_replace_the_default_ones(_unused_ void **state)
{
	_cleanup_(probe_spec_done) struct probe_spec plain = {0}, own = {0};
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	assert_int_equal(probe_spec_parse("app/liveness http 80 /a", &plain, NULL), ERR_NONE);
	assert_int_equal(probe_spec_request(&plain, "192.0.2.1:80", &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out),
		"GET /a HTTP/1.1\r\nHost: 192.0.2.1:80\r\nUser-Agent: kube-probe/handfast\r\n"
		"Accept: */*\r\nConnection: close\r\n\r\n");
	buf_clear(&out);
	assert_int_equal(probe_spec_parse("app/liveness http 80 /a header=host:h header=User-Agent:u header=Accept:a",
				 &own, NULL),
		ERR_NONE);
	assert_int_equal(probe_spec_request(&own, "192.0.2.1:80", &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out),
		"GET /a HTTP/1.1\r\nhost: h\r\nUser-Agent: u\r\nAccept: a\r\nConnection: close\r\n\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_each_kind),
		cmocka_unit_test(refuses_what_is_no_probe),
		cmocka_unit_test(the_specs_headers_replace_the_default_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
