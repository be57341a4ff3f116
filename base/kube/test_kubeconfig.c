#include "base/kube/test_kubeconfig.h"
#include "base/core/check.h"
#include <string.h>

const yaml_node_t *test_kubeconfig_parse(const char *text, struct kubeconfig *out)
{
	yaml_parser_t parser;
	*out = (struct kubeconfig){.path = TEST_KUBECONFIG_PATH};
	CHECK(yaml_parser_initialize(&parser) != 0);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
	CHECK(yaml_parser_load(&parser, &out->document) != 0);
	yaml_parser_delete(&parser);
	const yaml_node_t *root = yaml_document_get_root_node(&out->document);
	CHECK(root != NULL);
	return root;
}

void test_kubeconfig_done(struct kubeconfig *file)
{
	yaml_document_delete(&file->document);
}
