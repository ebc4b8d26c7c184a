/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of ListObjectsV2.  Line by line: the prefix that was asked for, its
 * token, then the document; one that does not begin with '<' is a list of
 * entries, from which the document is made: "KIND KEY SIZE ETAG TIME" each.
 *
 * Promises: what is refused leaves the page empty; every key of an accepted
 * one has the prefix, and they are in order; the next token is another one.
 */
#include <stdio.h>

#include "fuzz.h"
#include "oss/answers.h"
#include "util/base.h"
#include "util/buf.h"

static void check(const char *xml, size_t len, const struct oss_list *asked)
{
	struct oss_list_page page = {.count = 0};
	size_t prefix = strlen(asked->prefix);

	if (answer_list(xml, len, asked, &page) < 0) {
		PROMISE(!page.entries && page.count == 0 && !page.next_token);
		return;
	}
	for (size_t i = 0; i < page.count; i++) {
		const struct oss_list_entry *e = &page.entries[i];

		PROMISE(e->key != NULL);
		PROMISE(strncmp(e->key, asked->prefix, prefix) == 0);
		PROMISE(i == 0 || strcmp(e[-1].key, e->key) <= 0);
		PROMISE(memchr(e->etag, 0, sizeof(e->etag)));
		PROMISE(memchr(e->type, 0, sizeof(e->type)));
		PROMISE(memchr(e->storage_class, 0, sizeof(e->storage_class)));
	}
	PROMISE(!page.next_token || !asked->token ||
		strcmp(page.next_token, asked->token) != 0);
	oss_list_page_release(&page);
}

static void element(struct buf *b, const char *name, char **rest)
{
	const char *text = *rest ? strsep(rest, " ") : NULL;

	if (text)
		buf_addf(b, "<%s>%s</%s>", name, text, name);
}

/* T token, U (keys are encoded), P prefix; anything else is an object. */
static void entry(struct buf *b, char *line)
{
	char *rest = line;
	const char *kind = strsep(&rest, " ");

	switch (kind[0]) {
	case 'T':
		buf_adds(b, "<IsTruncated>true</IsTruncated>");
		element(b, "NextContinuationToken", &rest);
		return;
	case 'U':
		buf_adds(b, "<EncodingType>url</EncodingType>");
		return;
	case 'P':
		buf_adds(b, "<CommonPrefixes>");
		element(b, "Prefix", &rest);
		buf_adds(b, "</CommonPrefixes>");
		return;
	}
	buf_adds(b, "<Contents>");
	element(b, "Key", &rest);
	element(b, "Size", &rest);
	element(b, "ETag", &rest);
	element(b, "LastModified", &rest);
	element(b, "StorageClass", &rest);
	buf_adds(b, "</Contents>");
}

static void make_document(char *lines, struct buf *b)
{
	buf_adds(b, "<ListBucketResult>");
	while (lines)
		entry(b, strsep(&lines, "\n"));
	buf_adds(b, "</ListBucketResult>");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO(buf_release) struct buf made = BUF_INIT;
	char *text = fuzz_text(data, size), *rest = text;
	struct oss_list asked = {.prefix = strsep(&rest, "\n")};

	asked.token = rest ? strsep(&rest, "\n") : NULL;
	if (rest && rest[0] == '<') {
		check(rest, size - (size_t)(rest - text), &asked);
	} else if (rest) {
		make_document(rest, &made);
		check(buf_str(&made), made.len, &asked);
	}
	free(text);
	return 0;
}
