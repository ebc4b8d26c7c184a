/* SPDX-License-Identifier: Apache-2.0 */
#include "state/staging_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "state/sql.h"
#include "util/base.h"
#include "util/kv.h"
#include "util/strnum.h"

/* Lists inside the list: "meta:NAME". */
#define META "meta:"
#define KEPT "kept:"
#define VAR "var:"
#define XATTR "xattr:"

void staging_props_release(struct staging_props *p)
{
	free(p->content_type);
	kvs_release(&p->meta);
	kvs_release(&p->kept);
	*p = (struct staging_props){0};
}

int staging_close_add_meta(struct staging_close *c, const struct kvs *meta)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < meta->count; i++) {
		AUTO_FREE char *name =
			str_printf("user.oss.meta.%s", meta->items[i].name);

		rc = name ? kvs_set(&c->xattrs, name, meta->items[i].value)
			  : -ENOMEM;
	}
	return rc;
}

/* From one owner to another. */
static void staging_props_take(struct staging_props *to,
			       struct staging_props *from)
{
	*to = *from;
	*from = (struct staging_props){0};
}

int staging_props_copy(struct staging_props *dst,
		       const struct staging_props *src)
{
	AUTO(staging_props_release)
	struct staging_props n = {
		.exclusive = src->exclusive,
		.check_conflict = src->check_conflict,
	};
	int rc = str_set(&n.content_type, src->content_type);

	if (rc == 0)
		rc = kvs_copy(&n.meta, &src->meta);
	if (rc == 0)
		rc = kvs_copy(&n.kept, &src->kept);
	if (rc < 0)
		return rc;
	staging_props_take(dst, &n);
	return 0;
}

void staging_close_release(struct staging_close *c)
{
	free(c->delivery_id);
	free(c->previous_delivery_id);
	free(c->rule);
	free(c->process);
	kvs_release(&c->vars);
	kvs_release(&c->xattrs);
	*c = (struct staging_close){0};
}

/* From one owner to another. */
static void staging_close_take(struct staging_close *to,
			       struct staging_close *from)
{
	*to = *from;
	*from = (struct staging_close){0};
}

static int copy_close_texts(struct staging_close *dst,
			    const struct staging_close *src)
{
	int rc = str_set(&dst->delivery_id, src->delivery_id);

	if (rc == 0)
		rc = str_set(&dst->previous_delivery_id,
			     src->previous_delivery_id);
	if (rc == 0)
		rc = str_set(&dst->rule, src->rule);
	if (rc == 0)
		rc = str_set(&dst->process, src->process);
	return rc;
}

int staging_close_copy(struct staging_close *dst,
		       const struct staging_close *src)
{
	AUTO(staging_close_release)
	struct staging_close n = {
		.no_callback = src->no_callback,
		.uid = src->uid,
		.gid = src->gid,
		.mode = src->mode,
		.pid = src->pid,
		.mtime_ms = src->mtime_ms,
	};
	int rc = copy_close_texts(&n, src);

	if (rc == 0)
		rc = kvs_copy(&n.vars, &src->vars);
	if (rc == 0)
		rc = kvs_copy(&n.xattrs, &src->xattrs);
	if (rc < 0)
		return rc;
	staging_close_take(dst, &n);
	return 0;
}

