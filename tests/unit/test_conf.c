/* SPDX-License-Identifier: Apache-2.0 */
#include "../support/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "callback/conf_rules.h"
#include "callback/rules.h"
#include "config/conf.h"

#define PREAMBLE                                                               \
	"[oss]\nendpoint = oss-cn-hangzhou.aliyuncs.com\n"                     \
	"bucket = examplebucket\n"

/* Every test has a folder of its own, and works in it. */
static int enter_dir(void **state)
{
	if (test_dir_setup(state) < 0)
		return -1;
	return chdir(*state);
}

static int leave_dir(void **state)
{
	return chdir("/") < 0 ? -1 : test_dir_teardown(state);
}

static void write_conf(const char *text, mode_t mode)
{
	test_file_write("ackfs.conf", text, strlen(text));
	assert_int_equal(chmod("ackfs.conf", mode), 0);
}

/* Load, finish, build rules: the first error or "". */
static int load(struct conf *c, char **why)
{
	int rc = conf_load_file(c, "ackfs.conf", why);

	return rc < 0 ? rc : conf_finish(c, why);
}

static int load_with_rules(char **why, char **warnings)
{
	struct conf *c = conf_new();
	struct rules *rules = NULL;
	int rc;

	assert_non_null(c);
	rc = load(c, why);
	if (rc == 0)
		rc = rules_from_conf(c, &rules, why, warnings);
	rules_free(rules);
	conf_free(c);
	return rc;
}

/* ---- broken configurations ---------------------------------------------- */

struct broken {
	const char *name;
	/* Behind PREAMBLE, so that it begins in line 4; '@' in front: without
	   it.  @BIGn@ stands for n bytes. */
	const char *text;
	const char *want;
};

