/* SPDX-License-Identifier: Apache-2.0 */
/** @file The fake store's table of operations. */
#include "fake_store_int.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/clock.h"
#include "util/codec.h"
#include "util/crc64.h"

static int check_key(struct call *c)
{
	size_t len = strlen(c->key);

	if (len > OSS_KEY_MAX)
		return fake_call_error(c, -ENAMETOOLONG, 0,
				       "InvalidObjectName");
	if (len == 0 || c->key[0] == '/' || c->key[0] == '\\' ||
	    !utf8_is_valid(c->key, len))
		return fake_call_error(c, -EINVAL, 0, "InvalidObjectName");
	return 0;
}

static int begin(struct call *c, struct fake_store *f, enum fake_op op,
		 const char *key, const struct oss_ctl *ctl,
		 struct oss_reply *reply)
{
	int rc = fake_call_begin(c, f, op, key, ctl, reply);

	return rc < 0 ? rc : check_key(c);
}

static int no_such_key(struct call *c)
{
	return fake_call_error(c, -ENOENT, 404, "NoSuchKey");
}

static int changed(struct call *c)
{
	return fake_call_error(c, -ESTALE, 412, "PreconditionFailed");
}

/* Objects are versioned: then OSS ignores x-oss-forbid-overwrite. */
static bool forbidden_locked(struct call *c, bool forbid)
{
	return forbid && !c->f->versioning && fake_find(c->f, c->key, NULL);
}

static void result_of(const struct fake_object *o, struct oss_put_result *out)
{
	(void)snprintf(out->etag, sizeof(out->etag), "%s", o->etag);
	out->version_id = fake_dup(o->version_id);
	out->crc64 = crc64_update(0, o->blob->data, o->blob->len);
	out->has_crc64 = true;
	out->modified_ms = o->modified_ms;
}

/* ---- callbacks --------------------------------------------------------- */

static void xml_word(const char *xml, const char *tag, char *out, size_t size)
{
	char open[32];
	const char *at;

	(void)snprintf(open, sizeof(open), "<%s>", tag);
	at = strstr(xml, open);
	if (!at)
		return;
	at += strlen(open);
	(void)snprintf(out, size, "%.*s", (int)strcspn(at, "<"), at);
}

static void record_locked(struct call *c, const struct oss_callback *cb,
			  const struct fake_object *o)
{
	struct fake_store *f = c->f;
	struct fake_callback *r = fake_alloc(sizeof(*r));

	if (f->callback_count == ARRAY_LEN(f->callbacks))
		abort();
	r->op = c->op;
	r->key = fake_dup(c->key);
	r->callback = fake_dup(cb->callback);
	r->vars = fake_dup(cb->vars);
	r->size = o->blob->len;
	(void)snprintf(r->etag, sizeof(r->etag), "%s", o->etag);
	f->callbacks[f->callback_count++] = r;
	cond_broadcast(&f->changed);
}

static void callback_locked(struct call *c, const struct oss_callback *cb,
			    const struct fake_object *o,
			    struct oss_put_result *out)
{
	struct fake_store *f = c->f;
	const char *body = "{\"Status\":\"OK\"}";
	const char *type = "application/json";

	if (!cb || !cb->callback)
		return;
	record_locked(c, cb, o);
	c->reply->http = 200;
	if (f->answer_times) {
		f->answer_times -= f->answer_times > 0;
		c->reply->http = f->answer_http;
		body = f->answer_body ? f->answer_body : "";
		type = f->answer_type;
	}
	if (c->reply->http == 203) {
		struct oss_reply *r = c->reply;

		xml_word(body, "Code", r->code, sizeof(r->code));
		xml_word(body, "Message", r->message, sizeof(r->message));
		xml_word(body, "EC", r->ec, sizeof(r->ec));
	}
	out->callback_sent = true;
	out->body_type = fake_dup(type);
	buf_adds(&out->body, body);
}

/* A lost answer tells nothing but the reply. */
static int end_put(struct call *c, struct oss_put_result *out)
{
	int rc = fake_call_end(c);
	struct oss_reply reply = *c->reply;

	if (rc < 0) {
		oss_put_result_release(out);
		memset(out, 0, sizeof(*out));
		out->reply = reply;
	}
	return rc;
}

