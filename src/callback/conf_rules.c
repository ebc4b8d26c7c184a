/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/conf_rules.h"

#include <errno.h>

#include "callback/rules.h"
#include "config/conf.h"
#include "util/base.h"

int rules_from_conf(const struct conf *c, struct rules **out, char **why,
		    char **warnings)
{
	AUTO_FREE struct rule_text *texts =
		calloc(c->callback_count + 1, sizeof(*texts));

	if (!texts)
		return -ENOMEM;
	for (size_t i = 0; i < c->callback_count; i++) {
		const struct conf_callback *cb = &c->callbacks[i];

		texts[i] = (struct rule_text){
			.name = cb->name,
			.file = cb->file,
			.line = cb->line,
			.keys = &cb->keys,
			.key_lines = cb->key_lines,
			.vars = &cb->vars,
			.var_lines = cb->var_lines,
		};
	}
	return rules_new(texts, c->callback_count, out, why, warnings);
}
