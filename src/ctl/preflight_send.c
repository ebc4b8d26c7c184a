/* SPDX-License-Identifier: Apache-2.0 */
/* Preflight: real callbacks, and their answers in plain words. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "callback/outcome.h"
#include "ctl/advice.h"
#include "ctl/out.h"
#include "ctl/preflight.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/uuid.h"

/* One callback to send. */
struct shot {
	struct preflight *p;
	const struct store_ops *ops;
	void *self;
	char *key, *src;
	struct callback callback;
	struct oss_callback headers;
	struct oss_ctl ctl;
	struct oss_put_result out;
	int64_t elapsed_ms; /* of the request that carries it */
};

static void shot_release(struct shot *s)
{
	free(s->key);
	free(s->src);
	callback_release(&s->callback);
	oss_put_result_release(&s->out);
}

/* -- the three ways ------------------------------------------------------------------- */

static int send_put(struct shot *s)
{
	return s->ops->put(s->self, s->key, &preflight_source, &preflight_props,
			   &s->headers, &s->ctl, &s->out);
}

static int complete(struct shot *s, const char *id, const struct oss_part *part)
{
	s->ctl = client_ctl();
	s->ctl.callback_urls = s->callback.url_count;
	return s->ops->complete(s->self, s->key, id, part, 1, false,
				&s->headers, &s->ctl, &s->out);
}

static int send_multipart(struct shot *s)
{
	AUTO_FREE char *id = NULL;
	struct oss_part part = {0};
	int rc = s->ops->initiate(s->self, s->key, &preflight_props, &s->ctl,
				  &id, &s->out.reply);

	if (rc == 0)
		rc = s->ops->upload_part(s->self, s->key, id, 1,
					 &preflight_source, &s->ctl, &part,
					 &s->out.reply);
	return rc < 0 ? rc : complete(s, id, &part);
}

static int send_copy(struct shot *s)
{
	AUTO_FREE char *id = NULL;
	struct oss_part part = {0};
	int rc = s->ops->initiate(s->self, s->key, &preflight_props, &s->ctl,
				  &id, &s->out.reply);

	if (rc == 0)
		rc = s->ops->upload_part_copy(s->self, s->key, id, 1, s->src,
					      NULL, 0, 0, &s->ctl, &part,
					      &s->out.reply);
	return rc < 0 ? rc : complete(s, id, &part);
}

/* -- rendering ------------------------------------------------------------------------- */

static int render(struct shot *s)
{
	struct preflight *p = s->p;
	AUTO(kvs_release) struct kvs captures = KVS_INIT;
	AUTO_FREE char *why = NULL;
	const char *path = s->key + strlen(p->conf->oss.prefix);
	char id[UUID_LEN], user[64], host[256] = "";
	const struct rule *rule;
	struct callback_inputs in = {
		.path = path,
		.key = s->key,
		.bucket = p->conf->oss.bucket,
		.mount = "",
		.host = host,
		.size = preflight_source.size,
		.uid = getuid(),
		.gid = getgid(),
		.mode = S_IFREG | 0644,
		.pid = getpid(),
		.process = "ackctl",
		.user = user_text(user, getuid()),
		.mtime_ms = clock_real_ms(),
		.delivery_id = uuid_make(id),
		.previous_delivery_id = "",
	};
	int rc;

	if (gethostname(host, sizeof(host) - 1) < 0)
		host[0] = '\0';
	rule = rules_match(p->rules, p->path ? p->path : path, in.size,
			   &captures);
	if (!rule->enabled)
		return -ENODATA;
	rc = callback_render(rule, &captures, &in, &s->callback, &why);
	if (rc < 0)
		preflight_say(p, CHECK_FAIL, "callback", NULL, "%s",
			      why ? why : strerror(-rc));
	s->headers = (struct oss_callback){s->callback.param,
					   s->callback.param_vars};
	return rc;
}

/* -- what came of it --------------------------------------------------------------------- */

static void explain(struct shot *s, const char *what)
{
	const struct oss_reply *r = &s->out.reply;
	struct callback_outcome o;
	char text[300];

	if (callback_outcome_read(r->http, &s->out.body, s->out.body_type,
				  r->code, r->message, r->ec, r->request_id,
				  &o) < 0) {
		preflight_say(s->p, CHECK_FAIL, what, NULL, "no memory");
		return;
	}
	if (o.state == CALLBACK_OK)
		preflight_say(s->p, CHECK_OK, what, NULL,
			      "answered in %" PRId64 " ms: %s", s->elapsed_ms,
			      log_quote(text, sizeof(text), o.response));
	else
		preflight_say(
			s->p, CHECK_FAIL, what, callback_advice(o.error, o.ec),
			"stored, but not confirmed: http=%d code=%s ec=%s request_id=%s message=%s",
			o.oss_status, o.error_code ? o.error_code : "-",
			o.ec && o.ec[0] ? o.ec : "-",
			o.request_id ? o.request_id : "-",
			log_quote(text, sizeof(text), o.error));
	callback_outcome_release(&o);
}

/* OSS refused the request itself: a callback parameter, perhaps. */
static void explain_refusal(struct shot *s, const char *what, int rc)
{
	const struct oss_reply *r = &s->out.reply;
	const char *advice = callback_advice(r->message, r->ec);
	char text[768];

	preflight_say(s->p, CHECK_FAIL, what, advice ? advice : oss_advice(r),
		      "%s: %s", strerror(-rc),
		      oss_reply_describe(r, text, sizeof(text)));
}

static const struct way {
	const char *what, *name;
	int (*run)(struct shot *s);
} ways[] = {
	{"callback: put",       "put.txt",       send_put      },
	{"callback: multipart", "multipart.txt", send_multipart},
	{"callback: copy",      "recall.txt",    send_copy     },
};

/* @return whether there is a callback at all */
static bool shoot(struct preflight *p, const struct way *w)
{
	AUTO(shot_release)
	struct shot s = {.p = p,
			 .ops = p->client.store.ops,
			 .self = p->client.store.self};
	int64_t began;
	int rc;

	s.key = preflight_key(p, w->name);
	s.src = preflight_key(p, "probe.txt");
	if (!s.key || !s.src)
		return false;
	rc = render(&s);
	if (rc < 0)
		return rc != -ENODATA;
	s.ctl = client_ctl();
	s.ctl.callback_urls = s.callback.url_count;
	began = clock_mono_ms();
	rc = w->run(&s);
	s.elapsed_ms = clock_mono_ms() - began;
	if (rc < 0)
		explain_refusal(&s, w->what, rc);
	else
		explain(&s, w->what);
	return true;
}

void preflight_callbacks(struct preflight *p)
{
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		if (shoot(p, &ways[i]))
			continue;
		preflight_say(p, CHECK_WARN, "callback", NULL,
			      "the rule of %s makes none",
			      p->path ? p->path : p->prefix);
		return;
	}
}