/* ---- one object -------------------------------------------------------- */

static int fake_put(void *self, const char *key, const struct oss_source *body,
		    const struct oss_props *props,
		    const struct oss_callback *cb, const struct oss_ctl *ctl,
		    struct oss_put_result *out)
{
	struct fake_store *f = self;
	struct fake_object *o;
	struct blob *blob = NULL;
	struct call c;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = begin(&c, f, FAKE_PUT, key, ctl, &out->reply);
	if (rc == 0 && body->size > OSS_PUT_MAX)
		rc = fake_call_error(&c, -EFBIG, 400, "EntityTooLarge");
	if (rc == 0)
		rc = fake_call_read(&c, body, &blob);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	if (forbidden_locked(&c, props && props->forbid_overwrite)) {
		fake_blob_put(blob);
		lock_release(&f->lock);
		return fake_call_error(&c, -EEXIST, 409, "FileAlreadyExists");
	}
	o = fake_store_set(f, key, blob);
	fake_props(o, props);
	result_of(o, out);
	callback_locked(&c, cb, o, out);
	lock_release(&f->lock);
	return end_put(&c, out);
}

static int give(struct call *c, const struct oss_sink *to, const char *data,
		uint64_t len)
{
	uint64_t limit = len;
	uint64_t pos = 0;
	int rc = 0;

	if (c->faulty && !c->fault.stored && c->fault.after_bytes < limit)
		limit = c->fault.after_bytes;
	while (rc == 0 && pos < limit) {
		uint64_t n = limit - pos < 16384 ? limit - pos : 16384;

		rc = to->write(to->arg, data + pos, n);
		if (rc < 0)
			break;
		pos += n;
		lock_acquire(&c->f->lock);
		c->f->bytes_out += n;
		lock_release(&c->f->lock);
		if (c->ctl && c->ctl->progress)
			atomic_fetch_add(c->ctl->progress, n);
		if (c->ctl && c->ctl->cancel && atomic_load(c->ctl->cancel))
			rc = fake_call_error(c, -ECANCELED, 0, "Canceled");
	}
	if (rc == 0 && c->faulty && !c->fault.stored)
		rc = fake_call_error(c, c->fault.err, c->fault.http,
				     c->fault.code);
	return rc;
}

static int find_for_get(struct call *c, uint64_t off, const char *if_match,
			struct oss_object *object, struct blob **blob)
{
	const struct fake_object *o = fake_find(c->f, c->key, NULL);

	if (!o)
		return no_such_key(c);
	if (if_match && strcasecmp(if_match, o->etag) != 0)
		return changed(c);
	if (off > 0 && off >= o->blob->len)
		return fake_call_error(c, -EINVAL, 416, "InvalidRange");
	if (object)
		fake_describe(o, object);
	*blob = fake_blob_get(o->blob);
	return 0;
}

static int fake_get(void *self, const char *key, uint64_t off, uint64_t len,
		    const char *if_match, const struct oss_sink *to,
		    const struct oss_ctl *ctl, struct oss_object *object,
		    struct oss_reply *reply)
{
	struct fake_store *f = self;
	struct blob *blob = NULL;
	struct oss_reply spare;
	struct call c;
	int rc;

	if (object)
		memset(object, 0, sizeof(*object));
	rc = begin(&c, f, FAKE_GET, key, ctl, reply ? reply : &spare);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	rc = find_for_get(&c, off, if_match, object, &blob);
	lock_release(&f->lock);
	if (rc < 0 || !blob)
		return rc;
	if (len == 0 || len > blob->len - off)
		len = blob->len - off;
	c.reply->http = len == blob->len ? 200 : 206;
	rc = fake_call_stand(&c, FAKE_SENT);
	if (rc == 0)
		rc = give(&c, to, blob->data + off, len);
	if (rc == 0)
		rc = fake_call_end(&c);
	lock_acquire(&f->lock);
	fake_blob_put(blob);
	lock_release(&f->lock);
	if (rc < 0 && object)
		oss_object_release(object);
	return rc;
}

