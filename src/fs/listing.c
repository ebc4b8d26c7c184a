/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders, page by page.
 *
 * A folder that was listed whole a short while ago is served from the tree.
 * Else it streams: each page of LIST is noted in the tree and handed out while
 * a thread fetches the next.  After the last page come the names that exist
 * here alone (staged, just made); cached names that no page has shown are
 * dropped.
 *
 * Very large folders are not kept: beyond CACHE_MAX names a plain readdir makes
 * no nodes, and the folder does not count as listed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/change.h"
#include "fs/file.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/thread.h"

#define CACHE_MAX 200000
#define TREE_MAX 400000
/** "." and ".." come first. */
#define DOTS 2

struct fetch {
	struct fs *fs;
	struct lock lock;
	struct cond cond;
	bool running, done;
	int rc;
	uint64_t since;
	char *token;
	char key[1024];
	struct oss_list_page page;
};

struct listing {
	struct fs *fs;
	uint64_t ino;
	uint32_t id;
	/* Readdirs of one handle come one at a time, but the kernel does not
	   promise it: all below is for the one that has the turn. */
	struct lock lock;
	struct cond turn;
	bool busy;
	bool started, streaming, finished;
	uint64_t since;
	char key[1024];
	struct fetch next;
	struct oss_list_page page; /* streaming: what is handed out */
	char **names;              /* of this page, or all of them */
	size_t count;
	uint64_t first; /* offset of names[0] */
	uint64_t total;
	int rc; /* an error after the first entry ends the listing */
};

/* -- one page -------------------------------------------------------------- */

static void *fetch_main(void *arg)
{
	struct fetch *f = arg;
	struct fs *fs = f->fs;
	const struct oss_list l = {
		.prefix = f->key, .delimiter = "/", .token = f->token};
	struct oss_ctl ctl = fs_ask_ctl(fs);
	int rc = fs->d.store.ops->list(fs->d.store.self, &l, &ctl, &f->page);

	lock_acquire(&f->lock);
	f->rc = rc;
	f->done = true;
	cond_signal(&f->cond);
	lock_release(&f->lock);
	return NULL;
}

/* Page 1 is fetched by the reader itself, later ones ahead of it. */
static void fetch_start(struct listing *l, char *token, bool ahead)
{
	struct fetch *f = &l->next;

	free(f->token);
	f->token = token;
	memset(&f->page, 0, sizeof(f->page));
	f->running = true;
	f->done = false;
	if (!ahead || thread_start_detached("ackfs-list", fetch_main, f) < 0)
		fetch_main(f);
}

static int fetch_wait(struct fetch *f)
{
	lock_acquire(&f->lock);
	while (f->running && !f->done)
		cond_wait(&f->cond, &f->lock);
	f->running = false;
	lock_release(&f->lock);
	return f->rc;
}

static void names_free(struct listing *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->names[i]);
	free(l->names);
	l->names = NULL;
	l->count = 0;
}

/* The child's name in the entry; NULL: hidden (the folder's own marker, empty
   segments, names that no filesystem can show). */
static char *name_of(const struct listing *l, const struct oss_list_entry *e)
{
	const char *rest = e->key + strlen(l->key);
	size_t len = strlen(rest);
	char *name;

	if (len && rest[len - 1] == '/')
		len--;
	name = strndup(rest, len);
	if (name && (strchr(name, '/') ||
		     fs_check_name(l->fs, name, l->ino == TREE_ROOT) < 0)) {
		log_debug("fs: hidden, not a file name: key=%s", LOG_Q(e->key));
		free(name);
		name = NULL;
	}
	return name;
}

/* An object `a` beside a folder `a/`: the folder shows.  All keys between the
   two begin with `a`. */
static void drop_twin(struct listing *l, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = l->count; i-- > 0;) {
		if (!l->names[i])
			continue;
		if (strncmp(l->names[i], name, len) != 0)
			return;
		if (l->names[i][len] == '\0') {
			free(l->names[i]);
			l->names[i] = NULL;
			return;
		}
	}
}

