/* SPDX-License-Identifier: Apache-2.0 */
/* PostObject: an upload by HTML form (protocol 4.2.1, 2.8). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "emulator/auth.h"
#include "emulator/callback.h"
#include "emulator/emulator.h"
#include "emulator/form.h"
#include "emulator/keyring.h"
#include "emulator/names.h"
#include "emulator/operations.h"
#include "emulator/policy.h"
#include "emulator/put.h"
#include "emulator/sign.h"
#include "emulator/store.h"
#include "emulator/xml.h"
#include "util/codec.h"
#include "util/strnum.h"

static const char *field(const struct exchange *x, const char *name)
{
	return kvs_get(form_fields(x->form), name);
}

/* ---- signature ---- */

/* The fields of the two signatures; what is needed of one is all of it. */
static const char *const v1_fields[] = {"policy", "OSSAccessKeyId", "Signature",
					NULL};
static const char *const v4_fields[] = {
	"policy",     "x-oss-signature-version", "x-oss-credential",
	"x-oss-date", "x-oss-signature",         NULL};

/* And what the policy of a form of version 4 has to repeat (protocol 2.8). */
static const char *const v4_named[] = {"bucket", "x-oss-signature-version",
				       "x-oss-credential", "x-oss-date", NULL};

static bool is_v4(const struct exchange *x)
{
	return field(x, "x-oss-signature-version") ||
	       field(x, "x-oss-credential") || field(x, "x-oss-signature");
}

static int compare(struct exchange *x, const struct buf *ours, const char *sent)
{
	x->auth = AUTH_FORM;
	return sign_equal(buf_str(ours), sent)
		       ? 0
		       : fail_with(x, OE_SIGNATURE_MISMATCH,
				   "SignatureProvided", sent);
}

static int find_key(struct exchange *x, const char *id, struct credential *out)
{
	int rc = keyring_find(x->em->keys, id, out);

	if (rc == -ENOENT)
		return fail_with(x, OE_INVALID_ACCESS_KEY_ID, "OSSAccessKeyId",
				 id);
	if (rc < 0)
		return fail_errno(x, rc);
	return auth_check_token(x, out, field(x, "x-oss-security-token"));
}

static int check_v1(struct exchange *x)
{
	AUTO(credential_release) struct credential key = {0};
	AUTO(buf_release) struct buf ours = BUF_INIT;
	int rc = find_key(x, field(x, "OSSAccessKeyId"), &key);

	if (rc)
		return rc;
	if (sign_v1(key.secret, field(x, "policy"), &ours) < 0)
		return fail(x, OE_INTERNAL);
	return compare(x, &ours, field(x, "Signature"));
}

static int check_v4(struct exchange *x)
{
	AUTO(credential_release) struct credential key = {0};
	AUTO(buf_release) struct buf ours = BUF_INIT;
	const char *version = field(x, "x-oss-signature-version");
	struct v4_credential c;
	struct sign_scope scope = {c.date, c.region, c.product};
	int rc;

	if (strcmp(version, "OSS4-HMAC-SHA256") != 0 ||
	    v4_credential_parse(field(x, "x-oss-credential"), &c) < 0)
		return fail(x, OE_AUTH_HEADER);
	rc = auth_check_scope(x, &c, field(x, "x-oss-date"));
	if (!rc)
		rc = find_key(x, c.id, &key);
	if (rc)
		return rc;
	if (sign_v4(x->em->sign_memo, key.secret, &scope, field(x, "policy"),
		    &ours) < 0)
		return fail(x, OE_INTERNAL);
	return compare(x, &ours, field(x, "x-oss-signature"));
}

static int anonymous_form(struct exchange *x)
{
	struct bucket_info info;
	int rc = store_bucket_info(x->em->store, x->req.bucket, &info);

	if (rc < 0)
		return fail_errno(x, rc);
	if (x->em->opt->anonymous || strcmp(info.acl, "public-read-write") == 0)
		return 0;
	return fail(x, OE_ANONYMOUS_OBJECT);
}

static int check_form_auth(struct exchange *x)
{
	const char *const *needed = is_v4(x) ? v4_fields : v1_fields;
	bool is_anonymous = !is_v4(x) && !field(x, "policy") &&
			    !field(x, "OSSAccessKeyId") &&
			    !field(x, "Signature");

	if (is_anonymous)
		return anonymous_form(x);
	for (; *needed; needed++)
		if (!field(x, *needed))
			return fail_argument(x, OE_INVALID_ARGUMENT,
					     "Missing Some Required Arguments.",
					     *needed, "");
	return is_v4(x) ? check_v4(x) : check_v1(x);
}

