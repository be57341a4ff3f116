#include "base/core/check.h"
#include "cli/cluster/documents.h"
#include "cli/cluster/template.h"
#include "test/fuzz/fuzz.h"

/* What is read from a text is read again from what is written of it. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(DOCUMENTS_MAX);
	json_t *documents = NULL, *again = NULL;
	struct why why = {0};
	if (documents_read(span_of(bytes, len), "fuzz", &documents, &why) != ERR_NONE) {
		CHECK(documents == NULL && why.err != ERR_NONE);
		return 0;
	}
	enum err err = ERR_NONE;
	for (size_t i = 0; i < json_array_size(documents) && err == ERR_NONE; i++) {
		(void)template_of(json_array_get(documents, i));
		err = document_write(json_array_get(documents, i), &text);
	}
	if (err == ERR_NONE && documents_read(buf_span(&text), "written", &again, &why) == ERR_NONE)
		CHECK(json_array_size(again) == json_array_size(documents));
	json_decref(documents);
	json_decref(again);
	return 0;
}