static void note_page(struct listing *l)
{
	struct fs *fs = l->fs;
	bool cache = l->total + l->page.count <= CACHE_MAX;
	struct node *dir;

	l->names = calloc(l->page.count + 1, sizeof(*l->names));
	if (!l->names) {
		l->rc = -ENOMEM;
		return;
	}
	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, l->ino);
	for (size_t i = 0; dir && i < l->page.count; i++) {
		struct oss_list_entry *e = &l->page.entries[i];
		char *name = name_of(l, e);
		struct node *n = NULL;

		if (name && e->is_prefix)
			drop_twin(l, name);
		if (name && (cache || tree_child_locked(&fs->tree, dir, name)))
			n = fs_note_entry_locked(fs, dir, name, e, l->since);
		if (name && cache && !n) {
			free(name); /* removed since */
			name = NULL;
		}
		/* Another one that began later may have seen it already. */
		if (n && n->listing < l->id)
			n->listing = l->id;
		l->names[l->count++] = name;
	}
	lock_release(&fs->tree.lock);
	if (l->page.count)
		fs_apply_remembered(fs, l->ino, l->key,
				    l->page.entries[0].key + strlen(l->key),
				    l->page.entries[l->page.count - 1].key +
					    strlen(l->key));
}

/* posix_meta = always: ask for what was not seen, in parallel. */
struct heads {
	struct fs *fs;
	struct node **nodes;
	size_t count;
	_Atomic size_t next;
};

static void *heads_main(void *arg)
{
	struct heads *h = arg;
	size_t i;

	while ((i = atomic_fetch_add(&h->next, 1)) < h->count)
		fs_need_meta(h->fs, h->nodes[i]);
	return NULL;
}

static void ask_metadata(struct listing *l)
{
	struct fs *fs = l->fs;
	pthread_t threads[16];
	size_t started = 0;
	struct heads h = {.fs = fs};
	struct node *dir, *n;

	h.nodes = calloc(l->count + 1, sizeof(*h.nodes));
	if (!h.nodes)
		return;
	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, l->ino);
	for (size_t i = 0; dir && i < l->count; i++) {
		n = l->names[i] ? tree_child_locked(&fs->tree, dir, l->names[i])
				: NULL;
		if (n && fs_may_have_meta(n) && !n->meta_known && !n->file) {
			tree_pin_locked(n);
			h.nodes[h.count++] = n;
		}
	}
	lock_release(&fs->tree.lock);
	while (started < ARRAY_LEN(threads) && started < h.count &&
	       thread_start(&threads[started], "ackfs-head", heads_main, &h) ==
		       0)
		started++;
	heads_main(&h);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	lock_acquire(&fs->tree.lock);
	for (size_t i = 0; i < h.count; i++)
		tree_unpin_locked(&fs->tree, h.nodes[i]);
	lock_release(&fs->tree.lock);
	free(h.nodes);
}

/* -- the tree's own names -------------------------------------------------- */

static bool grow(struct listing *l, size_t *cap, const char *name)
{
	if (l->count == *cap) {
		size_t more = *cap ? *cap * 2 : 64;
		char **names = realloc(l->names, more * sizeof(*names));

		if (!names)
			return false;
		l->names = names;
		*cap = more;
	}
	l->names[l->count] = strdup(name);
	return l->names[l->count++] != NULL;
}

/* All children: the folder was listed a short while ago, or OSS is away. */
static void take_snapshot(struct listing *l)
{
	struct fs *fs = l->fs;
	size_t cap = 0;
	struct node *dir, *n;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, l->ino);
	for (n = dir ? dir->children : NULL; n; n = n->next) {
		if (!grow(l, &cap, n->name)) {
			l->rc = -ENOMEM;
			break;
		}
	}
	lock_release(&fs->tree.lock);
	l->finished = true;
}

/* No page has named it: is it there all the same? */
static bool outlives_locked(struct fs *fs, const struct listing *l,
			    const struct node *n) ACK_REQUIRES(fs->tree.lock)
{
	return n->file || n->meta_dirty || n->change > l->since || n->refs ||
	       (n->children && fs_has_local_below_locked(fs, n));
}

/* After the last page: names that exist here alone, and those that are gone. */
static void take_rest(struct listing *l)
{
	struct fs *fs = l->fs;
	size_t cap = 0;
	struct node *dir, *n, *next;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, l->ino);
	for (n = dir ? dir->children : NULL; n; n = next) {
		next = n->next;
		/* Named by this listing, or by a later one. */
		if (n->listing == l->id ||
		    (n->listing > l->id && n->change <= l->since))
			continue;
		if (outlives_locked(fs, l, n)) {
			if (!grow(l, &cap, n->name))
				l->rc = -ENOMEM;
			continue;
		}
		if (l->total > CACHE_MAX)
			continue;
		fs_forget_children_locked(fs, n);
		tree_detach_locked(&fs->tree, n);
		tree_drop_locked(&fs->tree, n);
	}
	if (dir && l->total <= CACHE_MAX && l->rc == 0 &&
	    dir->doubted <= l->since)
		dir->listed_until_ms = clock_mono_ms() + fs->conf.ttl_ms;
	tree_shrink_locked(&fs->tree, TREE_MAX);
	lock_release(&fs->tree.lock);
	l->finished = true;
}

