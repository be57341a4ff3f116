#include "sidecar/identity/control_link.h"
#include <string.h>

void bootstrap_pins_add(struct bootstrap_pins *pins, const uint8_t sha256[DIGEST_LEN])
{
	for (size_t i = 0; i < pins->num; i++)
		if (memcmp(pins->sha256[i], sha256, DIGEST_LEN) == 0)
			return;
	if (pins->num < sizeof(pins->sha256) / sizeof(*pins->sha256))
		memcpy(pins->sha256[pins->num++], sha256, DIGEST_LEN);
}