/* "prefixNAME" -> value for each of src. */
static int add_list(struct kvs *l, const char *prefix, const struct kvs *src)
{
	for (size_t i = 0; i < src->count; i++) {
		AUTO_FREE char *name =
			str_printf("%s%s", prefix, src->items[i].name);
		int rc = name ? kvs_add(l, name, src->items[i].value) : -ENOMEM;

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Absent values are absent names. */
static int add_text(struct kvs *l, const char *name, const char *value)
{
	return value ? kvs_add(l, name, value) : 0;
}

static int add_flag(struct kvs *l, const char *name, bool value)
{
	return value ? kvs_add(l, name, "1") : 0;
}

/* The rest of name behind prefix, or NULL. */
static const char *behind(const char *name, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(name, prefix, len) == 0 ? name + len : NULL;
}

int props_pack(struct buf *out, const struct staging_props *p)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;
	int rc = add_text(&l, "content_type", p->content_type);

	if (rc == 0)
		rc = add_flag(&l, "exclusive", p->exclusive);
	if (rc == 0)
		rc = add_flag(&l, "check_conflict", p->check_conflict);
	if (rc == 0)
		rc = add_list(&l, META, &p->meta);
	if (rc == 0)
		rc = add_list(&l, KEPT, &p->kept);
	if (rc < 0)
		return rc;
	kvs_pack(out, &l);
	return buf_error(out);
}

static int props_take(struct staging_props *p, const struct kv *kv)
{
	const char *rest;

	if ((rest = behind(kv->name, META)))
		return kvs_add(&p->meta, rest, kv->value);
	if ((rest = behind(kv->name, KEPT)))
		return kvs_add(&p->kept, rest, kv->value);
	if (strcmp(kv->name, "content_type") == 0)
		return str_set(&p->content_type, kv->value);
	if (strcmp(kv->name, "exclusive") == 0)
		p->exclusive = true;
	else if (strcmp(kv->name, "check_conflict") == 0)
		p->check_conflict = true;
	return 0;
}

int props_unpack(const void *data, size_t len, struct staging_props *p)
{
	AUTO(staging_props_release) struct staging_props n = {0};
	AUTO(kvs_release) struct kvs l = KVS_INIT;
	int rc = kvs_unpack(data, len, &l);

	for (size_t i = 0; rc == 0 && i < l.count; i++)
		rc = props_take(&n, &l.items[i]);
	if (rc < 0)
		return rc;
	staging_props_take(p, &n);
	return 0;
}

static int add_close_texts(struct kvs *l, const struct staging_close *c)
{
	int rc = add_text(l, "delivery_id", c->delivery_id);

	if (rc == 0)
		rc = add_text(l, "previous_delivery_id",
			      c->previous_delivery_id);
	if (rc == 0)
		rc = add_flag(l, "no_callback", c->no_callback);
	if (rc == 0)
		rc = add_text(l, "rule", c->rule);
	if (rc == 0)
		rc = add_text(l, "process", c->process);
	return rc;
}

static int add_close_numbers(struct kvs *l, const struct staging_close *c)
{
	int rc = kvs_addf(l, "uid", "%u", c->uid);

	if (rc == 0)
		rc = kvs_addf(l, "gid", "%u", c->gid);
	if (rc == 0)
		rc = kvs_addf(l, "mode", "%u", c->mode);
	if (rc == 0)
		rc = kvs_addf(l, "pid", "%d", c->pid);
	if (rc == 0)
		rc = kvs_addf(l, "mtime_ms", "%lld", (long long)c->mtime_ms);
	return rc;
}

int close_pack(struct buf *out, const struct staging_close *c)
{
	AUTO(kvs_release) struct kvs l = KVS_INIT;
	int rc = add_close_texts(&l, c);

	if (rc == 0)
		rc = add_close_numbers(&l, c);
	if (rc == 0)
		rc = add_list(&l, VAR, &c->vars);
	if (rc == 0)
		rc = add_list(&l, XATTR, &c->xattrs);
	if (rc < 0)
		return rc;
	kvs_pack(out, &l);
	return buf_error(out);
}

/* One of the numbers; *known says whether the name is one. */
static int close_take_number(struct staging_close *c, const struct kv *kv,
			     bool *known)
{
	const struct {
		const char *name;
		uint32_t *to;
	} unsigned_ones[] = {
		{"uid",  &c->uid },
		{"gid",  &c->gid },
		{"mode", &c->mode},
	};
	int64_t n = 0;
	int rc;

	*known = true;
	for (size_t i = 0; i < ARRAY_LEN(unsigned_ones); i++)
		if (strcmp(kv->name, unsigned_ones[i].name) == 0) {
			rc = parse_i64(kv->value, 0, UINT32_MAX, &n);
			*unsigned_ones[i].to = (uint32_t)n;
			return rc;
		}
	if (strcmp(kv->name, "pid") == 0) {
		rc = parse_i64(kv->value, INT32_MIN, INT32_MAX, &n);
		c->pid = (int32_t)n;
		return rc;
	}
	if (strcmp(kv->name, "mtime_ms") == 0)
		return parse_i64(kv->value, INT64_MIN, INT64_MAX, &c->mtime_ms);
	*known = false;
	return 0;
}

static int close_take(struct staging_close *c, const struct kv *kv)
{
	const char *rest;
	bool known = false;
	int rc = close_take_number(c, kv, &known);

	if (known)
		return rc;
	if ((rest = behind(kv->name, VAR)))
		return kvs_add(&c->vars, rest, kv->value);
	if ((rest = behind(kv->name, XATTR)))
		return kvs_add(&c->xattrs, rest, kv->value);
	if (strcmp(kv->name, "delivery_id") == 0)
		return str_set(&c->delivery_id, kv->value);
	if (strcmp(kv->name, "previous_delivery_id") == 0)
		return str_set(&c->previous_delivery_id, kv->value);
	if (strcmp(kv->name, "rule") == 0)
		return str_set(&c->rule, kv->value);
	if (strcmp(kv->name, "process") == 0)
		return str_set(&c->process, kv->value);
	if (strcmp(kv->name, "no_callback") == 0)
		c->no_callback = true;
	return 0;
}

int close_unpack(const void *data, size_t len, struct staging_close *c)
{
	AUTO(staging_close_release) struct staging_close n = {0};
	AUTO(kvs_release) struct kvs l = KVS_INIT;
	int rc = kvs_unpack(data, len, &l);

	for (size_t i = 0; rc == 0 && i < l.count; i++)
		rc = close_take(&n, &l.items[i]);
	if (rc < 0)
		return rc;
	staging_close_take(c, &n);
	return 0;
}
