/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include <stdio.h>
#include <string.h>

#include "config/conf.h"
#include "util/base.h"

#define F(field) offsetof(struct conf, field)
#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)
#define SEC ((uint64_t)1000)
#define HOUR (3600 * SEC)
#define DAY (24 * HOUR)

/* clang-format off */
static const struct schema_key keys[] = {
	/* ---- oss ---------------------------------------------------------- */
	{.section = "oss", .key = "endpoint", .type = SCHEMA_ENDPOINT,
	 .offset = F(oss.endpoint),
	 .help = "host of OSS; without a scheme it is https"},
	{.section = "oss", .key = "region", .type = SCHEMA_REGION,
	 .offset = F(oss.region),
	 .help = "region for V4 signatures; derived from a standard endpoint"},
	{.section = "oss", .key = "bucket", .type = SCHEMA_BUCKET,
	 .offset = F(oss.bucket),
	 .help = "bucket; the command line's goes first"},
	{.section = "oss", .key = "prefix", .type = SCHEMA_PREFIX,
	 .offset = F(oss.prefix), .preset = "",
	 .help = "folder of the bucket that is mounted"},
	{.section = "oss", .key = "addressing", .type = SCHEMA_WORD,
	 .offset = F(oss.addressing), .preset = "auto",
	 .words = WORDS("auto", "virtual", "path"),
	 .help = "bucket in the host name or in the path; auto: path for IP endpoints"},
	{.section = "oss", .key = "signature", .type = SCHEMA_WORD,
	 .offset = F(oss.signature), .preset = "v4",
	 .words = WORDS("v4", "v1"),
	 .help = "signature version"},
	{.section = "oss", .key = "ca_file", .type = SCHEMA_PATH,
	 .offset = F(oss.ca_file),
	 .help = "certificates to trust instead of the system's"},
	{.section = "oss", .key = "proxy", .type = SCHEMA_PROXY,
	 .offset = F(oss.proxy),
	 .help = "proxy URL; proxy variables of the environment are ignored"},
	{.section = "oss", .key = "connect_timeout", .type = SCHEMA_TIME,
	 .offset = F(oss.connect_timeout_ms), .preset = "10s",
	 .min = 100, .max = 300 * SEC,
	 .help = "longest wait for a connection"},
	{.section = "oss", .key = "request_timeout", .type = SCHEMA_TIME,
	 .offset = F(oss.request_timeout_ms), .preset = "60s",
	 .min = 1 * SEC, .max = 1 * HOUR,
	 .help = "longest wait without a byte moving"},
	{.section = "oss", .key = "max_connections", .type = SCHEMA_INT,
	 .offset = F(oss.max_connections), .preset = "64",
	 .min = 1, .max = 1024,
	 .help = "connections to OSS at a time"},

	/* ---- credentials -------------------------------------------------- */
	{.section = "credentials", .key = "access_key_id", .type = SCHEMA_SECRET,
	 .offset = F(credentials.access_key_id),
	 .help = "access key id; OSS_ACCESS_KEY_ID goes first"},
	{.section = "credentials", .key = "access_key_secret", .type = SCHEMA_SECRET,
	 .offset = F(credentials.access_key_secret),
	 .help = "access key secret; OSS_ACCESS_KEY_SECRET goes first"},
	{.section = "credentials", .key = "security_token", .type = SCHEMA_SECRET,
	 .offset = F(credentials.security_token),
	 .help = "STS token; OSS_SESSION_TOKEN goes first"},
	{.section = "credentials", .key = "file", .type = SCHEMA_PATH,
	 .offset = F(credentials.file),
	 .help = "credentials file: JSON, or ID:SECRET lines as ossfs reads them"},

	/* ---- callback ----------------------------------------------------- */
	{.section = "callback", .key = "url", .type = SCHEMA_CALLBACK,
	 .help = "address of the application, up to five with ';' between; takes %{...}"},
	{.section = "callback", .key = "host", .type = SCHEMA_CALLBACK,
	 .help = "Host header of the callback; takes %{...}; default: the URL's"},
	{.section = "callback", .key = "sni", .type = SCHEMA_CALLBACK,
	 .help = "send the server's name in TLS; default: true for https"},
	{.section = "callback", .key = "body", .type = SCHEMA_CALLBACK,
	 .help = "template of the body; ${...} is filled in by OSS"},
	{.section = "callback", .key = "body_file", .type = SCHEMA_CALLBACK,
	 .help = "file with the template, beside this file unless absolute"},
	{.section = "callback", .key = "body_type", .type = SCHEMA_CALLBACK,
	 .preset = "application/x-www-form-urlencoded",
	 .help = "that or application/json"},
	{.section = "callback", .key = "enabled", .type = SCHEMA_CALLBACK,
	 .preset = "true",
	 .help = "make callbacks"},
	{.section = "callback", .key = "on_failure", .type = SCHEMA_CALLBACK,
	 .preset = "accept",
	 .help = "accept, or fail_close: close() returns EREMOTEIO"},
	{.section = "callback", .key = "retry_for", .type = SCHEMA_CALLBACK,
	 .preset = "1d",
	 .help = "how long a failed callback is repeated; 0: never"},
	{.section = "callback", .key = "on_rename", .type = SCHEMA_CALLBACK,
	 .preset = "auto",
	 .help = "callback for a renamed stored file: auto, always, never"},
	{.section = "callback", .key = "temporary", .type = SCHEMA_CALLBACK,
	 .preset = "builtin",
	 .help = "names that programs rename when done: builtin, none, globs"},
	{.section = "callback", .key = "content_type", .type = SCHEMA_CALLBACK,
	 .help = "Content-Type of the objects; default: by extension"},
	{.section = "callback", .key = "allow_override", .type = SCHEMA_CALLBACK,
	 .help = "variables that a file's attributes may replace"},
	{.section = "callback", .key = "match", .type = SCHEMA_CALLBACK,
	 .help = "paths of a rule, globs; {name} captures, ! excludes"},
	{.section = "callback", .key = "min_size", .type = SCHEMA_CALLBACK,
	 .help = "a rule's smallest file"},
	{.section = "callback", .key = "max_size", .type = SCHEMA_CALLBACK,
	 .help = "a rule's largest file"},

	/* ---- upload ------------------------------------------------------- */
	{.section = "upload", .key = "close_returns", .type = SCHEMA_WORD,
	 .offset = F(upload.close_returns), .preset = "stored",
	 .words = WORDS("stored", "staged"),
	 .help = "close() returns when OSS has the object, or when the local disk has it"},
	{.section = "upload", .key = "parallel_uploads", .type = SCHEMA_INT,
	 .offset = F(upload.parallel_uploads), .preset = "16",
	 .min = 1, .max = 256,
	 .help = "files uploaded at a time"},
	{.section = "upload", .key = "parallel_parts", .type = SCHEMA_INT,
	 .offset = F(upload.parallel_parts), .preset = "8",
	 .min = 1, .max = 64,
	 .help = "parts of one large file uploaded at a time"},
	{.section = "upload", .key = "multipart_threshold", .type = SCHEMA_SIZE,
	 .offset = F(upload.multipart_threshold), .preset = "32M",
	 .min = 100 * KIB, .max = 5 * GIB,
	 .help = "files of this size and more go in parts"},
	{.section = "upload", .key = "part_size", .type = SCHEMA_SIZE,
	 .offset = F(upload.part_size), .preset = "auto",
	 .words = WORDS("auto"), .min = 100 * KIB, .max = 5 * GIB,
	 .help = "size of a part; auto: by the file's size"},
	{.section = "upload", .key = "fsync", .type = SCHEMA_WORD,
	 .offset = F(upload.fsync), .preset = "local",
	 .words = WORDS("local", "upload"),
	 .help = "fsync() makes durable on the local disk, or uploads"},
	{.section = "upload", .key = "on_conflict", .type = SCHEMA_WORD,
	 .offset = F(upload.on_conflict), .preset = "overwrite",
	 .words = WORDS("overwrite", "fail"),
	 .help = "when the object changed on OSS between open and close"},
	{.section = "upload", .key = "incomplete_files", .type = SCHEMA_WORD,
	 .offset = F(upload.incomplete_files), .preset = "hold",
	 .words = WORDS("hold", "upload", "discard"),
	 .help = "files whose writer never finished them"},
	{.section = "upload", .key = "incomplete_max_bytes", .type = SCHEMA_SIZE,
	 .offset = F(upload.incomplete_max_bytes), .preset = "unlimited",
	 .words = WORDS("unlimited"), .min = 1, .max = 1024 * TIB,
	 .help = "held ones together; the oldest go first"},
	{.section = "upload", .key = "incomplete_max_age", .type = SCHEMA_TIME,
	 .offset = F(upload.incomplete_max_age_ms), .preset = "forever",
	 .words = WORDS("forever"), .min = 60 * SEC, .max = 36500 * DAY,
	 .help = "held ones older than this are dropped"},
	{.section = "upload", .key = "exit_is_abort", .type = SCHEMA_GLOBS,
	 .offset = F(upload.exit_is_abort),
	 .preset = "sftp-server sshd* smbd* vsftpd proftpd pure-ftpd rsync",
	 .help = "programs whose exit with a file open means that it is not finished; none"},
	{.section = "upload", .key = "temporary_hold", .type = SCHEMA_TIME,
	 .offset = F(upload.temporary_hold_ms), .preset = "30s",
	 .min = 0, .max = 1 * DAY,
	 .help = "how long a temporary name waits to be renamed"},
	{.section = "upload", .key = "empty_hold", .type = SCHEMA_TIME,
	 .offset = F(upload.empty_hold_ms), .preset = "1s",
	 .min = 0, .max = 1 * HOUR,
	 .help = "how long a new empty file waits for its first byte"},
	{.section = "upload", .key = "retry_deadline", .type = SCHEMA_TIME,
	 .offset = F(upload.retry_deadline_ms), .preset = "60s",
	 .min = 1 * SEC, .max = 1 * DAY,
	 .help = "how long a program waits for an upload that fails; then close() returns the error"},
	{.section = "upload", .key = "drain_timeout", .type = SCHEMA_TIME,
	 .offset = F(upload.drain_timeout_ms), .preset = "5m",
	 .min = 0, .max = 30 * DAY,
	 .help = "how long unmount waits for uploads"},

	/* ---- state -------------------------------------------------------- */
	{.section = "state", .key = "dir", .type = SCHEMA_PATH,
	 .offset = F(state.dir),
	 .help = "folder for staged files and journals; root: /var/lib/ackfs, else ~/.local/state/ackfs"},
	{.section = "state", .key = "name", .type = SCHEMA_NAME,
	 .offset = F(state.name),
	 .help = "this mount's part of it; default: bucket and prefix"},
	{.section = "state", .key = "staging_max_bytes", .type = SCHEMA_SIZE,
	 .offset = F(state.staging_max_bytes), .preset = "unlimited",
	 .words = WORDS("unlimited"), .min = 1 * MIB, .max = 1024 * TIB,
	 .help = "staged bytes at most; then write() returns ENOSPC"},
	{.section = "state", .key = "staging_min_free", .type = SCHEMA_FREE,
	 .offset = F(state.staging_min_free), .preset = "10%",
	 .help = "room that is left to others on that disk: percent or size"},

	/* ---- cache -------------------------------------------------------- */
	{.section = "cache", .key = "metadata_ttl", .type = SCHEMA_TIME,
	 .offset = F(cache.metadata_ttl_ms), .preset = "60s",
	 .min = 0, .max = 365 * DAY,
	 .help = "how long listings and attributes are believed"},
	{.section = "cache", .key = "read_buffer_bytes", .type = SCHEMA_SIZE,
	 .offset = F(cache.read_buffer_bytes), .preset = "64M",
	 .min = 1 * MIB, .max = 64 * GIB,
	 .help = "memory for read-ahead of the whole mount"},

	/* ---- mount -------------------------------------------------------- */
	{.section = "mount", .key = "start", .type = SCHEMA_WORD,
	 .offset = F(mount.start), .preset = "require_oss",
	 .words = WORDS("require_oss", "offline_ok"),
	 .help = "fail to mount without OSS, or mount, stage and upload later"},
	{.section = "mount", .key = "posix_meta", .type = SCHEMA_WORD,
	 .offset = F(mount.posix_meta), .preset = "auto",
	 .words = WORDS("auto", "always", "never"),
	 .help = "mode, owner, mtime and symlinks in object metadata"},
	{.section = "mount", .key = "uid", .type = SCHEMA_USER,
	 .offset = F(mount.uid),
	 .help = "owner that everything shows; default: the stored one, or who mounts"},
	{.section = "mount", .key = "gid", .type = SCHEMA_GROUP,
	 .offset = F(mount.gid),
	 .help = "group likewise"},
	{.section = "mount", .key = "umask", .type = SCHEMA_MODE,
	 .offset = F(mount.umask), .preset = "0", .max = 0777,
	 .help = "bits taken away from every mode"},
	{.section = "mount", .key = "file_mode", .type = SCHEMA_MODE,
	 .offset = F(mount.file_mode), .preset = "0644", .max = 07777,
	 .help = "mode of files that have none stored"},
	{.section = "mount", .key = "dir_mode", .type = SCHEMA_MODE,
	 .offset = F(mount.dir_mode), .preset = "0755", .max = 07777,
	 .help = "mode of directories likewise"},
	{.section = "mount", .key = "read_only", .type = SCHEMA_BOOL,
	 .offset = F(mount.read_only), .preset = "false",
	 .help = "no writing"},
	{.section = "mount", .key = "allow_other", .type = SCHEMA_BOOL,
	 .offset = F(mount.allow_other), .preset = "false",
	 .help = "other users may enter, by the modes"},

	/* ---- log ---------------------------------------------------------- */
	{.section = "log", .key = "level", .type = SCHEMA_LEVEL,
	 .offset = F(log.level), .preset = "notice",
	 .words = WORDS("err", "warn", "notice", "info", "debug"),
	 .help = "least important message that is written"},
	{.section = "log", .key = "file", .type = SCHEMA_LOG_PATH,
	 .offset = F(log.file),
	 .help = "file, or syslog; default: stderr in the foreground, syslog otherwise"},
	{.section = "log", .key = "callbacks", .type = SCHEMA_PATH,
	 .offset = F(log.callbacks),
	 .help = "file that gets a JSON line for each callback"},
	{.section = "log", .key = "keep", .type = SCHEMA_TIME,
	 .offset = F(log.keep_ms), .preset = "90d",
	 .words = WORDS("forever"), .min = 1 * HOUR, .max = 36500 * DAY,
	 .help = "age at which records of callbacks go"},
	{.section = "log", .key = "keep_count", .type = SCHEMA_COUNT,
	 .offset = F(log.keep_count), .preset = "1000000",
	 .words = WORDS("unlimited"), .min = 1000, .max = 1000000000,
	 .help = "records of callbacks kept at most"},
};
/* clang-format on */