static int fake_head(void *self, const char *key, const struct oss_ctl *ctl,
		     struct oss_object *out, struct oss_reply *reply)
{
	struct fake_store *f = self;
	const struct fake_object *o;
	struct oss_reply spare;
	struct call c;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = begin(&c, f, FAKE_HEAD, key, ctl, reply ? reply : &spare);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	o = fake_find(f, key, NULL);
	if (o)
		fake_describe(o, out);
	lock_release(&f->lock);
	rc = o ? fake_call_end(&c) : no_such_key(&c);
	if (rc < 0)
		oss_object_release(out);
	return rc;
}

static void remove_one(struct fake_store *f, const char *key)
{
	size_t at;

	lock_acquire(&f->lock);
	if (fake_find(f, key, &at))
		fake_remove_at(f, at);
	lock_release(&f->lock);
}

static int fake_remove(void *self, const char *key, const struct oss_ctl *ctl,
		       struct oss_reply *reply)
{
	struct oss_reply spare;
	struct call c;
	int rc;

	rc = begin(&c, self, FAKE_REMOVE, key, ctl, reply ? reply : &spare);
	if (rc < 0)
		return rc;
	remove_one(self, key);
	c.reply->http = 204;
	return fake_call_end(&c);
}

/* A fault with a key is about that key alone. */
static int fake_remove_many(void *self, const char *const *keys, size_t count,
			    const struct oss_ctl *ctl, bool *failed,
			    struct oss_reply *reply)
{
	struct oss_reply spare;
	struct call c;
	int first = 0;

	for (size_t i = 0; failed && i < count; i++)
		failed[i] = true;
	if (count == 0 || count > OSS_DELETE_MAX)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		int rc = begin(&c, self, FAKE_REMOVE_MANY, keys[i], ctl,
			       reply ? reply : &spare);

		if (i) { /* one request, however many keys */
			lock_acquire(&c.f->lock);
			c.f->calls[FAKE_REMOVE_MANY]--;
			lock_release(&c.f->lock);
		}
		if (rc < 0 && !(c.faulty && c.fault.key))
			return rc;
		if (rc < 0) {
			first = first ? first : rc;
			continue;
		}
		remove_one(self, keys[i]);
		if (failed)
			failed[i] = false;
	}
	return first ? first : fake_call_end(&c);
}

static int copy_locked(struct call *c, const struct oss_copy *cp,
		       struct oss_put_result *out)
{
	struct fake_store *f = c->f;
	const struct fake_object *src = fake_find(f, cp->src_key, NULL);
	bool replace = cp->props || strcmp(cp->src_key, cp->dst_key) == 0;
	struct fake_object keep = {0};
	struct oss_object old;
	struct fake_object *o;

	if (!src)
		return no_such_key(c);
	if (cp->src_etag && strcasecmp(cp->src_etag, src->etag) != 0)
		return changed(c);
	if (src->blob->len > OSS_COPY_MAX)
		return fake_call_error(c, -EFBIG, 400, "EntityTooLarge");
	if (forbidden_locked(c, cp->forbid_overwrite))
		return fake_call_error(c, -EEXIST, 409, "FileAlreadyExists");
	fake_describe(src, &old);
	keep.blob = fake_blob_get(src->blob);
	keep.tags = fake_dup(src->tags);
	o = fake_store_set(f, cp->dst_key, keep.blob);
	if (replace) {
		fake_props(o, cp->props);
	} else {
		struct oss_props as_before = {.content_type = old.content_type,
					      .meta = &old.meta,
					      .headers = &old.kept};
		fake_props(o, &as_before);
	}
	if (!o->tags) {
		o->tags = keep.tags;
		keep.tags = NULL;
	}
	free(keep.tags);
	oss_object_release(&old);
	result_of(o, out);
	return 0;
}

static int fake_copy(void *self, const struct oss_copy *cp,
		     const struct oss_ctl *ctl, struct oss_put_result *out)
{
	struct fake_store *f = self;
	struct call c;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = begin(&c, f, FAKE_COPY, cp->dst_key, ctl, &out->reply);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	rc = copy_locked(&c, cp, out);
	lock_release(&f->lock);
	return rc < 0 ? rc : end_put(&c, out);
}

