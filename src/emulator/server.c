/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "emulator/admin.h"
#include "emulator/callback_key.h"
#include "emulator/emulator.h"
#include "emulator/exchange.h"
#include "emulator/pace.h"
#include "emulator/reqlog.h"
#include "emulator/source.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/fileio.h"
#include "util/log.h"

/* Headers, and a window of a body; the library zeroes it after each request. */
#define CONNECTION_MEMORY ((size_t)128 << 10)
#define CONNECTION_LIMIT 4000U
#define BACKLOG 1024
#define THREAD_STACK ((size_t)1 << 20)
#define ADMIN_BODY_MAX ((uint64_t)1 << 20)
#define PEM_MAX ((size_t)1 << 20)

struct server {
	struct emulator *em;
	struct MHD_Daemon *daemon;
	atomic_uint_fast64_t connections;
	uint16_t port;
	struct buf tls_cert, tls_key; /* PEM; empty: plain http */
};

/* What lives as long as a connection. */
struct connection {
	uint64_t number;
	struct pace in;
};

/* What lives as long as a request. */
struct call {
	struct server *server;
	char *target; /* as received */
	bool has_begun;
	bool is_admin;
	struct exchange x;
};

/* ---- connections and requests come and go ---- */

static void on_connection(void *cls, struct MHD_Connection *conn,
			  void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct server *s = cls;
	struct connection *c;

	(void)conn;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		free(*context);
		*context = NULL;
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c)
		c->number = atomic_fetch_add(&s->connections, 1) + 1;
	*context = c;
}

static void *on_target(void *cls, const char *uri, struct MHD_Connection *conn)
{
	struct call *c = calloc(1, sizeof(*c));

	(void)conn;
	if (!c)
		return NULL;
	c->server = cls;
	c->target = str_dup(uri);
	return c;
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **context,
			 enum MHD_RequestTerminationCode how)
{
	struct call *c = *context;

	(void)cls;
	(void)conn;
	(void)how;
	if (!c)
		return;
	if (c->has_begun)
		exchange_release(&c->x);
	free(c->target);
	free(c);
	*context = NULL;
}

static struct connection *connection_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(
		conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return i ? i->socket_context : NULL;
}

/* ---- resets and stalls ---- */

/* AF_UNSPEC dissolves the association: the peer gets RST at once. */
static enum MHD_Result reset(const struct exchange *x)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	if (x->socket_fd >= 0)
		(void)!connect(x->socket_fd, &none, sizeof(none));
	return MHD_NO;
}