/* -- going through --------------------------------------------------------- */

static void start(struct listing *l)
{
	struct fs *fs = l->fs;
	struct node *dir;
	bool cached;

	fetch_wait(&l->next);
	oss_list_page_release(&l->next.page);
	oss_list_page_release(&l->page);
	names_free(l);
	l->started = true;
	l->finished = false;
	l->first = DOTS;
	l->total = 0;
	l->rc = 0;
	l->id = atomic_fetch_add(&fs->listings, 1) + 1;
	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, l->ino);
	cached = dir && dir->listed_until_ms > clock_mono_ms();
	if (!dir || fs_key_locked(fs, dir, l->key) < 0)
		l->rc = -ENOENT;
	l->since = fs->tree.change;
	lock_release(&fs->tree.lock);
	l->streaming = !cached && !fs_is_away(fs);
	if (!l->streaming) {
		take_snapshot(l);
		return;
	}
	memcpy(l->next.key, l->key, sizeof(l->key));
	if (l->rc == 0)
		fetch_start(l, NULL, false);
}

static void page_failed(struct listing *l, int rc)
{
	const struct oss_reply *reply = &l->next.page.reply;

	if (fs_note_reply(l->fs, rc, reply) && !l->total) {
		l->streaming = false;
		take_snapshot(l);
		return;
	}
	fs_log_failure("listing a folder", l->key, reply, rc);
	l->rc = rc;
	l->finished = true;
}

static void fetch_next(struct listing *l)
{
	char *token = str_dup(l->page.next_token);

	if (token)
		fetch_start(l, token, true);
	else
		l->rc = -ENOMEM;
}

/* The next names, from the next page. */
static void advance(struct listing *l)
{
	int rc;

	l->first += l->count;
	names_free(l);
	oss_list_page_release(&l->page);
	if (l->finished)
		return;
	if (!l->next.running) {
		if (l->rc == 0)
			take_rest(l);
		l->finished = true;
		return;
	}
	rc = fetch_wait(&l->next);
	if (rc < 0) {
		page_failed(l, rc);
		oss_list_page_release(&l->next.page);
		return;
	}
	l->page = l->next.page;
	memset(&l->next.page, 0, sizeof(l->next.page));
	if (l->page.next_token)
		fetch_next(l);
	note_page(l);
	l->total += l->count;
	if (l->fs->conf.posix_meta == FS_POSIX_ALWAYS)
		ask_metadata(l);
}

/* Make names[] cover offset `off`, or finish. */
static void seek(struct listing *l, uint64_t off)
{
	if (!l->started || off <= DOTS || off < l->first)
		start(l);
	if (!l->finished && !l->count)
		advance(l);
	while (off >= l->first + l->count && !(l->finished && !l->count))
		advance(l);
}

static bool fill_entry(struct listing *l, size_t i, bool lookup,
		       struct listing_entry *out, struct node **held)
{
	struct fs *fs = l->fs;
	struct node *dir, *n = NULL;

	*held = NULL;
	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, l->ino);
	if (dir)
		n = tree_child_locked(&fs->tree, dir, l->names[i]);
	if (!n && dir && l->streaming && i < l->page.count && lookup)
		n = fs_note_entry_locked(fs, dir, l->names[i],
					 &l->page.entries[i], l->since);
	if (n) {
		fs_attr_locked(fs, n, &out->attr);
		if (lookup) {
			n->nlookup++;
			*held = n;
		}
	}
	lock_release(&fs->tree.lock);
	if (n)
		return true;
	if (!l->streaming || i >= l->page.count || lookup)
		return false;
	/* Too many to keep: the name alone. */
	memset(&out->attr, 0, sizeof(out->attr));
	out->attr.ino = 0xffffffff;
	out->attr.mode = l->page.entries[i].is_prefix ? S_IFDIR : S_IFREG;
	return true;
}

static void give_back(struct fs *fs, struct node *n)
{
	if (!n)
		return;
	lock_acquire(&fs->tree.lock);
	tree_forget_locked(&fs->tree, n, 1);
	lock_release(&fs->tree.lock);
}

