/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Glob lists: the first line is the list, the second the path.
 *
 * Promises: no pattern is slow; a path matches itself, escaped; what is
 * captured is not empty, and its names are those that capture_names() tells.
 */
#include "callback/capture.h"
#include "callback/temporary.h"
#include "fuzz.h"
#include "util/glob.h"

static void check_self(const char *path)
{
	AUTO(buf_release) struct buf b = BUF_INIT;

	for (const char *p = path; *p; p++) {
		if (*p != '/')
			buf_addc(&b, '\\');
		buf_addc(&b, *p);
	}
	/* a pattern may begin, and none may end, with a '/' */
	if (b.len > 0 && path[0] != '/' && path[strlen(path) - 1] != '/')
		PROMISE(glob_match(buf_str(&b), path, NULL));
}

static void check_list(const char *list, const char *path)
{
	AUTO(kvs_release) struct kvs names = KVS_INIT;
	AUTO(kvs_release) struct kvs got = KVS_INIT;
	AUTO(buf_release) struct buf why = BUF_INIT;
	const char *wrong = NULL;
	bool matches;

	if (glob_list_check(list, &wrong) < 0) {
		PROMISE(wrong && wrong[0]);
		return;
	}
	matches = glob_list_match(list, path, &got);
	PROMISE(matches == glob_list_match(list, path, NULL));
	PROMISE(matches || got.count == 0);
	if (capture_names(list, &names, &why) < 0) {
		PROMISE(why.len > 0);
		return;
	}
	for (size_t i = 0; i < got.count; i++) {
		PROMISE(got.items[i].value[0]);
		PROMISE(kvs_get(&names, got.items[i].name));
	}
}

static void check_temporary(const char *text, const char *path)
{
	AUTO(buf_release) struct buf why = BUF_INIT;
	AUTO_FREE char *globs = NULL;
	const char *wrong = NULL;

	if (temporary_parse(text, &globs, &why) < 0) {
		PROMISE(why.len > 0);
		return;
	}
	PROMISE(glob_list_check(globs, &wrong) == 0);
	(void)glob_list_match(globs, path, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *list, *path;

	if (size > 4096)
		return 0;
	list = fuzz_text(data, size);
	path = strchr(list, '\n');
	if (path)
		*path++ = '\0';
	else
		path = list + strlen(list);
	check_self(path);
	check_list(list, path);
	check_temporary(list, path);
	free(list);
	return 0;
}
