/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The client of src/oss at a command line, for tests and for a quick look.
 *
 *     osscli [OPTIONS] COMMAND ...
 *
 * Keys come from the environment (OSS_ACCESS_KEY_ID, ...).  Answers go to the
 * standard output as NAME=VALUE lines; a failure is one line on stderr and
 * status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "oss/client.h"
#include "oss/credentials.h"
#include "util/clock.h"
#include "util/crc64.h"
#include "util/fileio.h"
#include "util/log.h"
#include "util/strnum.h"

struct cli {
	struct store s;
	struct oss_client *client;
	struct oss_ctl ctl;
	struct oss_callback cb;
	bool forbid;
	int jobs;
	struct oss_reply reply;
};

static const char usage[] =
	"usage: osscli [OPTIONS] COMMAND ...\n"
	"  -e URL    endpoint              -b NAME   bucket\n"
	"  -r NAME   region                -1        signature V1\n"
	"  -t MS     deadline (60000)      -j N      threads (1)\n"
	"  -c B64    x-oss-callback        -V B64    x-oss-callback-var\n"
	"  -f        forbid overwriting    -v        log what is retried\n"
	"commands:\n"
	"  put KEY FILE [META=VALUE...]    get KEY [OFFSET LENGTH]\n"
	"  head KEY                        list [PREFIX [DELIMITER]]\n"
	"  rm KEY...                       rmm KEY... (in one request)\n"
	"  copy SOURCE KEY                 append KEY FILE (by parts)\n"
	"  mput KEY FILE PARTSIZE          mget KEY PARTSIZE (checks, discards)\n"
	"  initiate KEY                    part KEY ID NUMBER FILE\n"
	"  parts KEY ID                    abort KEY ID\n"
	"  uploads [PREFIX]                tags KEY        acl KEY\n"
	"  probe                           versioning\n";

static int misused(void)
{
	fputs(usage, stderr);
	return -EINVAL;
}

static int report(const char *what, int rc, const struct oss_reply *r)
{
	char line[900];

	if (rc < 0)
		fprintf(stderr, "osscli: %s: %s attempts=%d sent_all=%d %s\n",
			what, strerrorname_np(-rc), r->attempts,
			(int)r->sent_all,
			oss_reply_describe(r, line, sizeof(line)));
	return rc;
}

/* ---- files ------------------------------------------------------------- */

struct slice {
	int fd;
	uint64_t from;
};

static ssize_t slice_read(void *arg, void *to, size_t len, uint64_t off)
{
	const struct slice *s = arg;

	return fd_pread_all(s->fd, to, len, s->from + off);
}

static int open_file(const char *path, uint64_t *size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "osscli: %s: %s\n", path, strerror(errno));
		return -1;
	}
	*size = (uint64_t)st.st_size;
	return fd;
}

static int to_stdout(void *arg, const void *data, size_t len)
{
	(void)arg;
	return fd_write_all(STDOUT_FILENO, data, len);
}

/* ---- printing ---------------------------------------------------------- */

static void print_kvs(const char *prefix, const struct kvs *l)
{
	for (size_t i = 0; i < l->count; i++)
		printf("%s%s=%s\n", prefix, l->items[i].name,
		       l->items[i].value);
}

static void print_object(const struct oss_object *o)
{
	char when[CLOCK_TEXT_LEN];

	printf("size=%" PRIu64 "\netag=%s\nmodified=%s\n", o->size, o->etag,
	       clock_rfc3339(when, o->modified_ms));
	if (o->has_crc64)
		printf("crc64=%" PRIu64 "\n", o->crc64);
	printf("type=%s\nstorage_class=%s\ncontent_type=%s\ntags=%d\n",
	       o->type ? o->type : "", o->storage_class ? o->storage_class : "",
	       o->content_type ? o->content_type : "", o->tag_count);
	if (o->version_id)
		printf("version_id=%s\n", o->version_id);
	print_kvs("meta.", &o->meta);
	print_kvs("kept.", &o->kept);
}

static void print_result(const struct oss_put_result *r)
{
	printf("http=%d\nattempts=%d\netag=%s\n", r->reply.http,
	       r->reply.attempts, r->etag);
	if (r->has_crc64)
		printf("crc64=%" PRIu64 "\n", r->crc64);
	if (r->version_id)
		printf("version_id=%s\n", r->version_id);
	if (r->reply.code[0])
		printf("code=%s\nmessage=%s\nec=%s\n", r->reply.code,
		       r->reply.message, r->reply.ec);
	if (r->callback_sent)
		printf("body_type=%s\nbody=%s\n",
		       r->body_type ? r->body_type : "", buf_str(&r->body));
}