static bool emit_dot(struct listing *l, uint64_t off,
		     bool (*emit)(void *, const struct listing_entry *),
		     void *arg)
{
	struct listing_entry e = {.name = off ? ".." : ".", .next = off + 1};
	struct fs *fs = l->fs;
	struct node *n;

	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, l->ino);
	if (n && off && n->parent)
		n = n->parent;
	if (n)
		fs_attr_locked(fs, n, &e.attr);
	lock_release(&fs->tree.lock);
	return emit(arg, &e);
}

static int read_on(struct listing *l, uint64_t off, bool lookup,
		   bool (*emit)(void *, const struct listing_entry *),
		   void *arg)
{
	bool any = false;

	for (; off < DOTS; off++, any = true) {
		if (!emit_dot(l, off, emit, arg))
			return 0;
	}
	seek(l, off);
	while (l->count) {
		for (size_t i = (size_t)(off - l->first); i < l->count;
		     i++, off++) {
			struct listing_entry e = {.name = l->names[i],
						  .next = off + 1};
			struct node *held;

			if (!l->names[i] ||
			    !fill_entry(l, i, lookup, &e, &held))
				continue;
			if (!emit(arg, &e)) {
				give_back(l->fs, held);
				return 0;
			}
			any = true;
		}
		/* What is here now is on the screen before the next page is
		   waited for. */
		if (any)
			return 0;
		advance(l);
		off = l->first;
	}
	return any ? 0 : l->rc;
}

int listing_read(struct listing *l, uint64_t off, bool lookup,
		 bool (*emit)(void *arg, const struct listing_entry *e),
		 void *arg)
{
	int rc;

	lock_acquire(&l->lock);
	while (l->busy)
		cond_wait(&l->turn, &l->lock);
	l->busy = true;
	lock_release(&l->lock);
	rc = read_on(l, off, lookup, emit, arg);
	lock_acquire(&l->lock);
	l->busy = false;
	cond_signal(&l->turn);
	lock_release(&l->lock);
	return rc;
}

int listing_open(struct fs *fs, uint64_t ino, struct listing **out)
{
	struct listing *l;
	struct node *n;
	int rc = 0;

	lock_acquire(&fs->tree.lock);
	n = tree_by_ino_locked(&fs->tree, ino);
	if (!n)
		rc = -ENOENT;
	else if (n->kind != NODE_DIR)
		rc = -ENOTDIR;
	lock_release(&fs->tree.lock);
	if (rc < 0)
		return rc;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->fs = fs;
	l->ino = ino;
	l->next.fs = fs;
	lock_init(&l->lock, LOCK_LEAF);
	cond_init(&l->turn);
	lock_init(&l->next.lock, LOCK_LEAF);
	cond_init(&l->next.cond);
	*out = l;
	return 0;
}

void listing_close(struct listing *l)
{
	if (!l)
		return;
	fetch_wait(&l->next);
	oss_list_page_release(&l->next.page);
	oss_list_page_release(&l->page);
	names_free(l);
	free(l->next.token);
	cond_destroy(&l->next.cond);
	lock_destroy(&l->next.lock);
	cond_destroy(&l->turn);
	lock_destroy(&l->lock);
	free(l);
}

/* -- questions about folders ----------------------------------------------- */

int listing_is_empty(struct fs *fs, uint64_t ino)
{
	struct oss_list_page page = {0};
	struct oss_ctl ctl = fs_ctl(fs);
	char key[1024];
	struct oss_list l = {.prefix = key, .max_keys = 2};
	struct node *dir;
	int rc;

	lock_acquire(&fs->tree.lock);
	dir = tree_by_ino_locked(&fs->tree, ino);
	rc = dir ? fs_key_locked(fs, dir, key) : -ENOENT;
	if (rc == 0 && fs_has_local_below_locked(fs, dir))
		rc = -ENOTEMPTY;
	lock_release(&fs->tree.lock);
	if (rc < 0)
		return rc;
	rc = fs->d.store.ops->list(fs->d.store.self, &l, &ctl, &page);
	if (rc < 0)
		fs_log_failure("listing a folder", key, &page.reply, rc);
	for (size_t i = 0; rc == 0 && i < page.count; i++) {
		if (strcmp(page.entries[i].key, key) != 0)
			rc = -ENOTEMPTY;
	}
	oss_list_page_release(&page);
	return rc;
}

void listing_invalidate(struct fs *fs, uint64_t ino)
{
	struct node *top, *n;

	lock_acquire(&fs->tree.lock);
	top = tree_by_ino_locked(&fs->tree, ino);
	for (n = top; n; n = tree_walk_locked(top, n)) {
		tree_doubt_locked(&fs->tree, n);
		n->fresh_until_ms = 0;
	}
	lock_release(&fs->tree.lock);
}