/* ---- policy ---- */

static int fail_policy(struct exchange *x, const char *what, const char *why)
{
	struct oss_err_info e = *oss_err_info(OE_ACCESS_DENIED);
	AUTO_FREE char *message = str_printf(
		"Invalid according to Policy: %s%s", what, why ? why : "");

	if (message)
		e.message = message;
	return fail_custom(x, &e, NULL);
}

static int check_policy(struct exchange *x, struct policy_range *range)
{
	static const char *const none[] = {NULL};
	const char *policy = field(x, "policy");
	AUTO_FREE char *why = NULL;

	*range = (struct policy_range){0, UINT64_MAX};
	if (!policy)
		return 0;
	switch (policy_check(policy, x->req.bucket, form_fields(x->form),
			     is_v4(x) ? v4_named : none, x->now_ms, range,
			     &why)) {
	case 0:
		return 0;
	case -ETIME:
		return fail_policy(x, "Policy expired.", NULL);
	case -EACCES:
		return fail_policy(x, "Policy Condition failed: ", why);
	default:
		return fail(x, OE_POLICY_DOCUMENT);
	}
}

static int check_length_range(struct exchange *x)
{
	struct policy_range range;
	uint64_t size = x->sink.blob.size;
	int rc = check_policy(x, &range);

	if (rc)
		return rc;
	if (size > range.max)
		return fail(x, OE_ENTITY_TOO_LARGE);
	return size < range.min ? fail(x, OE_ENTITY_TOO_SMALL) : 0;
}

/* ---- fields become what PutObject has as headers ---- */

static int take_key(struct exchange *x, const char *filename)
{
	const char *key = field(x, "key");
	const char *mark = key ? strstr(key, "${filename}") : NULL;
	enum oss_err err;

	if (!key)
		return fail_argument(x, OE_INVALID_ARGUMENT,
				     "Bucket POST must contain a field named "
				     "'key'.",
				     "key", "");
	free(x->req.key);
	x->req.key = mark ? str_printf("%.*s%s%s", (int)(mark - key), key,
				       filename, mark + 11)
			  : str_dup(key);
	if (!x->req.key)
		return fail(x, OE_INTERNAL);
	err = key_check(x->req.key);
	return err ? fail(x, err) : 0;
}

static bool is_property(const char *name)
{
	static const char *const names[] = {
		"Cache-Control",
		"Content-Disposition",
		"Content-Encoding",
		"Expires",
		"Content-Type",
		"Content-MD5",
		"x-oss-object-acl",
		"x-oss-storage-class",
		"x-oss-forbid-overwrite",
		"x-oss-server-side-encryption",
		"x-oss-server-side-encryption-key-id",
	};

	if (strncasecmp(name, "x-oss-meta-", 11) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcasecmp(names[i], name) == 0)
			return true;
	return false;
}

/* The request's own headers say nothing about the object: fields do. */
static void drop_headers(struct exchange *x)
{
	struct kvs *l = &x->req.headers;
	size_t i = 0;

	while (i < l->count) {
		const char *name = l->items[i].name;

		if (is_property(name) || strncasecmp(name, "x-oss-", 6) == 0) {
			kvs_remove(l, name); /* the first of that name */
			i = 0;
		} else {
			i++;
		}
	}
}

/* Of the three content types the field x-oss-content-type counts most, then
 * the file's own. */
static int take_properties(struct exchange *x, const char *type)
{
	const struct kvs *fields = form_fields(x->form);
	const char *own = field(x, "x-oss-content-type");
	const char *tagging = field(x, "x-oss-tagging");
	int rc = 0;

	if (tagging)
		return fail_argument(x, OE_INVALID_ARGUMENT, NULL,
				     "x-oss-tagging", tagging);
	drop_headers(x);
	for (size_t i = 0; !rc && i < fields->count; i++)
		if (is_property(fields->items[i].name))
			rc = kvs_set(&x->req.headers, fields->items[i].name,
				     fields->items[i].value);
	if (!rc && (own || type))
		rc = kvs_set(&x->req.headers, "Content-Type", own ? own : type);
	return rc < 0 ? fail_errno(x, rc) : 0;
}

