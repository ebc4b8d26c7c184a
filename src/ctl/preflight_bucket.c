/* SPDX-License-Identifier: Apache-2.0 */
/* Preflight: the bucket, and what the access key may do there. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/advice.h"
#include "ctl/out.h"
#include "ctl/preflight.h"
#include "util/buf.h"
#include "util/clock.h"

/* OSS refuses more than 15 minutes. */
#define SKEW_WARN_MS INT64_C(60000)
#define SKEW_FAIL_MS INT64_C(840000)

enum { PROBE_MS = 10000 };

/* -- reaching it ------------------------------------------------------------------- */

static void check_clock(struct preflight *p, const struct oss_reply *r)
{
	static const char advice[] =
		"Set this machine's clock (chrony, systemd-timesyncd): OSS refuses more than 15 minutes.";
	char text[24];
	int64_t skew, size;

	if (!r->server_ms)
		return;
	skew = clock_real_ms() - r->server_ms;
	size = skew < 0 ? -skew : skew;
	duration_text(text, size);
	if (size > SKEW_FAIL_MS)
		preflight_say(p, CHECK_FAIL, "clock", advice, "%s %s", text,
			      skew < 0 ? "behind OSS's" : "ahead of OSS's");
	else if (size > SKEW_WARN_MS)
		preflight_say(p, CHECK_WARN, "clock", advice, "%s %s", text,
			      skew < 0 ? "behind OSS's" : "ahead of OSS's");
	else
		preflight_say(p, CHECK_OK, "clock", NULL,
			      "within a minute of OSS's");
}

static void check_versioning(struct preflight *p)
{
	bool on = false;
	int rc = oss_client_versioning(p->client.oss, &on);

	if (rc < 0)
		preflight_say(
			p, CHECK_NOTE, "versioning", NULL,
			"not known: oss:GetBucketInfo is not allowed, nor needed");
	else if (on)
		preflight_say(
			p, CHECK_WARN, "versioning",
			"Expect old versions of overwritten files to be kept, and paid for.",
			"on: OSS ignores x-oss-forbid-overwrite, so O_EXCL guards against writers of this mount alone");
	else
		preflight_say(p, CHECK_OK, "versioning", NULL, "off");
}

bool preflight_reach(struct preflight *p)
{
	struct oss_reply r = {0};
	int64_t began = clock_mono_ms();
	int rc = oss_client_probe(p->client.oss, PROBE_MS, &r);

	check_clock(p, &r);
	if (rc < 0) {
		preflight_failed(p, "list", &r, rc);
		return false;
	}
	preflight_say(p, CHECK_OK, "list", NULL, "bucket %s, %" PRId64 " ms",
		      p->conf->oss.bucket, clock_mono_ms() - began);
	check_versioning(p);
	return true;
}

/* -- permissions --------------------------------------------------------------------- */

struct probe {
	struct preflight *p;
	const struct store_ops *ops;
	void *self;
	char *key, *copy;
	struct oss_ctl ctl;
	struct oss_reply reply;
	struct buf got;
};

static int try_put(struct probe *t)
{
	struct oss_put_result out = {0};
	int rc = t->ops->put(t->self, t->key, &preflight_source,
			     &preflight_props, NULL, &t->ctl, &out);

	t->reply = out.reply;
	oss_put_result_release(&out);
	return rc;
}

static int try_head(struct probe *t)
{
	struct oss_object o = {0};
	int rc = t->ops->head(t->self, t->key, &t->ctl, &o, &t->reply);

	oss_object_release(&o);
	return rc;
}

static int keep(void *arg, const void *data, size_t len)
{
	struct probe *t = arg;

	buf_add(&t->got, data, len);
	return buf_error(&t->got);
}

static int try_get(struct probe *t)
{
	const struct oss_sink sink = {keep, t};
	int rc = t->ops->get(t->self, t->key, 0, 0, NULL, &sink, &t->ctl, NULL,
			     &t->reply);

	if (rc == 0 && strcmp(buf_str(&t->got), preflight_content) != 0) {
		snprintf(t->reply.code, sizeof(t->reply.code), "CrcMismatch");
		rc = -EIO;
	}
	return rc;
}