/* ---- one object -------------------------------------------------------- */

static int cmd_put(struct cli *c, int argc, char **argv)
{
	struct kvs meta = KVS_INIT;
	struct oss_props props = {.meta = &meta, .forbid_overwrite = c->forbid};
	struct oss_source src = {.read = slice_read};
	struct oss_put_result r;
	struct slice slice = {.from = 0};
	int rc;

	if (argc < 2)
		return misused();
	slice.fd = open_file(argv[1], &src.size);
	if (slice.fd < 0)
		return -EIO;
	for (int i = 2; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			return misused();
		*value = '\0';
		if (kvs_add(&meta, argv[i], value + 1) < 0)
			return -ENOMEM;
	}
	src.arg = &slice;
	rc = c->s.ops->put(c->s.self, argv[0], &src, &props, &c->cb, &c->ctl,
			   &r);
	if (rc == 0)
		print_result(&r);
	close(slice.fd);
	kvs_release(&meta);
	rc = report("put", rc, &r.reply);
	oss_put_result_release(&r);
	return rc;
}

static int cmd_get(struct cli *c, int argc, char **argv)
{
	struct oss_sink sink = {.write = to_stdout};
	uint64_t off = 0;
	uint64_t len = 0;

	if ((argc != 1 && argc != 3) ||
	    (argc == 3 &&
	     (parse_size(argv[1], &off) < 0 || parse_size(argv[2], &len) < 0)))
		return misused();
	return report("get",
		      c->s.ops->get(c->s.self, argv[0], off, len, NULL, &sink,
				    &c->ctl, NULL, &c->reply),
		      &c->reply);
}

static int cmd_head(struct cli *c, int argc, char **argv)
{
	struct oss_object o;
	int rc;

	if (argc != 1)
		return misused();
	rc = c->s.ops->head(c->s.self, argv[0], &c->ctl, &o, &c->reply);
	if (rc == 0)
		print_object(&o);
	oss_object_release(&o);
	return report("head", rc, &c->reply);
}

static int cmd_rm(struct cli *c, int argc, char **argv)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < argc; i++)
		rc = c->s.ops->remove(c->s.self, argv[i], &c->ctl, &c->reply);
	return report("rm", rc, &c->reply);
}

static int cmd_rmm(struct cli *c, int argc, char **argv)
{
	bool failed[OSS_DELETE_MAX];
	int rc;

	if (argc < 1 || argc > OSS_DELETE_MAX)
		return misused();
	rc = c->s.ops->remove_many(c->s.self, (const char *const *)argv,
				   (size_t)argc, &c->ctl, failed, &c->reply);
	for (int i = 0; i < argc; i++)
		printf("%s=%s\n", failed[i] ? "failed" : "deleted", argv[i]);
	return report("rmm", rc, &c->reply);
}

static int cmd_copy(struct cli *c, int argc, char **argv)
{
	struct oss_copy cp = {.forbid_overwrite = c->forbid};
	struct oss_put_result r;
	int rc;

	if (argc != 2)
		return misused();
	cp.src_key = argv[0];
	cp.dst_key = argv[1];
	rc = c->s.ops->copy(c->s.self, &cp, &c->ctl, &r);
	if (rc == 0)
		print_result(&r);
	rc = report("copy", rc, &r.reply);
	oss_put_result_release(&r);
	return rc;
}

static int cmd_list(struct cli *c, int argc, char **argv)
{
	struct oss_list l = {.prefix = argc > 0 ? argv[0] : "",
			     .delimiter = argc > 1 ? argv[1] : NULL};
	AUTO_FREE char *token = NULL;
	int rc;

	do {
		struct oss_list_page p;

		l.token = token;
		rc = c->s.ops->list(c->s.self, &l, &c->ctl, &p);
		c->reply = p.reply;
		for (size_t i = 0; i < p.count; i++)
			printf("%s %" PRIu64 " %s %s\n",
			       p.entries[i].is_prefix ? "prefix" : "key",
			       p.entries[i].size,
			       p.entries[i].etag[0] ? p.entries[i].etag : "-",
			       p.entries[i].key);
		if (str_set(&token, p.next_token) < 0)
			rc = -ENOMEM;
		oss_list_page_release(&p);
	} while (rc == 0 && token);
	return report("list", rc, &c->reply);
}

static int word_command(struct cli *c, const char *what, int argc, char **argv,
			int (*get)(void *, const char *, const struct oss_ctl *,
				   char **, struct oss_reply *))
{
	char *word = NULL;
	int rc;

	if (argc != 1)
		return misused();
	rc = get(c->s.self, argv[0], &c->ctl, &word, &c->reply);
	if (rc == 0)
		printf("%s\n", word);
	free(word);
	return report(what, rc, &c->reply);
}