static int take_callback(struct exchange *x)
{
	const char *callback = field(x, "callback");
	const struct kvs *fields = form_fields(x->form);
	AUTO(kvs_release) struct kvs vars = KVS_INIT;
	int rc = 0;

	if (!callback)
		return 0;
	for (size_t i = 0; !rc && i < fields->count; i++)
		if (strncmp(fields->items[i].name, "x:", 2) == 0)
			rc = kvs_add(&vars, fields->items[i].name,
				     fields->items[i].value);
	return rc < 0 ? fail_errno(x, rc)
		      : callback_read_form(x, callback, &vars);
}

/* ---- the form's events ---- */

static int on_file(void *arg, const char *filename, const char *type)
{
	struct exchange *x = arg;
	struct policy_range range;
	int rc = take_key(x, filename);

	if (!rc)
		rc = check_form_auth(x);
	if (!rc)
		rc = check_policy(x, &range);
	if (!rc)
		rc = take_properties(x, type);
	if (!rc)
		rc = take_callback(x);
	if (!rc)
		rc = check_forbid_overwrite(x);
	return rc < 0 ? rc : sink_to_blob(x, true);
}

static int on_data(void *arg, const void *data, size_t len)
{
	struct exchange *x = arg;

	if (x->sink.blob.size + len > OBJECT_PUT_MAX)
		return -EFBIG;
	return blob_writer_add(&x->sink.blob, data, len);
}

static const struct form_events events = {on_file, on_data};

/* ---- the operation ---- */

int post_object_begin(struct exchange *x)
{
	int rc = check_upload_length(x);

	if (!rc)
		rc = check_bucket(x);
	if (rc)
		return rc;
	rc = form_new(kvs_get(&x->req.headers, "Content-Type"), &events, x,
		      &x->form);
	if (rc == -EINVAL)
		return fail(x, OE_NOT_MULTIPART);
	return rc < 0 ? fail_errno(x, rc) : 0;
}

void post_object_body(struct exchange *x, const void *data, size_t len)
{
	int rc = form_feed(x->form, data, len);

	if (rc == -EINVAL)
		fail(x, OE_MALFORMED_POST);
	else if (rc == -EMSGSIZE)
		fail(x, OE_FIELD_TOO_LONG);
	else if (rc < 0 && rc != DECIDED)
		x->sink.err = rc;
}

static unsigned action_status(const struct exchange *x)
{
	const char *text = field(x, "success_action_status");

	if (text && strcmp(text, "200") == 0)
		return 200;
	return text && strcmp(text, "201") == 0 ? 201 : 204;
}

static void reply_form(struct exchange *x, const struct object *o)
{
	const char *redirect = field(x, "success_action_redirect");
	const char *host = kvs_get(&x->req.headers, "Host");
	unsigned status = action_status(x);
	char etag[ETAG_MAX + 4];
	struct buf *b;

	if (redirect && *redirect) {
		reply_status(x, 303);
		reply_header(x, "Location", redirect);
	} else if (status == 201) {
		b = reply_xml(x, "PostResponse");
		xml_elem(b, "Bucket", x->req.bucket);
		xml_open(b, "Location");
		buf_addf(b, "http://%s/", host ? host : "");
		percent_encode(b, o->key, strlen(o->key), PERCENT_PATH);
		xml_close(b, "Location");
		xml_elem(b, "Key", o->key);
		xml_elem(b, "ETag", quoted_etag(x, o->etag, etag));
		xml_close(b, "PostResponse");
		reply_status(x, 201);
	} else {
		reply_status(x, (int)status);
	}
}

/* After a callback its answer is the form's, unless that is switched. */
static bool actions_count(struct exchange *x)
{
	if (!x->callback)
		return true;
	if (!x->em->opt->quirks.form_actions_count || x->reply.status != 200)
		return false;
	kvs_remove(&x->reply.headers, "Content-Type");
	buf_reset(&x->reply.body);
	return true;
}

int post_object_finish(struct exchange *x)
{
	AUTO(object_putp) struct object *o = NULL;
	struct upload_body u;
	int rc;

	if (!form_has_file(x->form))
		return fail(x, OE_POST_FILES);
	if (!form_is_complete(x->form))
		return fail(x, OE_MALFORMED_POST);
	rc = check_length_range(x);
	if (!rc)
		rc = new_object(x, &o);
	if (!rc)
		rc = take_upload(x, &u);
	if (!rc)
		rc = store_upload(x, o, &u);
	if (!rc)
		rc = reply_upload(x, o);
	if (!rc && actions_count(x))
		reply_form(x, o);
	return rc;
}
