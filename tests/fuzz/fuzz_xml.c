/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OSS's answers in XML, but pages of objects (fuzz_pages): each parser gets
 * every document.
 *
 * Promises: what is refused leaves the outputs as they were; what is accepted
 * is whole.
 */
#include "fuzz.h"
#include "oss/answers.h"
#include "util/base.h"

static void count(void *arg, const char *key)
{
	PROMISE(key != NULL);
	++*(size_t *)arg;
}

static void check_parts(const char *xml, size_t len)
{
	struct oss_part *parts = NULL;
	size_t n = 0;
	int marker = 0;

	(void)answer_parts(xml, len, &parts, &n, &marker);
	PROMISE(n == 0 || parts != NULL);
	free(parts);
}

static void check_uploads(const char *xml, size_t len)
{
	struct oss_upload *uploads = NULL;
	AUTO_FREE char *key = NULL;
	AUTO_FREE char *id = NULL;
	size_t n = 0;

	(void)answer_uploads(xml, len, &uploads, &n, &key, &id);
	for (size_t i = 0; i < n; i++) {
		PROMISE(uploads[i].key && uploads[i].upload_id);
		free(uploads[i].key);
		free(uploads[i].upload_id);
	}
	free(uploads);
}

static void check_small(const char *xml, size_t len)
{
	struct oss_reply reply = {.http = 400};
	AUTO_FREE char *id = NULL;
	AUTO_FREE char *tags = NULL;
	AUTO_FREE char *word = NULL;
	char etag[72] = "";
	int64_t ms = 0;
	size_t deleted = 0;

	(void)answer_error(xml, len, &reply);
	PROMISE(memchr(reply.code, 0, sizeof(reply.code)));
	PROMISE(memchr(reply.message, 0, sizeof(reply.message)));
	if (answer_copy(xml, len, etag, &ms) < 0)
		PROMISE(etag[0] == '\0' && ms == 0);
	PROMISE((answer_initiate(xml, len, &id) == 0) == (id != NULL));
	PROMISE((answer_tagging(xml, len, &tags) == 0) == (tags != NULL));
	PROMISE((answer_word(xml, len, "Error", "Code", &word) == 0) ==
		(word != NULL));
	if (answer_deleted(xml, len, count, &deleted) < 0)
		PROMISE(deleted <= len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *xml = fuzz_text(data, size);

	check_parts(xml, size);
	check_uploads(xml, size);
	check_small(xml, size);
	free(xml);
	return 0;
}
