/* SPDX-License-Identifier: Apache-2.0 */
#include "oss/client.h"

#include <errno.h>
#include <string.h>

#include "oss/answers.h"
#include "oss/call.h"
#include "oss/signer.h"
#include "util/clock.h"
#include "util/version.h"

static const struct store_ops client_ops = {
	.put = oss_put,
	.get = oss_get,
	.head = oss_head,
	.remove = oss_remove,
	.remove_many = oss_remove_many,
	.copy = oss_copy_object,
	.list = oss_list_objects,
	.initiate = oss_initiate,
	.upload_part = oss_upload_part,
	.upload_part_copy = oss_upload_part_copy,
	.complete = oss_complete,
	.abort = oss_abort,
	.list_parts = oss_list_parts,
	.list_uploads = oss_list_uploads,
	.get_tags = oss_get_tags,
	.get_acl = oss_get_acl,
};

static int open_pool(struct oss_client *c, const struct oss_conf *conf)
{
	AUTO_FREE char *agent = str_printf("ackfs/%s", ackfs_version);
	struct http_pool_conf pool = {.ca_file = conf->ca_file,
				      .proxy = conf->proxy,
				      .user_agent = agent,
				      .connect_timeout_ms =
					      conf->connect_timeout_ms,
				      .max_connections = conf->max_connections};

	return agent ? http_pool_new(&pool, &c->pool) : -ENOMEM;
}

int oss_client_new(const struct oss_conf *conf, struct credentials *creds,
		   struct oss_client **out, char **why)
{
	struct oss_client *c = calloc(1, sizeof(*c));
	int rc;

	*why = NULL;
	if (!c)
		return -ENOMEM;
	c->signature = conf->signature;
	c->creds = creds;
	c->request_timeout_ms = conf->request_timeout_ms;
	rc = endpoint_open(&c->endpoint, conf, why);
	if (rc == 0)
		rc = signer_new(&c->signer);
	if (rc == 0)
		rc = open_pool(c, conf);
	if (rc < 0) {
		oss_client_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void oss_client_free(struct oss_client *c)
{
	if (!c)
		return;
	http_pool_free(c->pool);
	signer_free(c->signer);
	endpoint_close(&c->endpoint);
	free(c);
}

struct store oss_client_store(struct oss_client *c)
{
	return (struct store){.ops = &client_ops, .self = c};
}

int oss_client_probe(struct oss_client *c, int64_t timeout_ms,
		     struct oss_reply *reply)
{
	struct oss_ctl ctl = {.deadline_ms = clock_mono_ms() + timeout_ms};
	struct oss_list l = {.max_keys = 1};
	struct oss_list_page page = {0};
	int rc = oss_list_objects(c, &l, &ctl, &page);

	if (reply)
		*reply = page.reply;
	oss_list_page_release(&page);
	return rc;
}

static int accept_versioning(void *arg, const struct http_response *r,
			     struct oss_reply *reply)
{
	AUTO_FREE char *word = NULL;
	int rc = answer_word(r->body.data, r->body.len, "BucketInfo",
			     "Versioning", &word);

	(void)reply;
	if (rc == -ENOENT) /* never switched on */
		rc = 0;
	if (rc == 0)
		*(bool *)arg = word && strcmp(word, "Enabled") == 0;
	return rc;
}

int oss_client_versioning(struct oss_client *c, bool *on)
{
	bool enabled = false;
	struct oss_call call = {.name = "GetBucketInfo",
				.method = "GET",
				.accept = accept_versioning,
				.arg = &enabled};
	int rc = kvs_add(&call.query, "bucketInfo", "");

	if (rc == 0)
		rc = oss_call_do(c, &call, NULL, NULL);
	oss_call_release(&call);
	if (rc == 0)
		*on = enabled;
	return rc;
}

uint64_t oss_client_requests(const struct oss_client *c)
{
	return http_pool_requests(c->pool);
}