static int word_of(struct fake_store *f, enum fake_op op, const char *key,
		   const struct oss_ctl *ctl, char **word,
		   struct oss_reply *reply)
{
	const struct fake_object *o;
	struct oss_reply spare;
	char *copy = NULL;
	struct call c;
	int rc;

	rc = begin(&c, f, op, key, ctl, reply ? reply : &spare);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	o = fake_find(f, key, NULL);
	if (o && op == FAKE_GET_TAGS)
		copy = fake_dup(o->tags ? o->tags : "");
	else if (o)
		copy = fake_dup(o->acl ? o->acl : "default");
	lock_release(&f->lock);
	rc = o ? fake_call_end(&c) : no_such_key(&c);
	if (rc < 0)
		free(copy);
	else
		*word = copy;
	return rc;
}

static int fake_get_tags(void *self, const char *key, const struct oss_ctl *ctl,
			 char **tags, struct oss_reply *reply)
{
	return word_of(self, FAKE_GET_TAGS, key, ctl, tags, reply);
}

static int fake_get_acl(void *self, const char *key, const struct oss_ctl *ctl,
			char **acl, struct oss_reply *reply)
{
	return word_of(self, FAKE_GET_ACL, key, ctl, acl, reply);
}

/* ---- listings ---------------------------------------------------------- */

static void entry_of(const struct fake_object *o, struct oss_list_entry *e)
{
	e->key = fake_dup(o->key);
	e->size = o->blob->len;
	e->modified_ms = o->modified_ms;
	(void)snprintf(e->etag, sizeof(e->etag), "%s", o->etag);
	(void)snprintf(e->type, sizeof(e->type), "%s", o->type);
	(void)snprintf(e->storage_class, sizeof(e->storage_class), "%s",
		       o->storage_class ? o->storage_class : "Standard");
}

/* The part of key up to the delimiter after prefix, or NULL. */
static char *common_prefix(const char *key, const struct oss_list *l)
{
	const char *at;
	size_t len;
	char *cp;

	if (!l->delimiter || !*l->delimiter)
		return NULL;
	at = strstr(key + strlen(l->prefix ? l->prefix : ""), l->delimiter);
	if (!at)
		return NULL;
	len = (size_t)(at - key) + strlen(l->delimiter);
	cp = fake_alloc(len + 1);
	memcpy(cp, key, len);
	return cp;
}

static void list_locked(struct fake_store *f, const struct oss_list *l,
			struct oss_list_page *out)
{
	const char *prefix = l->prefix ? l->prefix : "";
	const char *after = l->token ? l->token : l->start_after;
	size_t max = l->max_keys > 0 ? (size_t)l->max_keys : 1000;
	const char *last = after ? after : "";

	out->entries = fake_alloc(max * sizeof(out->entries[0]));
	for (size_t i = 0; i < f->count; i++) {
		const struct fake_object *o = &f->objects[i];
		AUTO_FREE char *cp = NULL;
		const char *name = o->key;

		if (strncmp(o->key, prefix, strlen(prefix)) != 0)
			continue;
		cp = common_prefix(o->key, l);
		if (cp)
			name = cp;
		if (strcmp(name, last) <= 0)
			continue;
		if (out->count == max) {
			out->next_token = fake_dup(last);
			return;
		}
		if (cp) {
			out->entries[out->count].key = take_ptr(cp);
			out->entries[out->count].is_prefix = true;
		} else {
			entry_of(o, &out->entries[out->count]);
		}
		last = out->entries[out->count++].key;
	}
}

static int fake_list(void *self, const struct oss_list *l,
		     const struct oss_ctl *ctl, struct oss_list_page *out)
{
	struct fake_store *f = self;
	struct call c;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = fake_call_begin(&c, f, FAKE_LIST, l->prefix ? l->prefix : "", ctl,
			     &out->reply);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	list_locked(f, l, out);
	lock_release(&f->lock);
	rc = fake_call_end(&c);
	if (rc < 0)
		oss_list_page_release(out);
	return rc;
}

/* ---- multipart --------------------------------------------------------- */

static struct fake_upload *find_upload(struct fake_store *f, const char *key,
				       const char *id)
{
	for (size_t i = 0; i < f->upload_count; i++)
		if (strcmp(f->uploads[i].key, key) == 0 &&
		    strcmp(f->uploads[i].id, id) == 0)
			return &f->uploads[i];
	return NULL;
}