static int cmd_tags(struct cli *c, int argc, char **argv)
{
	return word_command(c, "tags", argc, argv, c->s.ops->get_tags);
}

static int cmd_acl(struct cli *c, int argc, char **argv)
{
	return word_command(c, "acl", argc, argv, c->s.ops->get_acl);
}

/* ---- parts ------------------------------------------------------------- */

/* Parts that several threads take one after the other. */
struct parts_job {
	struct cli *c;
	const char *key;
	const char *id; /* NULL: downloads */
	int fd;
	uint64_t size;
	uint64_t part_size;
	size_t count;
	struct oss_part *parts;
	atomic_size_t next;
	atomic_int rc;
};

struct crc_sink {
	uint64_t crc;
	uint64_t size;
};

static int crc_write(void *arg, const void *data, size_t len)
{
	struct crc_sink *s = arg;

	s->crc = crc64_update(s->crc, data, len);
	s->size += len;
	return 0;
}

static int fetch_part(struct parts_job *j, uint64_t off, uint64_t len,
		      struct oss_part *out)
{
	struct store s = j->c->s;
	struct crc_sink crc = {.crc = 0};
	struct oss_sink sink = {.write = crc_write, .arg = &crc};
	struct oss_reply reply;
	int rc = s.ops->get(s.self, j->key, off, len, NULL, &sink, &j->c->ctl,
			    NULL, &reply);

	out->crc64 = crc.crc;
	out->size = crc.size;
	return report("get", rc, &reply);
}

static int send_part(struct parts_job *j, int number, uint64_t off,
		     uint64_t len, struct oss_part *out)
{
	struct store s = j->c->s;
	struct slice slice = {.fd = j->fd, .from = off};
	struct oss_source src = {
		.read = slice_read, .arg = &slice, .size = len};
	struct oss_reply reply;
	int rc = s.ops->upload_part(s.self, j->key, j->id, number, &src,
				    &j->c->ctl, out, &reply);

	return report("upload_part", rc, &reply);
}

static void *parts_thread(void *arg)
{
	struct parts_job *j = arg;
	size_t i;

	while (atomic_load(&j->rc) == 0 &&
	       (i = atomic_fetch_add(&j->next, 1)) < j->count) {
		uint64_t off = i * j->part_size;
		uint64_t len = j->size - off < j->part_size ? j->size - off
							    : j->part_size;
		int rc =
			j->id ? send_part(j, (int)i + 1, off, len, &j->parts[i])
			      : fetch_part(j, off, len, &j->parts[i]);

		if (rc < 0)
			atomic_store(&j->rc, rc);
	}
	return NULL;
}

static int run_parts(struct parts_job *j)
{
	pthread_t threads[64];
	int n = 0;

	j->count = (size_t)((j->size + j->part_size - 1) / j->part_size);
	j->parts = calloc(j->count + 1, sizeof(*j->parts));
	if (!j->parts)
		return -ENOMEM;
	while (n < j->c->jobs && n < 64 &&
	       pthread_create(&threads[n], NULL, parts_thread, j) == 0)
		n++;
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return n ? atomic_load(&j->rc) : -EAGAIN;
}

static uint64_t join_crcs(const struct parts_job *j)
{
	uint64_t crc = 0;

	for (size_t i = 0; i < j->count; i++)
		crc = crc64_combine(crc, j->parts[i].crc64, j->parts[i].size);
	return crc;
}

static int complete(struct parts_job *j)
{
	struct cli *c = j->c;
	struct oss_put_result r;
	int rc = c->s.ops->complete(c->s.self, j->key, j->id, j->parts,
				    j->count, c->forbid, &c->cb, &c->ctl, &r);

	if (rc == 0)
		print_result(&r);
	rc = report("complete", rc, &r.reply);
	if (rc == 0 && r.has_crc64 && r.crc64 != join_crcs(j)) {
		fprintf(stderr, "osscli: the parts' CRC-64 is another\n");
		rc = -EIO;
	}
	oss_put_result_release(&r);
	return rc;
}

static int cmd_mput(struct cli *c, int argc, char **argv)
{
	struct parts_job j = {.c = c};
	char *id = NULL;
	int rc;

	if (argc != 3 || parse_size(argv[2], &j.part_size) < 0 ||
	    j.part_size == 0)
		return misused();
	j.key = argv[0];
	j.fd = open_file(argv[1], &j.size);
	if (j.fd < 0)
		return -EIO;
	rc = report("initiate",
		    c->s.ops->initiate(c->s.self, j.key, NULL, &c->ctl, &id,
				       &c->reply),
		    &c->reply);
	j.id = id;
	if (rc == 0)
		rc = run_parts(&j);
	if (rc == 0)
		rc = complete(&j);
	close(j.fd);
	free(j.parts);
	free(id);
	return rc;
}

