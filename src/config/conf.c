/* SPDX-License-Identifier: Apache-2.0 */
#include "config/conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/conf_int.h"
#include "config/values.h"
#include "util/codec.h"
#include "util/crc64.h"

/* Longest folder name that is made from bucket and prefix. */
#define NAME_MAX_MADE 200

static int set_preset(struct conf *c, const struct schema_key *k)
{
	AUTO(buf_release) struct buf why = BUF_INIT;

	if (!k->preset || k->type == SCHEMA_CALLBACK)
		return 0;
	return value_set(k, c, k->preset, "/", &why);
}

struct conf *conf_new(void)
{
	struct conf *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->origin = calloc(1, sizeof(*c->origin));
	if (!c->origin)
		goto fail;
	for (size_t i = 0; i < schema_count(); i++)
		if (set_preset(c, schema_at(i)) < 0)
			goto fail;
	return c;
fail:
	conf_free(c);
	return NULL;
}

static bool is_string(enum schema_type type)
{
	switch (type) {
	case SCHEMA_PATH:
	case SCHEMA_LOG_PATH:
	case SCHEMA_ENDPOINT:
	case SCHEMA_REGION:
	case SCHEMA_BUCKET:
	case SCHEMA_PREFIX:
	case SCHEMA_PROXY:
	case SCHEMA_GLOBS:
	case SCHEMA_NAME:
	case SCHEMA_SECRET:
		return true;
	case SCHEMA_WORD:
	case SCHEMA_BOOL:
	case SCHEMA_INT:
	case SCHEMA_COUNT:
	case SCHEMA_SIZE:
	case SCHEMA_TIME:
	case SCHEMA_MODE:
	case SCHEMA_USER:
	case SCHEMA_GROUP:
	case SCHEMA_FREE:
	case SCHEMA_LEVEL:
	case SCHEMA_CALLBACK:
		return false;
	}
	return false;
}

static void free_string(struct conf *c, const struct schema_key *k)
{
	char *text = *(char **)((char *)c + k->offset);

	if (text && k->type == SCHEMA_SECRET)
		explicit_bzero(text, strlen(text));
	free(text);
}

void conf_free(struct conf *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < schema_count(); i++)
		if (is_string(schema_at(i)->type))
			free_string(c, schema_at(i));
	for (size_t i = 0; i < c->callback_count; i++)
		conf_callback_release(&c->callbacks[i]);
	free(c->callbacks);
	free(c->config_file);
	if (c->origin) {
		free(c->origin->file);
		free(c->origin->dir);
	}
	free(c->origin);
	free(c);
}

/* ---- the state folder ---------------------------------------------------- */

static char *default_dir(void)
{
	const char *state = getenv("XDG_STATE_HOME");

	if (geteuid() == 0)
		return str_dup("/var/lib/ackfs");
	if (state && state[0] == '/')
		return str_printf("%s/ackfs", state);
	return value_path("~/.local/state/ackfs", NULL);
}

/* Bucket and prefix as one folder's name; different ones stay different. */
static char *default_name(const struct conf *c)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	const char *bucket = c->oss.bucket ? c->oss.bucket : "";
	const char *prefix = c->oss.prefix ? c->oss.prefix : "";
	size_t len = strlen(prefix);
	uint64_t sum = crc64_update(0, prefix, len);

	percent_encode(&b, bucket, strlen(bucket), PERCENT_ALL);
	if (len > 0) {
		buf_addc(&b, '+');
		percent_encode(&b, prefix, len - 1, PERCENT_ALL);
	}
	if (b.len > NAME_MAX_MADE) {
		buf_truncate(&b, NAME_MAX_MADE - 17);
		buf_addf(&b, "+%016llx", (unsigned long long)sum);
	}
	return buf_detach(&b);
}

char *conf_state_path(const struct conf *c)
{
	AUTO_FREE char *dir =
		c->state.dir ? str_dup(c->state.dir) : default_dir();
	AUTO_FREE char *name =
		c->state.name ? str_dup(c->state.name) : default_name(c);

	if (!dir || !name)
		return NULL;
	return str_printf("%s/%s", dir, name);
}

/* ---- help ---------------------------------------------------------------- */

void conf_print_help(void)
{
	char form[80];

	for (size_t i = 0; i < schema_count(); i++) {
		const struct schema_key *k = schema_at(i);

		printf("  %s.%s=%s\n      %s", k->section, k->key,
		       schema_form(k, form, sizeof(form)), k->help);
		if (k->preset && k->preset[0])
			printf(" [%s]", k->preset);
		printf("\n");
	}
}