static int no_such_upload(struct call *c)
{
	return fake_call_error(c, -ENOENT, 404, "NoSuchUpload");
}

static int fake_initiate(void *self, const char *key,
			 const struct oss_props *props,
			 const struct oss_ctl *ctl, char **upload_id,
			 struct oss_reply *reply)
{
	struct fake_store *f = self;
	struct fake_upload *u;
	struct oss_reply spare;
	char id[40] = "";
	struct call c;
	int rc;

	rc = begin(&c, f, FAKE_INITIATE, key, ctl, reply ? reply : &spare);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	if (forbidden_locked(&c, props && props->forbid_overwrite)) {
		lock_release(&f->lock);
		return fake_call_error(&c, -EEXIST, 409, "FileAlreadyExists");
	}
	u = realloc(f->uploads, (f->upload_count + 1) * sizeof(*u));
	if (!u)
		abort();
	f->uploads = u;
	u += f->upload_count++;
	(void)snprintf(id, sizeof(id), "%032" PRIX64, ++f->serial);
	*u = (struct fake_upload){.key = fake_dup(key),
				  .id = fake_dup(id),
				  .initiated_ms = clock_real_ms()};
	fake_props(&u->props, props);
	lock_release(&f->lock);
	rc = fake_call_end(&c);
	if (rc == 0)
		*upload_id = fake_dup(id);
	return rc;
}

static void describe_part(const struct fake_part *p, struct oss_part *out)
{
	*out = (struct oss_part){
		.number = p->number,
		.size = p->blob->len,
		.crc64 = crc64_update(0, p->blob->data, p->blob->len),
		.has_crc64 = true};
	(void)snprintf(out->etag, sizeof(out->etag), "%s", p->etag);
}

/* Takes the blob over. */
static void set_part_locked(struct fake_upload *u, int number,
			    struct blob *blob, struct oss_part *out)
{
	struct fake_part *now;
	size_t at = 0;

	while (at < u->count && u->parts[at].number < number)
		at++;
	if (at < u->count && u->parts[at].number == number) {
		fake_blob_put(u->parts[at].blob);
	} else {
		now = realloc(u->parts, (u->count + 1) * sizeof(*now));
		if (!now)
			abort();
		u->parts = now;
		memmove(&now[at + 1], &now[at], (u->count - at) * sizeof(*now));
		u->count++;
	}
	u->parts[at].number = number;
	u->parts[at].blob = blob;
	fake_etag(blob, u->parts[at].etag);
	describe_part(&u->parts[at], out);
}

static int fake_upload_part(void *self, const char *key, const char *upload_id,
			    int number, const struct oss_source *body,
			    const struct oss_ctl *ctl, struct oss_part *out,
			    struct oss_reply *reply)
{
	struct fake_store *f = self;
	struct fake_upload *u;
	struct oss_reply spare;
	struct oss_part part;
	struct blob *blob = NULL;
	struct call c;
	int rc;

	rc = begin(&c, f, FAKE_UPLOAD_PART, key, ctl, reply ? reply : &spare);
	if (rc == 0 && (number < 1 || number > OSS_PARTS_MAX))
		rc = fake_call_error(&c, -EINVAL, 400, "InvalidArgument");
	if (rc == 0)
		rc = fake_call_read(&c, body, &blob);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	u = find_upload(f, key, upload_id);
	if (u)
		set_part_locked(u, number, blob, &part);
	else
		fake_blob_put(blob);
	lock_release(&f->lock);
	rc = u ? fake_call_end(&c) : no_such_upload(&c);
	if (rc == 0)
		*out = part;
	return rc;
}

