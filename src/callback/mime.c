/* SPDX-License-Identifier: Apache-2.0 */
#include "callback/mime.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <uthash.h>

#include "util/base.h"
#include "util/buf.h"
#include "util/fileio.h"

#define FILE_MAX ((size_t)4 << 20)
#define EXT_MAX 32
#define UNKNOWN "application/octet-stream"

struct entry {
	char *ext; /* lower case */
	char *type;
	UT_hash_handle hh;
};

struct mime {
	struct entry *by_ext;
};

/* What a machine without /etc/mime.types (a container) needs most; the file
 * goes first. */
/* clang-format off */
static const struct {
	const char *ext, *type;
} builtin[] = {
	{"7z", "application/x-7z-compressed"},
	{"aac", "audio/aac"},
	{"apk", "application/vnd.android.package-archive"},
	{"avi", "video/x-msvideo"},
	{"avif", "image/avif"},
	{"bmp", "image/bmp"},
	{"bz2", "application/x-bzip2"},
	{"css", "text/css"},
	{"csv", "text/csv"},
	{"dcm", "application/dicom"},
	{"deb", "application/vnd.debian.binary-package"},
	{"doc", "application/msword"},
	{"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
	{"epub", "application/epub+zip"},
	{"eps", "application/postscript"},
	{"flac", "audio/flac"},
	{"flv", "video/x-flv"},
	{"gif", "image/gif"},
	{"gz", "application/gzip"},
	{"heic", "image/heic"},
	{"heif", "image/heif"},
	{"htm", "text/html"},
	{"html", "text/html"},
	{"ico", "image/vnd.microsoft.icon"},
	{"ics", "text/calendar"},
	{"iso", "application/x-iso9660-image"},
	{"jar", "application/java-archive"},
	{"jpeg", "image/jpeg"},
	{"jpg", "image/jpeg"},
	{"js", "text/javascript"},
	{"json", "application/json"},
	{"jxl", "image/jxl"},
	{"log", "text/plain"},
	{"m3u8", "application/vnd.apple.mpegurl"},
	{"m4a", "audio/mp4"},
	{"m4v", "video/x-m4v"},
	{"md", "text/markdown"},
	{"mid", "audio/midi"},
	{"mjs", "text/javascript"},
	{"mkv", "video/x-matroska"},
	{"mov", "video/quicktime"},
	{"mp3", "audio/mpeg"},
	{"mp4", "video/mp4"},
	{"mpeg", "video/mpeg"},
	{"mpg", "video/mpeg"},
	{"odp", "application/vnd.oasis.opendocument.presentation"},
	{"ods", "application/vnd.oasis.opendocument.spreadsheet"},
	{"odt", "application/vnd.oasis.opendocument.text"},
	{"ogg", "audio/ogg"},
	{"otf", "font/otf"},
	{"parquet", "application/vnd.apache.parquet"},
	{"pdf", "application/pdf"},
	{"png", "image/png"},
	{"ppt", "application/vnd.ms-powerpoint"},
	{"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
	{"ps", "application/postscript"},
	{"psd", "image/vnd.adobe.photoshop"},
	{"rar", "application/vnd.rar"},
	{"rtf", "application/rtf"},
	{"sh", "application/x-sh"},
	{"sql", "application/sql"},
	{"svg", "image/svg+xml"},
	{"tar", "application/x-tar"},
	{"text", "text/plain"},
	{"tgz", "application/gzip"},
	{"tif", "image/tiff"},
	{"tiff", "image/tiff"},
	{"ts", "video/mp2t"},
	{"tsv", "text/tab-separated-values"},
	{"ttf", "font/ttf"},
	{"txt", "text/plain"},
	{"wasm", "application/wasm"},
	{"wav", "audio/x-wav"},
	{"webm", "video/webm"},
	{"webp", "image/webp"},
	{"wma", "audio/x-ms-wma"},
	{"wmv", "video/x-ms-wmv"},
	{"woff", "font/woff"},
	{"woff2", "font/woff2"},
	{"xls", "application/vnd.ms-excel"},
	{"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
	{"xml", "application/xml"},
	{"xz", "application/x-xz"},
	{"yaml", "application/yaml"},
	{"yml", "application/yaml"},
	{"zip", "application/zip"},
	{"zst", "application/zstd"},
};
/* clang-format on */

static bool lower(char out[EXT_MAX], const char *text, size_t len)
{
	if (len == 0 || len >= EXT_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[len] = '\0';
	return true;
}

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	free(e->ext);
	free(e->type);
	free(e);
}

/* The first type of an extension stays. */
static int add(struct mime *m, const char *ext, size_t len, const char *type)
{
	char name[EXT_MAX];
	struct entry *e = NULL;
	bool failed = false;

	if (!lower(name, ext, len))
		return 0;
	HASH_FIND_STR(m->by_ext, name, e);
	if (e)
		return 0;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -ENOMEM;
	e->ext = str_dup(name);
	e->type = str_dup(type);
	if (!e->ext || !e->type)
		goto fail;
#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(elt) failed = true
	HASH_ADD_KEYPTR(hh, m->by_ext, e->ext, strlen(e->ext), e);
	if (!failed)
		return 0;
fail:
	entry_free(e);
	return -ENOMEM;
}

/* A type that is safe to send as a header. */
static bool is_type(const char *text)
{
	if (!strchr(text, '/'))
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* TYPE EXT EXT ... */
static int add_line(struct mime *m, char *line)
{
	static const char blanks[] = " \t\r";
	char *save = NULL;
	const char *type, *ext;
	int rc = 0;

	line[strcspn(line, "#")] = '\0';
	type = strtok_r(line, blanks, &save);
	if (!type || !is_type(type))
		return 0;
	while (rc == 0 && (ext = strtok_r(NULL, blanks, &save)) != NULL)
		rc = add(m, ext, strlen(ext), type);
	return rc;
}

static int add_file(struct mime *m, const char *path)
{
	AUTO(buf_release) struct buf text = BUF_INIT;
	char *line, *save = NULL;
	int rc = file_read(path, FILE_MAX, &text);

	if (rc == -ENOMEM)
		return rc;
	if (rc < 0 || text.len == 0)
		return 0; /* the built-in table does */
	line = strtok_r(text.data, "\n", &save);
	for (rc = 0; rc == 0 && line; line = strtok_r(NULL, "\n", &save))
		rc = add_line(m, line);
	return rc;
}

int mime_load(const char *path, struct mime **out)
{
	struct mime *m = calloc(1, sizeof(*m));
	int rc = 0;

	if (!m)
		return -ENOMEM;
	if (path)
		rc = add_file(m, path);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(builtin); i++)
		rc = add(m, builtin[i].ext, strlen(builtin[i].ext),
			 builtin[i].type);
	if (rc < 0)
		mime_free(m);
	else
		*out = m;
	return rc;
}

void mime_free(struct mime *m)
{
	struct entry *e, *next;

	if (!m)
		return;
	HASH_ITER(hh, m->by_ext, e, next)
	{
		HASH_DEL(m->by_ext, e);
		entry_free(e);
	}
	free(m);
}

const char *mime_type(const struct mime *m, const char *name)
{
	const char *slash = strrchr(name, '/'), *dot;
	const char *base = slash ? slash + 1 : name;
	char ext[EXT_MAX];
	struct entry *e = NULL;

	dot = strrchr(base, '.');
	if (dot && dot != base && lower(ext, dot + 1, strlen(dot + 1)))
		HASH_FIND_STR(m->by_ext, ext, e);
	return e ? e->type : UNKNOWN;
}