static int try_copy(struct probe *t)
{
	const struct oss_copy c = {.src_key = t->key, .dst_key = t->copy};
	struct oss_put_result out = {0};
	int rc = t->ops->copy(t->self, &c, &t->ctl, &out);

	t->reply = out.reply;
	oss_put_result_release(&out);
	return rc;
}

static int try_list(struct probe *t)
{
	const struct oss_list l = {.prefix = t->p->prefix};
	struct oss_list_page page = {0};
	int rc = t->ops->list(t->self, &l, &t->ctl, &page);

	t->reply = page.reply;
	if (rc == 0 && page.count == 0)
		rc = -ENOENT;
	oss_list_page_release(&page);
	return rc;
}

static int try_multipart(struct probe *t)
{
	AUTO_FREE char *id = NULL;
	struct oss_part part = {0};
	int rc = t->ops->initiate(t->self, t->copy, &preflight_props, &t->ctl,
				  &id, &t->reply);

	if (rc < 0)
		return rc;
	rc = t->ops->upload_part(t->self, t->copy, id, 1, &preflight_source,
				 &t->ctl, &part, &t->reply);
	if (rc == 0)
		rc = t->ops->abort(t->self, t->copy, id, &t->ctl, &t->reply);
	return rc;
}

static int try_remove(struct probe *t)
{
	return t->ops->remove(t->self, t->copy, &t->ctl, &t->reply);
}

static const struct attempt {
	const char *what, *need;
	int (*run)(struct probe *t);
} attempts[] = {
	{"write",     "oss:PutObject",                           try_put      },
	{"look",      "oss:GetObject (HEAD)",                    try_head     },
	{"read",      "oss:GetObject",                           try_get      },
	{"copy",      "chmod, rename, callbacks again",          try_copy     },
	{"find",      "oss:ListObjects",                         try_list     },
	{"multipart", "oss:PutObject, oss:AbortMultipartUpload", try_multipart},
	{"remove",    "oss:DeleteObject",                        try_remove   },
};

static bool make_attempt(struct probe *t, const struct attempt *a)
{
	int rc;

	t->ctl = client_ctl();
	memset(&t->reply, 0, sizeof(t->reply));
	rc = a->run(t);
	if (rc < 0)
		preflight_failed(t->p, a->what, &t->reply, rc);
	else
		preflight_say(t->p, CHECK_OK, a->what, NULL, "%s", a->need);
	return rc == 0;
}

bool preflight_permissions(struct preflight *p)
{
	AUTO_FREE char *key = preflight_key(p, "probe.txt");
	AUTO_FREE char *copy = preflight_key(p, "copy.txt");
	struct probe t = {.p = p,
			  .ops = p->client.store.ops,
			  .self = p->client.store.self,
			  .key = key,
			  .copy = copy};

	if (!key || !copy) {
		preflight_say(p, CHECK_FAIL, "probe", NULL, "no memory");
		return false;
	}
	if (!make_attempt(&t, &attempts[0]))
		return false;
	for (size_t i = 1; i < ARRAY_LEN(attempts); i++)
		make_attempt(&t, &attempts[i]);
	buf_release(&t.got);
	return true;
}

void preflight_clean(struct preflight *p)
{
	static const char *const names[] = {"probe.txt", "copy.txt", "put.txt",
					    "multipart.txt", "recall.txt"};
	struct oss_reply r = {0};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(names); i++) {
		AUTO_FREE char *key = preflight_key(p, names[i]);
		const struct oss_ctl ctl = client_ctl();

		rc = key ? p->client.store.ops->remove(p->client.store.self,
						       key, &ctl, &r)
			 : -ENOMEM;
	}
	if (rc < 0)
		preflight_say(p, CHECK_WARN, "clean up", oss_advice(&r),
			      "something is left below %s", p->prefix);
	else
		preflight_say(p, CHECK_OK, "clean up", NULL,
			      "the probe is removed");
}