static int cmd_mget(struct cli *c, int argc, char **argv)
{
	struct parts_job j = {.c = c, .fd = -1};
	struct oss_object o;
	int rc;

	if (argc != 2 || parse_size(argv[1], &j.part_size) < 0 ||
	    j.part_size == 0)
		return misused();
	j.key = argv[0];
	rc = c->s.ops->head(c->s.self, j.key, &c->ctl, &o, &c->reply);
	if (rc < 0)
		return report("head", rc, &c->reply);
	j.size = o.size;
	rc = run_parts(&j);
	if (rc == 0 && o.has_crc64 && join_crcs(&j) != o.crc64) {
		fprintf(stderr, "osscli: the CRC-64 is another\n");
		rc = -EIO;
	}
	free(j.parts);
	oss_object_release(&o);
	return rc;
}

static int cmd_initiate(struct cli *c, int argc, char **argv)
{
	char *id = NULL;
	int rc;

	if (argc != 1)
		return misused();
	rc = c->s.ops->initiate(c->s.self, argv[0], NULL, &c->ctl, &id,
				&c->reply);
	if (rc == 0)
		printf("%s\n", id);
	free(id);
	return report("initiate", rc, &c->reply);
}

static int cmd_part(struct cli *c, int argc, char **argv)
{
	struct oss_source src = {.read = slice_read};
	struct slice slice = {.from = 0};
	struct oss_part part;
	uint64_t number;
	int rc;

	if (argc != 4 || parse_u64(argv[2], 1, OSS_PARTS_MAX, &number) < 0)
		return misused();
	slice.fd = open_file(argv[3], &src.size);
	if (slice.fd < 0)
		return -EIO;
	src.arg = &slice;
	rc = c->s.ops->upload_part(c->s.self, argv[0], argv[1], (int)number,
				   &src, &c->ctl, &part, &c->reply);
	if (rc == 0)
		printf("etag=%s\n", part.etag);
	close(slice.fd);
	return report("part", rc, &c->reply);
}

static int cmd_parts(struct cli *c, int argc, char **argv)
{
	struct oss_part *parts = NULL;
	size_t count = 0;
	int rc;

	if (argc != 2)
		return misused();
	rc = c->s.ops->list_parts(c->s.self, argv[0], argv[1], &c->ctl, &parts,
				  &count, &c->reply);
	for (size_t i = 0; i < count; i++)
		printf("%d %" PRIu64 " %s\n", parts[i].number, parts[i].size,
		       parts[i].etag);
	free(parts);
	return report("parts", rc, &c->reply);
}

static int cmd_abort(struct cli *c, int argc, char **argv)
{
	if (argc != 2)
		return misused();
	return report("abort",
		      c->s.ops->abort(c->s.self, argv[0], argv[1], &c->ctl,
				      &c->reply),
		      &c->reply);
}

static int cmd_uploads(struct cli *c, int argc, char **argv)
{
	struct oss_upload *list = NULL;
	size_t count = 0;
	int rc = c->s.ops->list_uploads(c->s.self, argc ? argv[0] : "", &c->ctl,
					&list, &count, &c->reply);

	for (size_t i = 0; i < count; i++)
		printf("%s %s\n", list[i].upload_id, list[i].key);
	oss_uploads_free(list, count);
	return report("uploads", rc, &c->reply);
}

/* One byte more on an object of any size: the bulk of it does not move. */
static int cmd_append(struct cli *c, int argc, char **argv)
{
	struct parts_job j = {.c = c, .count = 2};
	struct oss_part parts[2];
	struct oss_source src = {.read = slice_read};
	struct slice slice = {.from = 0};
	struct oss_object o;
	char *id = NULL;
	int rc;

	if (argc != 2)
		return misused();
	slice.fd = open_file(argv[1], &src.size);
	if (slice.fd < 0)
		return -EIO;
	src.arg = &slice;
	j.key = argv[0];
	j.parts = parts;
	rc = c->s.ops->head(c->s.self, j.key, &c->ctl, &o, &c->reply);
	if (rc == 0)
		rc = c->s.ops->initiate(c->s.self, j.key, NULL, &c->ctl, &id,
					&c->reply);
	j.id = id;
	if (rc == 0)
		rc = c->s.ops->upload_part_copy(c->s.self, j.key, id, 1, j.key,
						o.etag, 0, o.size, &c->ctl,
						&parts[0], &c->reply);
	if (rc == 0)
		rc = c->s.ops->upload_part(c->s.self, j.key, id, 2, &src,
					   &c->ctl, &parts[1], &c->reply);
	rc = report("append", rc, &c->reply);
	if (rc == 0) {
		parts[0].crc64 = o.crc64;
		rc = complete(&j);
	}
	close(slice.fd);
	oss_object_release(&o);
	free(id);
	return rc;
}

