/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of ackctl to a mount that lives: a JSON array of words. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "fs/file.h"
#include "fs/fs.h"
#include "fs/status.h"
#include "upload/recall.h"
#include "util/log.h"
#include "util/strnum.h"

enum { WORDS_MAX = 4 };

struct words {
	size_t count;
	const char *at[WORDS_MAX]; /* borrowed from the JSON */
};

/* -- staged files by path or number ---------------------------------------- */

struct search {
	const char *path; /* inside the mount; NULL: by id */
	const struct fs *fs;
	int64_t id;
	unsigned states; /* bits of enum staging_state */
	int64_t found;   /* 0: none; the newest wins */
};

static int compare(void *arg, const struct staging_info *info,
		   const struct staging_close *c)
{
	struct search *s = arg;

	(void)c;
	if (!(s->states & 1U << info->state))
		return 0;
	if (s->path ? strcmp(fs_path_of_key(s->fs, info->key), s->path) == 0
		    : info->id == s->id)
		s->found = info->id;
	return 0;
}

/* word is a path inside the mount, or "#ID".
   @return a reference, NULL: there is none in one of these states */
static struct staging *find_staged(struct fs *fs, const char *word,
				   unsigned states)
{
	struct search s = {.fs = fs, .states = states};

	if (word[0] != '#')
		s.path = word;
	else if (parse_i64(word + 1, 1, INT64_MAX, &s.id) < 0)
		return NULL;
	if (staging_walk(fs->d.db, compare, &s) < 0 || !s.found)
		return NULL;
	return staging_store_find(fs->d.staging, s.found);
}

/* -- the commands ---------------------------------------------------------- */

static int retry_upload(struct fs *fs, const struct words *w)
{
	struct staging *s;
	size_t count;

	if (w->count == 1) {
		count = uploader_retry_now(fs->d.uploader, NULL);
		log_notice("command: uploads are tried again: count=%zu",
			   count);
		return 0;
	}
	s = find_staged(fs, w->at[1], 1U << STAGING_RETRYING);
	if (!s)
		return -ENOENT;
	count = uploader_retry_now(fs->d.uploader, s);
	staging_put(s);
	return count ? 0 : -ENOENT;
}

/* A file that waits or retries is dropped: its bytes are gone for good. */
static int drop(struct fs *fs, const struct words *w)
{
	struct staging *s = find_staged(
		fs, w->at[1], 1U << STAGING_RETRYING | 1U << STAGING_CLOSED);
	int rc;

	if (!s)
		return -ENOENT;
	rc = file_give_up(fs, s);
	if (rc == 0)
		log_notice(
			"command: a file that was not stored is given up: file=%s",
			LOG_Q(w->at[1]));
	staging_put(s);
	return rc;
}

static int publish(struct fs *fs, const struct words *w)
{
	struct staging *s = find_staged(fs, w->at[1], 1U << STAGING_INCOMPLETE);
	int rc;

	if (!s)
		return -ENOENT;
	rc = file_publish(fs, s);
	if (rc == 0)
		log_notice("command: an incomplete file is published: file=%s",
			   LOG_Q(w->at[1]));
	staging_put(s);
	return rc;
}

static int drop_incomplete(struct fs *fs, const struct words *w)
{
	struct staging *s = find_staged(fs, w->at[1], 1U << STAGING_INCOMPLETE);
	int rc;

	if (!s)
		return -ENOENT;
	rc = staging_discard(s);
	if (rc == 0)
		log_notice("command: an incomplete file is dropped: file=%s",
			   LOG_Q(w->at[1]));
	staging_put(s);
	return rc;
}

static int retry_callback(struct fs *fs, const struct words *w)
{
	AUTO_FREE char *key = str_printf("%s%s", fs->conf.prefix, w->at[1]);

	return key ? recall_now(fs->d.recall, key) : -ENOMEM;
}

static int announce(struct fs *fs, const struct words *w)
{
	AUTO_FREE char *key = str_printf("%s%s", fs->conf.prefix, w->at[1]);

	return key ? fs_announce(fs, key) : -ENOMEM;
}