static int part_copy_locked(struct call *c, struct fake_upload *u, int number,
			    const char *src_key, const char *src_etag,
			    uint64_t off, uint64_t len, struct oss_part *out)
{
	const struct fake_object *src = fake_find(c->f, src_key, NULL);

	if (!u)
		return no_such_upload(c);
	if (!src)
		return no_such_key(c);
	if (src_etag && strcasecmp(src_etag, src->etag) != 0)
		return changed(c);
	if (len == 0)
		len = src->blob->len - (off <= src->blob->len ? off : 0);
	if (off > src->blob->len || len > src->blob->len - off)
		return fake_call_error(c, -EINVAL, 400, "InvalidArgument");
	set_part_locked(u, number, fake_blob_new(src->blob->data + off, len),
			out);
	out->has_crc64 = false; /* as OSS: maybe not */
	return 0;
}

static int fake_upload_part_copy(void *self, const char *key,
				 const char *upload_id, int number,
				 const char *src_key, const char *src_etag,
				 uint64_t off, uint64_t len,
				 const struct oss_ctl *ctl,
				 struct oss_part *out, struct oss_reply *reply)
{
	struct fake_store *f = self;
	struct oss_reply spare;
	struct oss_part part;
	struct call c;
	int rc;

	rc = begin(&c, f, FAKE_UPLOAD_PART_COPY, key, ctl,
		   reply ? reply : &spare);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	rc = part_copy_locked(&c, find_upload(f, key, upload_id), number,
			      src_key, src_etag, off, len, &part);
	lock_release(&f->lock);
	if (rc == 0)
		rc = fake_call_end(&c);
	if (rc == 0)
		*out = part;
	return rc;
}

static const struct fake_part *part_of(const struct fake_upload *u,
				       const struct oss_part *p)
{
	for (size_t i = 0; i < u->count; i++)
		if (u->parts[i].number == p->number &&
		    strcasecmp(u->parts[i].etag, p->etag) == 0)
			return &u->parts[i];
	return NULL;
}

static int check_parts(struct call *c, const struct fake_upload *u,
		       const struct oss_part *parts, size_t count,
		       uint64_t *size)
{
	*size = 0;
	if (count == 0)
		return fake_call_error(c, -EIO, 400, "MalformedXML");
	for (size_t i = 0; i < count; i++) {
		const struct fake_part *p = part_of(u, &parts[i]);

		if (!p)
			return fake_call_error(c, -EIO, 400, "InvalidPart");
		if (i && parts[i - 1].number >= p->number)
			return fake_call_error(c, -EIO, 400,
					       "InvalidPartOrder");
		if (i + 1 < count && p->blob->len < OSS_PART_MIN)
			return fake_call_error(c, -EIO, 400, "EntityTooSmall");
		*size += p->blob->len;
	}
	return 0;
}

static struct fake_object *join_locked(struct call *c, struct fake_upload *u,
				       const struct oss_part *parts,
				       size_t count, uint64_t size)
{
	struct blob *whole = fake_blob_new(NULL, size);
	struct fake_object *o;
	uint64_t pos = 0;

	for (size_t i = 0; i < count; i++) {
		const struct fake_part *p = part_of(u, &parts[i]);

		assert(p); /* checked before */
		memcpy(whole->data + pos, p->blob->data, p->blob->len);
		pos += p->blob->len;
	}
	o = fake_store_set(c->f, c->key, whole);
	free(o->type);
	o->type = fake_dup("Multipart");
	(void)snprintf(o->etag + 32, sizeof(o->etag) - 32, "-%zu", count);
	o->content_type = take_ptr(u->props.content_type);
	o->storage_class = take_ptr(u->props.storage_class);
	o->tags = take_ptr(u->props.tags);
	o->acl = take_ptr(u->props.acl);
	o->meta = u->props.meta;
	o->kept = u->props.kept;
	u->props.meta = (struct kvs)KVS_INIT;
	u->props.kept = (struct kvs)KVS_INIT;
	return o;
}

static int complete_locked(struct call *c, const char *id,
			   const struct oss_part *parts, size_t count,
			   bool forbid, const struct oss_callback *cb,
			   struct oss_put_result *out)
{
	struct fake_upload *u = find_upload(c->f, c->key, id);
	const struct fake_object *o;
	uint64_t size;
	int rc;

	if (!u)
		return no_such_upload(c);
	if (forbidden_locked(c, forbid))
		return fake_call_error(c, -EEXIST, 409, "FileAlreadyExists");
	rc = check_parts(c, u, parts, count, &size);
	if (rc < 0)
		return rc;
	o = join_locked(c, u, parts, count, size);
	fake_upload_drop(c->f, (size_t)(u - c->f->uploads));
	result_of(o, out);
	callback_locked(c, cb, o, out);
	return 0;
}