static int cmd_probe(struct cli *c, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return report("probe",
		      oss_client_probe(c->client,
				       c->ctl.deadline_ms - clock_mono_ms(),
				       &c->reply),
		      &c->reply);
}

static int cmd_versioning(struct cli *c, int argc, char **argv)
{
	bool on = false;
	int rc = oss_client_versioning(c->client, &on);

	(void)argc;
	(void)argv;
	if (rc == 0)
		printf("%s\n", on ? "on" : "off");
	return report("versioning", rc, &c->reply);
}

/* ---- the command line -------------------------------------------------- */

static const struct {
	const char *name;
	int (*run)(struct cli *c, int argc, char **argv);
} commands[] = {
	{"put",        cmd_put       },
	{"get",        cmd_get       },
	{"head",       cmd_head      },
	{"list",       cmd_list      },
	{"rm",         cmd_rm        },
	{"rmm",        cmd_rmm       },
	{"copy",       cmd_copy      },
	{"append",     cmd_append    },
	{"mput",       cmd_mput      },
	{"mget",       cmd_mget      },
	{"initiate",   cmd_initiate  },
	{"part",       cmd_part      },
	{"parts",      cmd_parts     },
	{"abort",      cmd_abort     },
	{"uploads",    cmd_uploads   },
	{"tags",       cmd_tags      },
	{"acl",        cmd_acl       },
	{"probe",      cmd_probe     },
	{"versioning", cmd_versioning},
};

static int take_option(struct cli *c, struct oss_conf *conf, int opt)
{
	int64_t n = 0;

	switch (opt) {
	case 'e':
		conf->endpoint = optarg;
		return 0;
	case 'b':
		conf->bucket = optarg;
		return 0;
	case 'r':
		conf->region = optarg;
		return 0;
	case '1':
		conf->signature = OSS_SIGN_V1;
		return 0;
	case 't':
		if (parse_i64(optarg, 1, INT32_MAX, &n) < 0)
			return misused();
		c->ctl.deadline_ms = clock_mono_ms() + n;
		return 0;
	case 'j':
		if (parse_i64(optarg, 1, 64, &n) < 0)
			return misused();
		c->jobs = (int)n;
		return 0;
	case 'c':
		c->cb.callback = optarg;
		c->ctl.callback_urls = 5;
		return 0;
	case 'V':
		c->cb.vars = optarg;
		return 0;
	case 'f':
		c->forbid = true;
		return 0;
	case 'v':
		log_set_level(LOG_LVL_INFO);
		return 0;
	default:
		return misused();
	}
}

static int run_command(struct cli *c, int argc, char **argv)
{
	for (size_t i = 0; argc > 0 && i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, argv[0]) == 0)
			return commands[i].run(c, argc - 1, argv + 1);
	return misused();
}

static int run(struct cli *c, const struct oss_conf *conf, int argc,
	       char **argv)
{
	const struct credentials_conf keys = {.bucket = conf->bucket};
	struct credentials *creds = NULL;
	AUTO_FREE char *why = NULL;
	int rc = credentials_new(&keys, &creds, &why);

	if (rc == 0)
		rc = oss_client_new(conf, creds, &c->client, &why);
	if (rc < 0) {
		fprintf(stderr, "osscli: %s\n", why ? why : strerror(-rc));
	} else {
		c->s = oss_client_store(c->client);
		rc = run_command(c, argc, argv);
		oss_client_free(c->client);
	}
	credentials_free(creds);
	return rc;
}

int main(int argc, char **argv)
{
	struct oss_conf conf = {.bucket = "examplebucket",
				.connect_timeout_ms = 10000,
				.request_timeout_ms = 30000,
				.max_connections = 64};
	struct cli c = {.jobs = 1, .ctl.deadline_ms = clock_mono_ms() + 60000};
	int opt;

	(void)signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LVL_WARN);
	while ((opt = getopt(argc, argv, "+e:b:r:1t:j:c:V:fv")) != -1)
		if (take_option(&c, &conf, opt) < 0)
			return 2;
	return run(&c, &conf, argc - optind, argv + optind) < 0 ? 1 : 0;
}