/* clang-format off */
static const struct broken broken[] = {
	{"unknown_section",
	 "[uplaod]\nfsync = local\n",
	 "ackfs.conf:4: [uplaod]: no such section (did you mean [upload]?)"},
	{"unknown_section_far",
	 "[foo]\n",
	 "ackfs.conf:4: [foo]: no such section; write one of [oss] [credentials] [callback] [callback.vars] [upload] [state] [cache] [mount] [log]"},
	{"section_case",
	 "[OSS]\n",
	 "ackfs.conf:4: [OSS]: no such section (did you mean [oss]?)"},
	{"rule_without_quotes",
	 "[callback archive]\nmatch = *\n",
	 "ackfs.conf:4: [callback archive]: a rule's name stands in double quotes; write [callback \"NAME\"]"},
	{"rule_with_a_dot",
	 "[callback.archive]\nmatch = *\n",
	 "ackfs.conf:4: [callback.archive]: no such section (did you mean [callback \"archive\"]?)"},
	{"vars_misspelt",
	 "[callback.var]\na = b\n",
	 "ackfs.conf:4: [callback.var]: no such section (did you mean [callback.vars]?)"},
	{"rule_with_a_taken_name",
	 "[callback \"default\"]\n",
	 "ackfs.conf:4: [callback \"default\"]: the name default is taken; write another"},
	{"rule_twice",
	 "[callback]\nurl = https://app.example.com/cb\n[callback \"a\"]\nmatch = *\n[callback \"a\"]\nmatch = b\n",
	 "ackfs.conf:8: [callback \"a\"]: stands twice, first in line 6; rename or remove one"},
	{"vars_without_their_rule",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars \"a\"]\nk = v\n",
	 "ackfs.conf:6: [callback.vars \"a\"]: there is no section [callback \"a\"] that these variables belong to; write it, or correct the name"},
	{"vars_without_callback",
	 "[callback.vars]\nk = v\n",
	 "ackfs.conf:4: [callback.vars]: there is no section [callback] that these variables belong to; write it (with enabled = false when rules alone make callbacks)"},
	{"unknown_key",
	 "[upload]\nclose_return = stored\n",
	 "ackfs.conf:5: upload.close_return: no such key (did you mean close_returns?)"},
	{"unknown_key_far",
	 "[cache]\nfoo = 1\n",
	 "ackfs.conf:5: cache.foo: no such key; write one of metadata_ttl, read_buffer_bytes"},
	{"key_of_another_section",
	 "[upload]\nlevel = info\n",
	 "ackfs.conf:5: upload.level: no such key (it is one of [log])"},
	{"key_with_a_dash",
	 "[upload]\nclose-returns = stored\n",
	 "ackfs.conf:5: upload.close-returns: no such key (did you mean close_returns?)"},
	{"colon_for_equals",
	 "[upload]\nfsync: local\n",
	 "ackfs.conf:5: no '='; write KEY = VALUE (':' does not separate them)"},
	{"unknown_callback_key",
	 "[callback]\ncalback_url = http://a.example.com/\n",
	 "ackfs.conf:5: callback.calback_url: no such key (did you mean url?)"},
	{"variable_among_callback_keys",
	 "[callback]\nurl = https://app.example.com/cb\nx:uid = 1\n",
	 "ackfs.conf:6: callback.x:uid: no such key; variables stand in [callback.vars]"},
	{"duplicate_key",
	 "[upload]\nfsync = local\nfsync = upload\n",
	 "ackfs.conf:6: upload.fsync: given twice, first in line 5; remove one"},
	{"duplicate_key_in_two_sections",
	 "region = cn-hangzhou\n[upload]\n[oss]\nregion = cn-beijing\n",
	 "ackfs.conf:7: oss.region: given twice, first in line 4; remove one"},
	{"duplicate_callback_key",
	 "[callback]\nurl = https://app.example.com/cb\nurl = https://b.example.com/\n",
	 "ackfs.conf:6: callback.url: given twice, first in line 5; remove one"},
	{"duplicate_variable",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\nx:a = 1\na = 2\n",
	 "ackfs.conf:8: callback.vars.a: given twice, first in line 7; remove one"},
	{"two_mistakes_are_both_told",
	 "[upload]\nfsync = never\nparallel_parts = 0\n",
	 "ackfs.conf:5: upload.fsync: \"never\": none of its words; write local or upload\nackfs.conf:6: upload.parallel_parts: \"0\": not a number in range; write 1 to 64"},
	{"word",
	 "[upload]\nclose_returns = store\n",
	 "ackfs.conf:5: upload.close_returns: \"store\": none of its words (did you mean stored?); write stored or staged"},
	{"word_far",
	 "[mount]\nstart = now\n",
	 "ackfs.conf:5: mount.start: \"now\": none of its words; write require_oss or offline_ok"},
	{"number_zero",
	 "[upload]\nparallel_uploads = 0\n",
	 "ackfs.conf:5: upload.parallel_uploads: \"0\": not a number in range; write 1 to 256"},
	{"number_text",
	 "[oss]\nmax_connections = many\n",
	 "ackfs.conf:5: oss.max_connections: \"many\": not a number in range; write 1 to 1024"},
	{"number_sign",
	 "[oss]\nmax_connections = -1\n",
	 "ackfs.conf:5: oss.max_connections: \"-1\": not a number in range; write 1 to 1024"},
	{"size_unit",
	 "[upload]\nmultipart_threshold = 32X\n",
	 "ackfs.conf:5: upload.multipart_threshold: \"32X\": not a size in range; write 100K to 5G (K, M, G, T)"},
	{"size_small",
	 "[upload]\npart_size = 1K\n",
	 "ackfs.conf:5: upload.part_size: \"1K\": not a size in range; write 100K to 5G (K, M, G, T), or auto"},
	{"size_or_word",
	 "[state]\nstaging_max_bytes = none\n",
	 "ackfs.conf:5: state.staging_max_bytes: \"none\": not a size in range; write 1M to 1024T (K, M, G, T), or unlimited"},
	{"time_unit",
	 "[upload]\nretry_deadline = 1minute\n",
	 "ackfs.conf:5: upload.retry_deadline: \"1minute\": not a time in range; write 1s to 1d (ms, s, m, h, d)"},
	{"time_range",
	 "[oss]\nconnect_timeout = 1h\n",
	 "ackfs.conf:5: oss.connect_timeout: \"1h\": not a time in range; write 100ms to 5m (ms, s, m, h, d)"},
	{"time_or_word",
	 "[log]\nkeep = never\n",
	 "ackfs.conf:5: log.keep: \"never\": not a time in range; write 1h to 36500d (ms, s, m, h, d), or forever"},
	{"free_over_all",
	 "[state]\nstaging_min_free = 100%\n",
	 "ackfs.conf:5: state.staging_min_free: \"100%\": neither a percentage nor a size; write 0% to 99%, or a size like 2G"},
	{"mode",
	 "[mount]\nfile_mode = 0888\n",
	 "ackfs.conf:5: mount.file_mode: \"0888\": not an octal mode; write 0 to 07777"},
	{"umask_range",
	 "[mount]\numask = 01777\n",
	 "ackfs.conf:5: mount.umask: \"01777\": not an octal mode; write 0 to 0777"},
	{"user",
	 "[mount]\nuid = no-such-user\n",
	 "ackfs.conf:5: mount.uid: \"no-such-user\": no user of this machine; write a number or a user's name"},
	{"bool",
	 "[mount]\nread_only = maybe\n",
	 "ackfs.conf:5: mount.read_only: \"maybe\": neither true nor false; write true or false"},
	{"level",
	 "[log]\nlevel = verbose\n",
	 "ackfs.conf:5: log.level: \"verbose\": none of its words; write err, warn, notice, info or debug"},
	{"region",
	 "region = Hangzhou 1\n",
	 "ackfs.conf:4: oss.region: \"Hangzhou 1\": not a region; write one like cn-hangzhou"},
	{"bucket_upper_case",
	 "@[oss]\nendpoint = oss-cn-hangzhou.aliyuncs.com\nbucket = ExampleBucket\n",
	 "ackfs.conf:3: oss.bucket: \"ExampleBucket\": not a bucket's name; write 3 to 63 lower-case letters, digits and '-' (not first or last)"},
	{"endpoint_scheme",
	 "@[oss]\nendpoint = ftp://oss-cn-hangzhou.aliyuncs.com\nbucket = examplebucket\n",
	 "ackfs.conf:2: oss.endpoint: \"ftp://oss-cn-hangzhou.aliyuncs.com\": neither http nor https; write a host like oss-cn-hangzhou.aliyuncs.com"},
	{"endpoint_path",
	 "@[oss]\nendpoint = oss-cn-hangzhou.aliyuncs.com/examplebucket\nbucket = examplebucket\n",
	 "ackfs.conf:2: oss.endpoint: \"oss-cn-hangzhou.aliyuncs.com/examplebucket\": an endpoint has no path; the bucket goes into bucket =, a folder into prefix ="},
	{"endpoint_port",
	 "@[oss]\nendpoint = oss-cn-hangzhou.aliyuncs.com:https\nbucket = examplebucket\n",
	 "ackfs.conf:2: oss.endpoint: \"oss-cn-hangzhou.aliyuncs.com:https\": not a port; write HOST:PORT with 1 to 65535"},
	{"endpoint_with_the_bucket",
	 "@[oss]\nendpoint = examplebucket.oss-cn-hangzhou.aliyuncs.com\nbucket = examplebucket\n",
	 "ackfs.conf:2: oss.endpoint: \"examplebucket.oss-cn-hangzhou.aliyuncs.com\": begins with the bucket, which ackfs adds by itself; write the endpoint without \"examplebucket.\""},
	{"endpoint_missing",
	 "@[oss]\nbucket = examplebucket\n",
	 "ackfs.conf: oss.endpoint: is missing; write endpoint = oss-cn-hangzhou.aliyuncs.com (your region's) in [oss]"},
	{"bucket_missing",
	 "@[oss]\nendpoint = oss-cn-hangzhou.aliyuncs.com\n",
	 "ackfs.conf: oss.bucket: is missing; name the bucket on the command line, or write bucket = NAME in [oss]"},
	{"prefix_dots",
	 "prefix = a/../b\n",
	 "ackfs.conf:4: oss.prefix: \"a/../b\": has an empty, '.' or '..' part; write a/b"},
	{"proxy",
	 "proxy = proxy.example.com:3128\n",
	 "ackfs.conf:4: oss.proxy: \"proxy.example.com:3128\": not a proxy's address; write http://HOST:PORT (or https, socks5, socks5h)"},
	{"state_name",
	 "[state]\nname = a/b\n",
	 "ackfs.conf:5: state.name: \"a/b\": not a folder's name; write at most 200 bytes without '/'"},
	{"globs",
	 "[upload]\nexit_is_abort = [a\n",
	 "ackfs.conf:5: upload.exit_is_abort: \"[a\": '[' without its ']'; write globs with blanks between, or none"},
	{"empty_path",
	 "[log]\nfile =\n",
	 "ackfs.conf:5: log.file: \"\": the value is empty; write one, or remove the line"},
	{"same_log_files",
	 "[log]\nfile = /var/log/a\ncallbacks = /var/log/a\n",
	 "ackfs.conf:6: log.callbacks: \"/var/log/a\": the same file as log.file; write another"},
	{"secret_is_not_shown",
	 "[credentials]\naccess_key_id = LTAI with blanks\naccess_key_secret = s\n",
	 "ackfs.conf:5: credentials.access_key_id: holds a blank or a byte that no key has; copy it again"},
	{"secret_missing",
	 "[credentials]\naccess_key_id = LTAI5t\n",
	 "ackfs.conf:5: credentials.access_key_id: access_key_secret is missing; write both, or neither"},
	{"id_missing",
	 "[credentials]\naccess_key_secret = s\n",
	 "ackfs.conf:5: credentials.access_key_secret: access_key_id is missing; write both, or neither"},
	{"no_url",
	 "[callback]\nhost = app.example.com\n",
	 "ackfs.conf:4: [callback]: has no url; write url = https://HOST/PATH, or enabled = false (and enabled = true in rules that have one)"},
	{"empty_url",
	 "[callback]\nurl =\n",
	 "ackfs.conf:5: callback.url: \"\": the value is empty; write one, or remove the line"},
	{"url_scheme",
	 "[callback]\nurl = ftp://app.example.com/\n",
	 "ackfs.conf:5: callback.url: \"ftp://app.example.com/\": neither http nor https; write https://HOST/PATH"},
	{"url_port",
	 "[callback]\nurl = http://10.101.166.30:test/\n",
	 "ackfs.conf:5: callback.url: \"http://10.101.166.30:test/\": the port is not a number; write HOST:PORT with 1 to 65535"},
	{"url_without_host",
	 "[callback]\nurl = https:///cb\n",
	 "ackfs.conf:5: callback.url: \"https:///cb\": has no host; write https://HOST/PATH"},
	{"url_six",
	 "[callback]\nurl = http://a.example.com;http://b.example.com;http://c.example.com;http://d.example.com;http://e.example.com;http://f.example.com\n",
	 "ackfs.conf:5: callback.url: \"http://a.example.com;http://b.example.com;http://c.example.com;http://d.example.com;http://e.example.com;http://f.\"...: more than five addresses; OSS takes up to five"},
	{"url_empty_one",
	 "[callback]\nurl = http://a.example.com;;http://b.example.com\n",
	 "ackfs.conf:5: callback.url: \"http://a.example.com;;http://b.example.com\": an empty address; write up to five with ';' between"},
	{"url_comment",
	 "[callback]\nurl = https://app.example.com/cb   ; the application\n",
	 "ackfs.conf:5: callback.url: \"https://app.example.com/cb   ; the application\": holds a blank; write ';' between addresses without blanks, comments on a line of their own, %20 for a blank of the address"},
	{"url_chinese",
	 "[callback]\nurl = https://app.example.com/\345\233\236\350\260\203\n",
	 "ackfs.conf:5: callback.url: \"https://app.example.com/\345\233\236\350\260\203\": holds a byte that is not ASCII; write it percent-encoded"},
	{"url_password",
	 "[callback]\nurl = https://u:p@app.example.com/\n",
	 "ackfs.conf:5: callback.url: \"https://u:p@app.example.com/\": holds a user or a password; write https://HOST/PATH"},
	{"url_fragment",
	 "[callback]\nurl = https://app.example.com/#a\n",
	 "ackfs.conf:5: callback.url: \"https://app.example.com/#a\": a fragment (#...) is never sent; remove it, or write %23"},
	{"url_oss_variable",
	 "[callback]\nurl = https://app.example.com/${object}\n",
	 "ackfs.conf:5: callback.url: \"https://app.example.com/${object}\": OSS fills ${...} into the body alone; write %{...}, which ackfs fills in"},
	{"url_percent",
	 "[callback]\nurl = https://app.example.com/100%\n",
	 "ackfs.conf:5: callback.url: \"https://app.example.com/100%\": a '%' without two hex digits; write %25 for a '%'"},
	{"url_unknown_expansion",
	 "[callback]\nurl = https://app.example.com/%{customer}\n",
	 "ackfs.conf:5: callback.url: \"https://app.example.com/%{customer}\": %{customer} is unknown; write one of path dir name stem ext segment:... key bucket size mtime mode uid gid user pid process host mount delivery_id previous_delivery_id env:... xattr:..."},
	{"host_with_scheme",
	 "[callback]\nurl = https://app.example.com/cb\nhost = https://app.example.com\n",
	 "ackfs.conf:6: callback.host: \"https://app.example.com\": not a host; write a name or an IP, without scheme and path"},
	{"host_port",
	 "[callback]\nurl = https://app.example.com/cb\nhost = app.example.com:0\n",
	 "ackfs.conf:6: callback.host: \"app.example.com:0\": the port is not a number; write HOST:PORT with 1 to 65535"},
	{"sni",
	 "[callback]\nurl = https://app.example.com/cb\nsni = 2\n",
	 "ackfs.conf:6: callback.sni: \"2\": neither true nor false; write true or false"},
	{"body_type",
	 "[callback]\nurl = https://app.example.com/cb\nbody_type = application/json; charset=utf-8\n",
	 "ackfs.conf:6: callback.body_type: \"application/json; charset=utf-8\": not a type that OSS has; write application/x-www-form-urlencoded or application/json"},
	{"body_blank",
	 "[callback]\nurl = https://app.example.com/cb\nbody =\n",
	 "ackfs.conf:6: callback.body: \"\": the value is empty; write one, or remove the line"},
	{"body_parentheses",
	 "[callback]\nurl = https://app.example.com/cb\nbody = bucket=${bucket}&object=$(object)\n",
	 "ackfs.conf:6: callback.body: \"bucket=${bucket}&object=$(object)\": $(NAME) is refused by OSS; write ${NAME}"},
	{"body_open",
	 "[callback]\nurl = https://app.example.com/cb\nbody = object=${object\n",
	 "ackfs.conf:6: callback.body: \"object=${object\": a ${ without its }; write ${NAME}"},
	{"body_no_name",
	 "[callback]\nurl = https://app.example.com/cb\nbody = object=${}\n",
	 "ackfs.conf:6: callback.body: \"object=${}\": ${} without a name; write ${NAME}"},
	{"body_unknown_variable",
	 "[callback]\nurl = https://app.example.com/cb\nbody = object=${filename}\n",
	 "ackfs.conf:6: callback.body: \"object=${filename}\": ${filename} is no variable of OSS (did you mean ${object}?); write ${x:NAME} for one of your own, or one of bucket object etag size mimeType imageInfo.height imageInfo.width imageInfo.format crc64 contentMd5 vpcId clientIp reqId operation"},
	{"body_case",
	 "[callback]\nurl = https://app.example.com/cb\nbody = type=${mimetype}\n",
	 "ackfs.conf:6: callback.body: \"type=${mimetype}\": ${mimetype} is no variable of OSS (did you mean ${mimeType}?); write ${x:NAME} for one of your own, or one of bucket object etag size mimeType imageInfo.height imageInfo.width imageInfo.format crc64 contentMd5 vpcId clientIp reqId operation"},
	{"body_far_variable",
	 "[callback]\nurl = https://app.example.com/cb\nbody = a=${qqqqqqq}\n",
	 "ackfs.conf:6: callback.body: \"a=${qqqqqqq}\": ${qqqqqqq} is no variable of OSS; write ${x:NAME} for one of your own, or one of bucket object etag size mimeType imageInfo.height imageInfo.width imageInfo.format crc64 contentMd5 vpcId clientIp reqId operation"},
	{"body_variable_case",
	 "[callback]\nurl = https://app.example.com/cb\nbody = a=${x:Customer}\n",
	 "ackfs.conf:6: callback.body: \"a=${x:Customer}\": ${x:Customer}: OSS wants lower-case names; write ${x:name}"},
	{"body_expansion",
	 "[callback]\nurl = https://app.example.com/cb\nbody = path=%{path}\n",
	 "ackfs.conf:6: callback.body: \"path=%{path}\": %{...} is not filled in here; give it to a variable in [callback.vars] (NAME = %{...}) and write ${x:NAME}"},
	{"json_open",
	 "[callback]\nurl = https://app.example.com/cb\nbody_type = application/json\nbody = {\"object\":${object}\n",
	 "ackfs.conf:7: callback.body: \"{\\\"object\\\":${object}\": not JSON once its variables are filled in: \"'}' expected near end of file\"; write JSON with variables outside quotes (OSS adds them), like {\"object\":${object},\"size\":${size}}"},
	{"json_comment",
	 "[callback]\nurl = https://app.example.com/cb\nbody_type = application/json\nbody = {\"object\":${object}}  ; what the application reads\n",
	 "ackfs.conf:7: callback.body: \"{\\\"object\\\":${object}}  ; what the application reads\": not JSON once its variables are filled in: \"end of file expected near ';'\"; a comment behind a body is part of it; write the comment on a line of its own"},
	{"json_form",
	 "[callback]\nurl = https://app.example.com/cb\nbody_type = application/json\nbody = object=${object}\n",
	 "ackfs.conf:7: callback.body: \"object=${object}\": not JSON once its variables are filled in: \"invalid token near 'object'\"; it looks like a form; write body_type = application/x-www-form-urlencoded, or JSON like {\"object\":${object}}"},
	{"json_comma",
	 "[callback]\nurl = https://app.example.com/cb\nbody_type = application/json\nbody = {\"object\":${object},}\n",
	 "ackfs.conf:7: callback.body: \"{\\\"object\\\":${object},}\": not JSON once its variables are filled in: \"string or '}' expected near '}'\"; write JSON with variables outside quotes (OSS adds them), like {\"object\":${object},\"size\":${size}}"},
	{"json_inherited_form",
	 "[callback]\nurl = https://app.example.com/cb\nbody = a=${object}\n[callback \"j\"]\nmatch = *.j\nbody_type = application/json\n",
	 "ackfs.conf:9: callback \"j\".body_type: \"a=${object}\": not JSON once its variables are filled in: \"invalid token near 'a'\"; it looks like a form; write body_type = application/x-www-form-urlencoded, or JSON like {\"object\":${object}}"},
	{"body_and_file",
	 "[callback]\nurl = https://app.example.com/cb\nbody = a=${object}\nbody_file = body.json\n",
	 "ackfs.conf:7: callback.body_file: \"DIR/body.json\": body is given too; remove one of them"},
	{"body_file_missing",
	 "[callback]\nurl = https://app.example.com/cb\nbody_file = missing.json\n",
	 "ackfs.conf:6: callback.body_file: \"DIR/missing.json\": No such file or directory; write the path of a text file"},
	{"body_file_dir",
	 "[callback]\nurl = https://app.example.com/cb\nbody_file = .\n",
	 "ackfs.conf:6: callback.body_file: \"DIR/.\": Is a directory; write the path of a text file"},
	{"body_too_long",
	 "[callback]\nurl = https://app.example.com/cb\nbody = @BIG3800@\n",
	 "ackfs.conf:6: callback.body: the callback is 5248 bytes of base64, OSS takes 5120; shorten body (3800 bytes)"},
	{"vars_too_long",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\nnote = @BIG3900@\n",
	 "ackfs.conf:7: callback.vars.note: the variables are 5288 bytes of base64, OSS takes 5120; shorten this one (3900 bytes)"},
	{"var_name",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\nCustomer = 1\n",
	 "ackfs.conf:7: callback.vars.Customer: \"1\": OSS wants lower-case names; write another name"},
	{"var_name_blank",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\nmy name = 1\n",
	 "ackfs.conf:7: callback.vars.my name: \"1\": the name holds a blank or one of {}$%\"\\&=,;:; write another name"},
	{"var_taken",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\nx:ackfs_id = 1\n",
	 "ackfs.conf:7: callback.vars.ackfs_id: \"1\": it is always the delivery id; write another name"},
	{"var_oss_variable",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\na = ${object}\n",
	 "ackfs.conf:7: callback.vars.a: \"${object}\": OSS fills ${...} into the body alone; write %{...}, which ackfs fills in"},
	{"var_unknown",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\na = %{segmnt:1}\n",
	 "ackfs.conf:7: callback.vars.a: \"%{segmnt:1}\": %{segmnt} is unknown (did you mean %{segment}?); write one of path dir name stem ext segment:... key bucket size mtime mode uid gid user pid process host mount delivery_id previous_delivery_id env:... xattr:..."},
	{"var_far",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\na = %{qqqqqqqq}\n",
	 "ackfs.conf:7: callback.vars.a: \"%{qqqqqqqq}\": %{qqqqqqqq} is unknown; write one of path dir name stem ext segment:... key bucket size mtime mode uid gid user pid process host mount delivery_id previous_delivery_id env:... xattr:..."},
	{"var_open",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\na = %{path\n",
	 "ackfs.conf:7: callback.vars.a: \"%{path\": a %{ without its }; write %{NAME}, or %% for a '%'"},
	{"var_no_arg",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\na = %{segment}\n",
	 "ackfs.conf:7: callback.vars.a: \"%{segment}\": %{segment} wants more; write %{segment:1}"},
	{"var_zero",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\na = %{segment:0}\n",
	 "ackfs.conf:7: callback.vars.a: \"%{segment:0}\": %{segment:0}: not a place; write 1 for the first, -1 for the last (the file's name)"},
	{"var_arg",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\na = %{path:1}\n",
	 "ackfs.conf:7: callback.vars.a: \"%{path:1}\": %{path:1}: path takes nothing behind ':'; write %{path}"},
	{"var_comment_in_quotes",
	 "[callback]\nurl = https://app.example.com/cb\n[callback.vars]\na = \"b  ; c\"\n",
	 "ackfs.conf:7: is the ';' inside quotes text or a comment? Write the comment on a line of its own, or one blank before a ';' that is text"},
	{"on_failure",
	 "[callback]\nurl = https://app.example.com/cb\non_failure = fail\n",
	 "ackfs.conf:6: callback.on_failure: \"fail\": none of its words; write accept or fail_close"},
	{"retry_for",
	 "[callback]\nurl = https://app.example.com/cb\nretry_for = always\n",
	 "ackfs.conf:6: callback.retry_for: \"always\": not a time; write one like 1d, 12h or 30m, or 0"},
	{"on_rename",
	 "[callback]\nurl = https://app.example.com/cb\non_rename = yes\n",
	 "ackfs.conf:6: callback.on_rename: \"yes\": none of its words; write auto, always or never"},
	{"temporary_none_and_more",
	 "[callback]\nurl = https://app.example.com/cb\ntemporary = none *.x\n",
	 "ackfs.conf:6: callback.temporary: \"none *.x\": none stands alone; write none, or builtin and globs with blanks between"},
	{"temporary_glob",
	 "[callback]\nurl = https://app.example.com/cb\ntemporary = builtin [x\n",
	 "ackfs.conf:6: callback.temporary: \"builtin [x\": '[' without its ']'; write builtin, none, or globs with blanks between"},
	{"content_type",
	 "[callback]\nurl = https://app.example.com/cb\ncontent_type = jpeg\n",
	 "ackfs.conf:6: callback.content_type: \"jpeg\": not a media type; write one like image/jpeg"},
	{"allow_override",
	 "[callback]\nurl = https://app.example.com/cb\nallow_override = a,b\n",
	 "ackfs.conf:6: callback.allow_override: \"a,b\": the name holds a blank or one of {}$%\"\\&=,;:; write names of variables with blanks between"},
	{"match_in_default",
	 "[callback]\nurl = https://app.example.com/cb\nmatch = *.jpg\n",
	 "ackfs.conf:6: callback.match: belongs into a rule; write [callback \"NAME\"] with it, and enabled = false here if other files shall have no callback"},
	{"rule_without_match",
	 "[callback]\nurl = https://app.example.com/cb\n[callback \"a\"]\nenabled = false\n",
	 "ackfs.conf:6: [callback \"a\"]: has no match; write match = GLOBS (** for every path)"},
	{"match_glob",
	 "[callback]\nurl = https://app.example.com/cb\n[callback \"a\"]\nmatch = a/[b\n",
	 "ackfs.conf:7: callback \"a\".match: \"a/[b\": '[' without its ']'; write globs with blanks between, like incoming/** *.jpg"},
	{"match_slash",
	 "[callback]\nurl = https://app.example.com/cb\n[callback \"a\"]\nmatch = a/\n",
	 "ackfs.conf:7: callback \"a\".match: \"a/\": a '/' at the end: write DIR/**; write globs with blanks between, like incoming/** *.jpg"},
	{"match_excludes",
	 "[callback]\nurl = https://app.example.com/cb\n[callback \"a\"]\nmatch = !*.log\n",
	 "ackfs.conf:7: callback \"a\".match: \"!*.log\": excludes alone match nothing; write what matches before them, like ** !*.log"},
	{"capture_taken",
	 "[callback]\nurl = https://app.example.com/cb\n[callback \"a\"]\nmatch = {path}/**\n",
	 "ackfs.conf:7: callback \"a\".match: \"{path}/**\": {path}: %{path} is something else already; write another name"},
	{"sizes",
	 "[callback]\nurl = https://app.example.com/cb\n[callback \"a\"]\nmin_size = 2M\nmax_size = 1M\n",
	 "ackfs.conf:8: callback \"a\".max_size: less than min_size; no file is so"},
	{"size_text",
	 "[callback]\nurl = https://app.example.com/cb\n[callback \"a\"]\nmin_size = big\n",
	 "ackfs.conf:7: callback \"a\".min_size: \"big\": not a size; write bytes, or K, M, G, T behind a number"},
	{"rule_without_url",
	 "[callback]\nenabled = false\n[callback \"a\"]\nmatch = *\nenabled = true\n",
	 "ackfs.conf:6: [callback \"a\"]: has no url; write url = https://HOST/PATH here or in [callback], or enabled = false"},
};
/* clang-format on */

static void write_broken(const char *text)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	const char *big = strstr(text, "@BIG");
	char *end = NULL;

	if (*text == '@')
		text++;
	else
		buf_adds(&b, PREAMBLE);
	if (big) {
		buf_add(&b, text, (size_t)(big - text));
		for (long n = strtol(big + 4, &end, 10); n > 0; n--)
			buf_addc(&b, 'a');
		text = end + 1;
	}
	buf_adds(&b, text);
	write_conf(buf_str(&b), 0600);
}

/* The test's own folder is named DIR in what is expected. */
static char *without_dir(const char *text, const char *dir)
{
	AUTO(buf_release) struct buf b = BUF_INIT;
	const char *at;

	while (text && (at = strstr(text, dir)) != NULL) {
		buf_add(&b, text, (size_t)(at - text));
		buf_adds(&b, "DIR");
		text = at + strlen(dir);
	}
	buf_adds(&b, text ? text : "(nothing)");
	return buf_detach(&b);
}

static void
broken_configurations_are_refused_with_place_and_remedy(void **state)
{
	int failed = 0;

	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		const struct broken *c = &broken[i];
		AUTO_FREE char *why = NULL;
		AUTO_FREE char *warnings = NULL;
		AUTO_FREE char *shown = NULL;
		int rc;

		write_broken(c->text);
		rc = load_with_rules(&why, &warnings);
		shown = without_dir(why, *state);
		if (rc == -EINVAL && strcmp(shown, c->want) == 0)
			continue;
		print_error("%s: rc %d, got\n%s\n", c->name, rc, shown);
		failed++;
	}
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			broken_configurations_are_refused_with_place_and_remedy,
			enter_dir, leave_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