static bool is_gone(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

/* @return false: do not go on with this request */
static bool stall(struct exchange *x, int64_t ms)
{
	return faults_stall(x->em->faults, x->fault.rule, ms, is_gone,
			    x->socket_fd);
}

/* ---- the answer ---- */

static void add_header(struct MHD_Response *r, const struct exchange *x,
		       const char *name, const char *value)
{
	AUTO_FREE char *amz = NULL;

	if (x->req.dialect == DIALECT_S3 &&
	    strncasecmp(name, "x-oss-", 6) == 0) {
		amz = str_printf("x-amz-%s", name + 6);
		name = amz;
	}
	if (name && MHD_add_response_header(r, name, value) != MHD_YES)
		log_warn("reply: header refused: name=%s", LOG_Q(name));
}

static void add_headers(struct MHD_Response *r, struct exchange *x)
{
	char date[CLOCK_TEXT_LEN];
	char took[24];

	for (size_t i = 0; i < x->reply.headers.count; i++)
		add_header(r, x, x->reply.headers.items[i].name,
			   x->reply.headers.items[i].value);
	snprintf(took, sizeof(took), "%" PRId64, clock_mono_ms() - x->start_ms);
	add_header(r, x, "Server", "AliyunOSS");
	add_header(r, x, "Date", clock_http_date(date, emulator_now_ms(x->em)));
	add_header(r, x, "x-oss-request-id", x->req.id);
	add_header(r, x, "x-oss-server-time", took);
	(void)MHD_set_response_options(r, MHD_RF_SEND_KEEP_ALIVE_HEADER,
				       MHD_RO_END);
}

static ssize_t read_nothing(void *arg, uint64_t pos, char *buf, size_t max)
{
	(void)arg;
	(void)pos;
	(void)buf;
	(void)max;
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* The cap on the answer's body. */
static uint64_t rate_of(const struct exchange *x)
{
	if (x->fault.kind == FAULT_BANDWIDTH || x->fault.kind == FAULT_TRICKLE)
		return x->fault.rate;
	return x->rate ? x->rate : x->em->opt->bandwidth;
}

/* The same for the request's. */
static uint64_t receive_rate(const struct exchange *x)
{
	if (x->fault.kind == FAULT_BANDWIDTH)
		return x->fault.rate;
	return x->rate ? x->rate : x->em->opt->bandwidth;
}

static bool needs_source(const struct exchange *x)
{
	return rate_of(x) || x->fault.kind == FAULT_TRUNCATE ||
	       x->fault.kind == FAULT_CORRUPT ||
	       (x->reply.object && x->reply.object->body->count > 1);
}

/* One blob: the kernel sends it (sendfile). */
static struct MHD_Response *file_response(const struct exchange *x)
{
	const struct segment *seg = &x->reply.object->body->segs[0];
	struct MHD_Response *r;
	int fd = blob_open(seg->blob);

	if (fd < 0)
		return NULL;
	r = MHD_create_response_from_fd_at_offset64(x->reply.length, fd,
						    seg->off + x->reply.offset);
	if (!r)
		close(fd);
	return r;
}

static uint64_t length_of(const struct exchange *x)
{
	if (x->reply.head_only)
		return 0;
	return x->reply.object ? x->reply.length : x->reply.body.len;
}

static struct MHD_Response *make_response(struct exchange *x)
{
	if (x->reply.head_only)
		return MHD_create_response_from_callback(
			x->reply.length, 1, read_nothing, NULL, NULL);
	if (!length_of(x))
		return MHD_create_response_from_buffer(0, NULL,
						       MHD_RESPMEM_PERSISTENT);
	if (needs_source(x))
		return source_response(x, rate_of(x));
	if (x->reply.object)
		return file_response(x);
	return MHD_create_response_from_buffer(
		x->reply.body.len, x->reply.body.data, MHD_RESPMEM_MUST_COPY);
}

static void spoil(struct exchange *x)
{
	static const char garbage[] = "\x01\x7f<<not xml>>\xff\xfe garbage";
	const char *crc;
	uint64_t value;

	if (x->fault.kind == FAULT_GARBAGE) {
		buf_reset(&x->reply.body);
		buf_add(&x->reply.body, garbage, sizeof(garbage) - 1);
		object_put(x->reply.object);
		x->reply.object = NULL;
		x->reply.head_only = false;
	}
	crc = kvs_get(&x->reply.headers, "x-oss-hash-crc64ecma");
	if (x->fault.kind == FAULT_WRONG_CRC && crc) {
		value = strtoull(crc, NULL, 10) ^ 1;
		kvs_remove(&x->reply.headers, "x-oss-hash-crc64ecma");
		reply_headerf(x, "x-oss-hash-crc64ecma", "%" PRIu64, value);
	}
}

static void account(struct call *c)
{
	struct exchange *x = &c->x;
	uint64_t out = length_of(x);

	if (c->is_admin)
		return;
	stats_add(x->em->stats, exchange_op_name(x), x->sink.received, out);
	request_log_request(x->em->log, x, out);
}

static enum MHD_Result queue(struct exchange *x, struct MHD_Connection *conn)
{
	struct MHD_Response *r = make_response(x);
	enum MHD_Result rc;

	if (!r) {
		log_err("reply: cannot be made: request_id=%s", x->req.id);
		return MHD_NO;
	}
	add_headers(r, x);
	rc = MHD_queue_response(conn, (unsigned)x->reply.status, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result respond(struct call *c, struct MHD_Connection *conn)
{
	struct exchange *x = &c->x;
	int64_t latency = c->is_admin ? 0 : x->em->opt->latency_ms;

	spoil(x);
	if (x->fault.kind == FAULT_LATENCY)
		latency += x->fault.ms;
	if (latency > 0)
		faults_stall(x->em->faults, 0, latency, NULL, -1);
	if (x->fault.kind == FAULT_STALL_AFTER && !stall(x, x->fault.ms)) {
		account(c);
		return reset(x);
	}
	account(c);
	if (x->fault.kind == FAULT_RESET_AFTER ||
	    x->fault.kind == FAULT_RESET_STORED)
		return reset(x);
	return queue(x, conn);
}

/* ---- a request ---- */

struct header_sink {
	struct request *req;
	int rc;
};

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind,
				   const char *name, const char *value)
{
	struct header_sink *h = cls;

	(void)kind;
	h->rc = request_add_header(h->req, name, value);
	return h->rc < 0 ? MHD_NO : MHD_YES;
}

static void take_peer(struct exchange *x, struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(
		conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct connection *c = connection_of(conn);

	if (i && i->client_addr->sa_family == AF_INET)
		inet_ntop(AF_INET,
			  &((struct sockaddr_in *)(void *)i->client_addr)
				   ->sin_addr,
			  x->req.client_ip, sizeof(x->req.client_ip));
	i = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	if (i)
		x->socket_fd = i->connect_fd;
	if (c)
		x->connection = c->number;
}

static void begin_admin(struct call *c)
{
	struct exchange *x = &c->x;

	/* Whoever gets callbacks may have the key that verifies them. */
	if (strncmp(x->req.client_ip, "127.", 4) != 0 &&
	    strcmp(x->req.path, CALLBACK_KEY_PATH) != 0) {
		fail(x, OE_ACCESS_DENIED);
		return;
	}
	x->sink.kind = SINK_MEMORY;
	x->sink.max = ADMIN_BODY_MAX;
}

static bool expects_continue(const struct exchange *x)
{
	const char *v = kvs_get(&x->req.headers, "Expect");

	return v && strcasecmp(v, "100-continue") == 0;
}

static enum MHD_Result begin(struct call *c, struct MHD_Connection *conn,
			     const char *method)
{
	struct exchange *x = &c->x;
	struct header_sink h = {&x->req, 0};
	int rc = exchange_init(x, c->server->em, method, c->target);

	c->has_begun = true;
	take_peer(x, conn);
	MHD_get_connection_values(conn, MHD_HEADER_KIND, take_header, &h);
	if (h.rc < 0 || rc == -ENOMEM)
		return MHD_NO;
	c->is_admin = rc == 0 && admin_is_path(x->req.path);
	if (rc < 0)
		fail(x, OE_INVALID_ARGUMENT);
	else if (c->is_admin)
		begin_admin(c);
	else
		exchange_begin(x);
	if (x->fault.kind == FAULT_RESET_BEFORE ||
	    (x->fault.kind == FAULT_STALL && !stall(x, x->fault.ms))) {
		x->reply.status = 0;
		account(c);
		return reset(x);
	}
	/* The client waits with its body: the error saves it the trouble. */
	if (x->is_decided && expects_continue(x))
		return respond(c, conn);
	return MHD_YES;
}

static enum MHD_Result receive(struct call *c, struct MHD_Connection *conn,
			       const char *data, size_t len)
{
	struct exchange *x = &c->x;
	struct connection *k = connection_of(conn);

	exchange_body(x, data, len);
	if (x->fault.kind == FAULT_RESET_DURING &&
	    x->sink.received >= x->fault.bytes) {
		x->reply.status = 0;
		account(c);
		return reset(x);
	}
	if (k)
		pace_bytes(&k->in, x->em->faults, receive_rate(x), len);
	return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *size, void **context)
{
	struct call *c = *context;
	enum MHD_Result rc;

	(void)cls;
	(void)url;
	(void)version;
	if (!c || !c->target)
		return MHD_NO;
	if (!c->has_begun)
		return begin(c, conn, method);
	if (*size) {
		rc = receive(c, conn, data, *size);
		*size = 0;
		return rc;
	}
	if (c->is_admin && !c->x.is_decided)
		admin_perform(&c->x);
	else
		exchange_finish(&c->x);
	return respond(c, conn);
}

/* ---- the daemon ---- */

static void on_log(void *cls, const char *fmt, va_list ap) ACK_PRINTF(2, 0);

static void on_log(void *cls, const char *fmt, va_list ap)
{
	(void)cls;
	if (log_get_level() >= LOG_LVL_DEBUG)
		log_vwrite(LOG_LVL_DEBUG, fmt, ap);
}

/* Paths and queries are decoded here, not by the library. */
static size_t keep_escapes(void *cls, struct MHD_Connection *conn, char *s)
{
	(void)cls;
	(void)conn;
	return strlen(s);
}

/* A listening socket of our own: the port is known before the first request
 * can arrive. */
static int open_socket(const struct emu_options *opt, uint16_t *port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_port = htons(opt->port)};
	struct sockaddr *any = (struct sockaddr *)(void *)&addr;
	socklen_t len = sizeof(addr);
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0)
		return -errno;
	inet_pton(AF_INET, opt->listen, &addr.sin_addr);
	/* A restart on the same port does not wait for old connections. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, any, sizeof(addr)) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, any, &len) < 0)
		return -errno;
	*port = ntohs(addr.sin_port);
	return take_fd(&fd);
}

/* MHD wants the texts for as long as it serves. */
static int load_tls(struct server *s)
{
	const struct emu_options *opt = s->em->opt;
	int rc;

	if (!opt->tls_cert)
		return 0;
	rc = file_read(opt->tls_cert, PEM_MAX, &s->tls_cert);
	if (rc < 0)
		log_err("server: no certificate: path=%s error=%s",
			LOG_Q(opt->tls_cert), strerror(-rc));
	if (rc == 0) {
		rc = file_read(opt->tls_key, PEM_MAX, &s->tls_key);
		if (rc < 0)
			log_err("server: no private key: path=%s error=%s",
				LOG_Q(opt->tls_key), strerror(-rc));
	}
	return rc;
}

static struct MHD_Daemon *start_daemon(struct server *s, int fd)
{
	bool tls = s->em->opt->tls_cert;
	struct MHD_OptionItem pem[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, s->tls_cert.data},
		{MHD_OPTION_HTTPS_MEM_KEY,  0, s->tls_key.data },
		{MHD_OPTION_END,            0, NULL            },
	};

	return MHD_start_daemon(
		MHD_USE_THREAD_PER_CONNECTION |
			MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
			MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_ITC |
			MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0),
		0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
		on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTION_LIMIT,
		MHD_OPTION_THREAD_STACK_SIZE, THREAD_STACK, MHD_OPTION_ARRAY,
		tls ? pem : &pem[2], MHD_OPTION_END);
}

static int listen_and_serve(struct server *s)
{
	struct emulator *em = s->em;
	AUTO_CLOSE int fd = open_socket(em->opt, &s->port);

	if (fd < 0) {
		log_err("server: cannot listen: address=%s port=%u error=%s",
			em->opt->listen, em->opt->port, strerror(-fd));
		return fd;
	}
	em->url = str_printf("%s://%s:%u", em->opt->tls_cert ? "https" : "http",
			     em->opt->listen, s->port);
	s->daemon = em->url ? start_daemon(s, fd) : NULL;
	if (!s->daemon) {
		log_err("server: libmicrohttpd does not start%s",
			em->opt->tls_cert ? "; are certificate and key a pair?"
					  : "");
		return -EIO;
	}
	(void)take_fd(&fd); /* the daemon closes it */
	return 0;
}

static void server_free(struct server *s)
{
	buf_release(&s->tls_cert);
	buf_release(&s->tls_key);
	free(s);
}

int server_start(struct emulator *em, struct server **out)
{
	struct server *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->em = em;
	atomic_init(&s->connections, 0);
	rc = load_tls(s);
	if (rc == 0)
		rc = listen_and_serve(s);
	if (rc < 0) {
		server_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

uint16_t server_port(const struct server *s)
{
	return s->port;
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	faults_stop(s->em->faults);
	MHD_stop_daemon(s->daemon);
	server_free(s);
}