static const char *const sections[] = {
	"oss",   "credentials", "callback", "callback.vars", "upload",
	"state", "cache",       "mount",    "log",
};

size_t schema_count(void)
{
	return ARRAY_LEN(keys);
}

const struct schema_key *schema_at(size_t i)
{
	return &keys[i];
}

const struct schema_key *schema_find(const char *section, const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i].section, section) == 0 &&
		    strcmp(keys[i].key, key) == 0)
			return &keys[i];
	return NULL;
}

const char *schema_section(size_t i)
{
	return i < ARRAY_LEN(sections) ? sections[i] : NULL;
}

static const char *plain_form(enum schema_type type)
{
	switch (type) {
	case SCHEMA_CALLBACK:
		return "TEXT";
	case SCHEMA_PATH:
	case SCHEMA_LOG_PATH:
		return "PATH";
	case SCHEMA_ENDPOINT:
		return "HOST";
	case SCHEMA_REGION:
	case SCHEMA_BUCKET:
	case SCHEMA_NAME:
		return "NAME";
	case SCHEMA_PREFIX:
		return "FOLDER";
	case SCHEMA_PROXY:
		return "URL";
	case SCHEMA_GLOBS:
		return "GLOBS";
	case SCHEMA_SECRET:
		return "SECRET";
	case SCHEMA_BOOL:
		return "true|false";
	case SCHEMA_INT:
	case SCHEMA_COUNT:
		return "NUMBER";
	case SCHEMA_SIZE:
		return "SIZE";
	case SCHEMA_TIME:
		return "TIME";
	case SCHEMA_MODE:
		return "OCTAL";
	case SCHEMA_USER:
		return "USER";
	case SCHEMA_GROUP:
		return "GROUP";
	case SCHEMA_FREE:
		return "PERCENT|SIZE";
	case SCHEMA_WORD:
	case SCHEMA_LEVEL:
		return "";
	}
	return "";
}

const char *schema_form(const struct schema_key *k, char *out, size_t size)
{
	size_t len;

	snprintf(out, size, "%s", plain_form(k->type));
	for (size_t i = 0; k->words && k->words[i]; i++) {
		len = strlen(out);
		snprintf(out + len, size - len, "%s%s", len ? "|" : "",
			 k->words[i]);
	}
	return out;
}