static int fake_complete(void *self, const char *key, const char *upload_id,
			 const struct oss_part *parts, size_t count,
			 bool forbid_overwrite, const struct oss_callback *cb,
			 const struct oss_ctl *ctl, struct oss_put_result *out)
{
	struct fake_store *f = self;
	struct call c;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = begin(&c, f, FAKE_COMPLETE, key, ctl, &out->reply);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	rc = complete_locked(&c, upload_id, parts, count, forbid_overwrite, cb,
			     out);
	lock_release(&f->lock);
	return rc < 0 ? rc : end_put(&c, out);
}

static int fake_abort(void *self, const char *key, const char *upload_id,
		      const struct oss_ctl *ctl, struct oss_reply *reply)
{
	struct fake_store *f = self;
	struct fake_upload *u;
	struct oss_reply spare;
	struct call c;
	int rc;

	rc = begin(&c, f, FAKE_ABORT, key, ctl, reply ? reply : &spare);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	u = find_upload(f, key, upload_id);
	if (u)
		fake_upload_drop(f, (size_t)(u - f->uploads));
	lock_release(&f->lock);
	c.reply->http = u ? 204 : 404;
	return fake_call_end(&c);
}

static int fake_list_parts(void *self, const char *key, const char *upload_id,
			   const struct oss_ctl *ctl, struct oss_part **parts,
			   size_t *count, struct oss_reply *reply)
{
	struct fake_store *f = self;
	struct oss_part *list = NULL;
	struct fake_upload *u;
	struct oss_reply spare;
	size_t n = 0;
	struct call c;
	int rc;

	rc = begin(&c, f, FAKE_LIST_PARTS, key, ctl, reply ? reply : &spare);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	u = find_upload(f, key, upload_id);
	if (u) {
		list = fake_alloc(u->count * sizeof(*list));
		for (n = 0; n < u->count; n++)
			describe_part(&u->parts[n], &list[n]);
	}
	lock_release(&f->lock);
	rc = u ? fake_call_end(&c) : no_such_upload(&c);
	if (rc < 0) {
		free(list);
		return rc;
	}
	*parts = list;
	*count = n;
	return 0;
}

static int fake_list_uploads(void *self, const char *prefix,
			     const struct oss_ctl *ctl,
			     struct oss_upload **uploads, size_t *count,
			     struct oss_reply *reply)
{
	struct fake_store *f = self;
	struct oss_upload *list;
	struct oss_reply spare;
	size_t n = 0;
	struct call c;
	int rc;

	prefix = prefix ? prefix : "";
	rc = fake_call_begin(&c, f, FAKE_LIST_UPLOADS, prefix, ctl,
			     reply ? reply : &spare);
	if (rc < 0)
		return rc;
	lock_acquire(&f->lock);
	list = fake_alloc(f->upload_count * sizeof(*list));
	for (size_t i = 0; i < f->upload_count; i++) {
		const struct fake_upload *u = &f->uploads[i];

		if (strncmp(u->key, prefix, strlen(prefix)) != 0)
			continue;
		list[n++] = (struct oss_upload){
			fake_dup(u->key), fake_dup(u->id), u->initiated_ms};
	}
	lock_release(&f->lock);
	rc = fake_call_end(&c);
	if (rc < 0) {
		oss_uploads_free(list, n);
		return rc;
	}
	*uploads = list;
	*count = n;
	return 0;
}

const struct store_ops fake_store_ops = {
	.put = fake_put,
	.get = fake_get,
	.head = fake_head,
	.remove = fake_remove,
	.remove_many = fake_remove_many,
	.copy = fake_copy,
	.list = fake_list,
	.initiate = fake_initiate,
	.upload_part = fake_upload_part,
	.upload_part_copy = fake_upload_part_copy,
	.complete = fake_complete,
	.abort = fake_abort,
	.list_parts = fake_list_parts,
	.list_uploads = fake_list_uploads,
	.get_tags = fake_get_tags,
	.get_acl = fake_get_acl,
};