/* -- forgetting what is cached --------------------------------------------- */

struct stale {
	struct stale *next;
	uint64_t ino, parent;
	char name[];
};

/* The nodes that the kernel knows, the folder's and all below. */
static int gather_stale_locked(struct fs *fs, struct node *top,
			       struct stale **list) ACK_REQUIRES(fs->tree.lock)
{
	struct node *n, *up;

	for (n = tree_next_locked(&fs->tree, NULL); n;
	     n = tree_next_locked(&fs->tree, n)) {
		struct stale *one;
		size_t len;

		for (up = n; up && up != top; up = up->parent)
			;
		if (!up || !n->nlookup || !n->parent)
			continue;
		len = strlen(n->name) + 1;
		one = malloc(sizeof(*one) + len);
		if (!one)
			return -ENOMEM;
		one->ino = n->ino;
		one->parent = n->parent->ino;
		n->fresh_until_ms = 0;
		memcpy(one->name, n->name, len);
		LL_PREPEND(*list, one);
	}
	return 0;
}

static void tell_kernel(struct fs *fs, struct stale *list)
{
	struct stale *one, *tmp;

	LL_FOREACH_SAFE(list, one, tmp)
	{
		if (fs->invalidate)
			fs->invalidate(fs->notify_arg, one->ino);
		if (fs->invalidate_name)
			fs->invalidate_name(fs->notify_arg, one->parent,
					    one->name);
		free(one);
	}
}

static int invalidate(struct fs *fs, const struct words *w)
{
	AUTO_FREE char *key = str_printf("%s%s", fs->conf.prefix,
					 w->count == 2 ? w->at[1] : "");
	struct stale *list = NULL;
	uint64_t ino = 0;
	struct node *n;
	int rc = 0;

	if (!key)
		return -ENOMEM;
	lock_acquire(&fs->tree.lock);
	n = fs_node_of_key_locked(fs, key);
	if (n) {
		ino = n->ino;
		rc = gather_stale_locked(fs, n, &list);
	}
	lock_release(&fs->tree.lock);
	if (ino)
		listing_invalidate(fs, ino);
	tell_kernel(fs, list);
	return rc;
}

static int set_log_level(struct fs *fs, const struct words *w)
{
	enum log_level level;

	(void)fs;
	if (log_parse_level(w->at[1], &level) < 0)
		return -EINVAL;
	log_set_level(level);
	log_notice("log: level=%s", w->at[1]);
	return 0;
}

static const struct command {
	const char *name;
	size_t min, max; /* words behind the name */
	int (*run)(struct fs *fs, const struct words *w);
} commands[] = {
	{"retry-upload",    0, 1, retry_upload   },
	{"drop",            1, 1, drop           },
	{"publish",         1, 1, publish        },
	{"drop-incomplete", 1, 1, drop_incomplete},
	{"retry-callback",  1, 1, retry_callback },
	{"announce",        1, 1, announce       },
	{"invalidate",      0, 1, invalidate     },
	{"log-level",       1, 1, set_log_level  },
};

static int dispatch(struct fs *fs, const struct words *w)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *c = &commands[i];

		if (strcmp(c->name, w->at[0]) != 0)
			continue;
		if (w->count - 1 < c->min || w->count - 1 > c->max)
			return -EINVAL;
		return c->run(fs, w);
	}
	return -EINVAL;
}

static int read_words(const json_t *root, struct words *w)
{
	w->count = json_array_size(root);
	if (!w->count || w->count > WORDS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < w->count; i++) {
		w->at[i] = json_string_value(json_array_get(root, i));
		if (!w->at[i])
			return -EINVAL;
	}
	return 0;
}

int fs_command(struct fs *fs, const char *json)
{
	json_t *root = json_loads(json, 0, NULL);
	struct words w;
	int rc = read_words(root, &w);

	if (rc == 0)
		rc = dispatch(fs, &w);
	json_decref(root);
	return rc;
}
