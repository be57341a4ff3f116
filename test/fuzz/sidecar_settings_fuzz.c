#include "base/core/check.h"
#include "sidecar/config.h"
#include "test/fuzz/fuzz.h"

/* The result is settings, or at least one error. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	settings_read_text(settings, "corpus.yaml", span_of(bytes, len));
	enum err err = sidecar_config_read(settings, &config);
	CHECK((err == ERR_NONE) == (config != NULL) && (err == ERR_NONE || err == ERR_CONFIG));
	CHECK((err == ERR_NONE) == (settings_errors(settings)[0] == 0));
	if (config != NULL)
		policy_unref(sidecar_config_minimum(config));
	return 0;
}
