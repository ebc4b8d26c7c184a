/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "config/conf_int.h"
#include "config/values.h"

/* Short names, and those of FUSE that are keys of ours. */
static const struct {
	const char *name;
	const char *section, *key;
	const char *flag; /* the value where the option stands alone */
} short_names[] = {
	{"state_dir",   "state", "dir",         NULL  },
	{"endpoint",    "oss",   "endpoint",    NULL  },
	{"region",      "oss",   "region",      NULL  },
	{"uid",         "mount", "uid",         NULL  },
	{"gid",         "mount", "gid",         NULL  },
	{"umask",       "mount", "umask",       NULL  },
	{"ro",          "mount", "read_only",   "true"},
	{"allow_other", "mount", "allow_other", "true"},
};

/* SECTION and KEY of "SECTION.KEY": a rule's name may hold dots. */
static int split(char *name, char **section, char **key)
{
	static const char vars[] = "callback.vars.";
	char *dot, *quote = strchr(name, '"');

	if (quote) {
		quote = strchr(quote + 1, '"');
		dot = quote && quote[1] == '.' ? quote + 1 : NULL;
	} else if (strncmp(name, vars, sizeof(vars) - 1) == 0) {
		dot = name + sizeof(vars) - 2;
	} else {
		dot = strchr(name, '.');
	}
	if (!dot || !dot[1])
		return -ENOENT;
	*dot = '\0';
	*section = name;
	*key = dot + 1;
	return 0;
}

static int finish(struct complaints *l, char **why)
{
	int rc = complaints_error(l);

	if (rc < 0)
		*why = complaints_take(l);
	complaints_release(l);
	return rc;
}

static int set(struct conf *c, const char *section, const char *key,
	       const char *value, char **why)
{
	AUTO(buf_release) struct buf reason = BUF_INIT;
	struct complaints l = COMPLAINTS_INIT;
	struct complaint_at at = {.section = section, .key = key};
	struct section_id id;
	struct conf_setting s = {
		.section = &id,
		.shown = section,
		.key = key,
		.value = value ? value : "",
	};

	if (section_parse(section, &id, &reason) < 0) {
		complain(&l, &at, NULL, "%s", buf_str(&reason));
	} else if (id.kind == SECTION_PLAIN &&
		   strcmp(id.name, "credentials") == 0) {
		complain(
			&l, &at, NULL,
			"not as an option, where every user's ps shows it; write it into a file or the environment");
	} else if (!value) {
		complain(&l, &at, NULL, "no value; write -o %s.%s=VALUE",
			 section, key);
	} else {
		conf_set(c, &s, &l);
	}
	return finish(&l, why);
}

static int set_config(struct conf *c, const char *value, char **why)
{
	struct complaints l = COMPLAINTS_INIT;
	struct complaint_at at = {.key = "config"};
	char *path = value && value[0] ? value_path(value, NULL) : NULL;

	if (path) {
		free(c->config_file);
		c->config_file = path;
	} else {
		complain(&l, &at, NULL, "no value; write -o config=FILE");
	}
	return finish(&l, why);
}

int conf_set_option(struct conf *c, const char *option, char **why)
{
	size_t len = strcspn(option, "=");
	const char *value = option[len] ? option + len + 1 : NULL;
	AUTO_FREE char *name = strndup(option, len);
	char *section = NULL, *key = NULL;

	if (!name)
		return -ENOMEM;
	if (strcmp(name, "config") == 0)
		return set_config(c, value, why);
	for (size_t i = 0; i < ARRAY_LEN(short_names); i++)
		if (strcmp(name, short_names[i].name) == 0)
			return set(c, short_names[i].section,
				   short_names[i].key,
				   value ? value : short_names[i].flag, why);
	/* x-systemd.automount and the like are mount(8)'s */
	if (strncmp(name, "x-", 2) == 0 || split(name, &section, &key) < 0)
		return -ENOENT;
	return set(c, section, key, value, why);
}
