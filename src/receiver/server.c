/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "receiver/admin.h"
#include "util/clock.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/strnum.h"

#define IDLE_SECONDS 60U
#define DRAIN_MS 5000

struct server {
	struct server_conf conf;
	struct MHD_Daemon *daemon;
	uint16_t port;
	struct lock lock; /* rank LOCK_LEAF; guards what follows */
	struct cond changed;
	bool is_stopping;
	unsigned active; /* requests that are not answered yet */
};

/* One request, from its first line to its answer. */
struct request {
	char *target; /* raw: MHD decodes the one that it shows */
	struct buf body;
	bool has_begun;
};

static void response_freep(struct MHD_Response **r)
{
	if (*r)
		MHD_destroy_response(*r);
}

static void answer_release(struct answer *a)
{
	buf_release(&a->body);
}

/* ---- requests ---------------------------------------------------------- */

static void add_active(struct server *s, int n)
{
	lock_acquire(&s->lock);
	s->active += (unsigned)n;
	cond_broadcast(&s->changed);
	lock_release(&s->lock);
}

static void *request_new(void *cls, const char *uri, struct MHD_Connection *c)
{
	struct server *s = cls;
	struct request *r = calloc(1, sizeof(*r));

	(void)c;
	if (!r)
		return NULL;
	r->body.max = s->conf.max_body;
	r->target = strdup(uri);
	if (!r->target) {
		free(r);
		return NULL;
	}
	add_active(s, 1);
	return r;
}

static void request_done(void *cls, struct MHD_Connection *c, void **arg,
			 enum MHD_RequestTerminationCode code)
{
	struct request *r = *arg;

	(void)c;
	(void)code;
	if (!r)
		return;
	add_active(cls, -1);
	buf_release(&r->body);
	free(r->target);
	free(r);
	*arg = NULL;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static bool announces_too_much(struct MHD_Connection *c, size_t max)
{
	const char *text = header(c, "Content-Length");
	uint64_t len;

	return text && parse_u64(text, 0, max, &len) < 0;
}

static enum MHD_Result add_header(void *arg, enum MHD_ValueKind kind,
				  const char *name, const char *value)
{
	(void)kind;
	return kvs_add(arg, name, value ? value : "") == 0 ? MHD_YES : MHD_NO;
}

static const struct sockaddr *client_addr(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info;

	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	return info ? info->client_addr : NULL;
}

static bool is_loopback(const struct sockaddr *sa)
{
	const void *p = sa;

	if (sa && sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = p;

		return (ntohl(in->sin_addr.s_addr) >> 24) == IN_LOOPBACKNET;
	}
	if (sa && sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = p;

		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	}
	return false;
}

static const char *addr_text(const struct sockaddr *sa, char *out, size_t size)
{
	socklen_t len = sa && sa->sa_family == AF_INET6
				? sizeof(struct sockaddr_in6)
				: sizeof(struct sockaddr_in);

	if (!sa || getnameinfo(sa, len, out, (socklen_t)size, NULL, 0,
			       NI_NUMERICHOST) != 0)
		return NULL;
	return out;
}

/* ---- answers ----------------------------------------------------------- */

struct stream {
	size_t len;
	char data[];
};

static ssize_t stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
	const struct stream *s = cls;
	size_t left = s->len - (size_t)pos;
	size_t n = left < max ? left : max;

	if (n == 0)
		return MHD_CONTENT_READER_END_OF_STREAM;
	memcpy(out, s->data + pos, n);
	return (ssize_t)n;
}

/* An answer without a Content-Length. */
static struct MHD_Response *response_stream(const struct buf *body,
					    enum framing framing)
{
	struct stream *s = malloc(sizeof(*s) + body->len);
	struct MHD_Response *r;

	if (!s)
		return NULL;
	s->len = body->len;
	memcpy(s->data, buf_str(body), body->len);
	r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384,
					      stream_read, s, free);
	if (!r)
		free(s);
	else if (framing == FRAMING_CLOSE)
		MHD_set_response_options(r, MHD_RF_HTTP_VERSION_1_0_ONLY,
					 MHD_RO_END);
	return r;
}

static struct MHD_Response *response_new(const struct buf *body,
					 enum framing framing)
{
	if (framing != FRAMING_LENGTH)
		return response_stream(body, framing);
	/* MHD copies; it does not write through the pointer. */
	return MHD_create_response_from_buffer(body->len,
					       body->len ? body->data : NULL,
					       MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result send_json(struct MHD_Connection *c, unsigned status,
				 const struct buf *body, const char *allow)
{
	AUTO(response_freep) struct MHD_Response *r = NULL;

	r = response_new(body, FRAMING_LENGTH);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", "application/json");
	if (allow)
		MHD_add_response_header(r, "Allow", allow);
	return MHD_queue_response(c, status, r);
}

static enum MHD_Result send_error(struct MHD_Connection *c, unsigned status,
				  const char *what)
{
	AUTO(buf_release) struct buf body = BUF_INIT;

	buf_addf(&body, "{\"Status\":\"refused\",\"reason\":\"%s\"}\n", what);
	return send_json(c, status, &body, status == 405 ? "POST" : NULL);
}

static void delay(struct server *s, struct MHD_Connection *c, int64_t ms)
{
	int64_t deadline = clock_mono_ms() + ms;

	if (ms == 0)
		return;
	MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT,
				  IDLE_SECONDS + (unsigned)(ms / 1000));
	lock_acquire(&s->lock);
	while (!s->is_stopping && clock_mono_ms() < deadline)
		cond_wait_until(&s->changed, &s->lock, deadline);
	lock_release(&s->lock);
}

static enum MHD_Result send_answer(const struct server_conf *conf,
				   struct MHD_Connection *c,
				   const struct answer *answer)
{
	AUTO(response_freep) struct MHD_Response *r = NULL;

	r = response_new(&answer->body, conf->framing);
	if (!r)
		return MHD_NO;
	MHD_add_response_header(r, "Content-Type", conf->content_type);
	if (conf->redirect && answer->status / 100 == 3)
		MHD_add_response_header(r, "Location", conf->redirect);
	return MHD_queue_response(c, answer->status, r);
}

static enum MHD_Result serve_callback(struct server *s,
				      struct MHD_Connection *c,
				      const struct request *r)
{
	AUTO(kvs_release) struct kvs headers = KVS_INIT;
	AUTO(answer_release) struct answer answer = {.body = BUF_INIT};
	char client[INET6_ADDRSTRLEN];
	struct callback_in in = {
		.client = addr_text(client_addr(c), client, sizeof(client)),
		.target = r->target,
		.headers = &headers,
		.body = &r->body,
	};

	MHD_get_connection_values(c, MHD_HEADER_KIND, add_header, &headers);
	callback_handle(s->conf.service, &in, &answer);
	delay(s, c, answer.delay_ms);
	return send_answer(&s->conf, c, &answer);
}

static enum MHD_Result serve_admin(struct server *s, struct MHD_Connection *c,
				   const char *method, const struct request *r)
{
	AUTO(buf_release) struct buf reply = BUF_INIT;
	unsigned status = admin_handle(s->conf.service, method, r->target,
				       &r->body, &reply);

	return send_json(c, status, &reply, NULL);
}

/* ---- MHD --------------------------------------------------------------- */

static bool is_admin(const struct server *s, struct MHD_Connection *c,
		     const struct request *r)
{
	return s->conf.admin && admin_is_target(r->target) &&
	       is_loopback(client_addr(c));
}

/* With the headers read, before the body: refuse what can be refused now. */
static enum MHD_Result begin(const struct server *s, struct MHD_Connection *c,
			     const char *method, struct request *r)
{
	r->has_begun = true;
	if (strcmp(method, "POST") != 0 && !is_admin(s, c, r))
		return send_error(c, 405, "callbacks are POSTs");
	if (announces_too_much(c, s->conf.max_body))
		return send_error(c, 413, "the body is too long");
	return MHD_YES;
}

/* MHD calls this once for the headers, then for each piece of the body, then
 * once more. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *c,
				  const char *url, const char *method,
				  const char *version, const char *data,
				  size_t *data_len, void **arg)
{
	struct server *s = cls;
	struct request *r = *arg;

	(void)url;
	(void)version;
	if (!r)
		return MHD_NO; /* no memory: drop the connection */
	if (!r->has_begun)
		return begin(s, c, method, r);
	if (*data_len) {
		buf_add(&r->body, data, *data_len);
		*data_len = 0;
		/* Only a chunked body gets past its limit here. */
		return buf_error(&r->body) ? MHD_NO : MHD_YES;
	}
	if (is_admin(s, c, r))
		return serve_admin(s, c, method, r);
	return serve_callback(s, c, r);
}

static void on_log(void *cls, const char *fmt, va_list ap) ACK_PRINTF(2, 0);
static void on_log(void *cls, const char *fmt, va_list ap)
{
	(void)cls;
	log_vwrite(LOG_LVL_DEBUG, fmt, ap);
}

/* ---- life -------------------------------------------------------------- */

static int port_of(int fd, uint16_t *out)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} addr;
	socklen_t len = sizeof(addr);

	memset(&addr, 0, sizeof(addr));
	if (getsockname(fd, &addr.any, &len) < 0)
		return -errno;
	*out = ntohs(addr.any.sa_family == AF_INET6 ? addr.v6.sin6_port
						    : addr.v4.sin_port);
	return 0;
}

static int bind_and_listen(const struct addrinfo *ai, int *out)
{
	AUTO_CLOSE int fd = -1;
	int on = 1;

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
	    listen(fd, SOMAXCONN) < 0)
		return -errno;
	*out = take_fd(&fd);
	return 0;
}

static int listen_on(const char *addr, uint16_t port, int *out)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	struct addrinfo *ai;
	char service[8];
	int rc;

	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(addr, service, &hints, &ai) != 0)
		return -EINVAL;
	rc = bind_and_listen(ai, out);
	freeaddrinfo(ai);
	return rc;
}

static int daemon_start(struct server *s, int fd)
{
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION |
			 MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
			 MHD_USE_ITC | MHD_USE_ERROR_LOG;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_END, 0, NULL},
		{MHD_OPTION_END, 0, NULL},
		{MHD_OPTION_END, 0, NULL},
	};

	if (s->conf.tls_cert) {
		flags |= MHD_USE_TLS;
		tls[0].option = MHD_OPTION_HTTPS_MEM_CERT;
		tls[0].ptr_value = (void *)(uintptr_t)s->conf.tls_cert;
		tls[1].option = MHD_OPTION_HTTPS_MEM_KEY;
		tls[1].ptr_value = (void *)(uintptr_t)s->conf.tls_key;
	}
	s->daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
		on_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_URI_LOG_CALLBACK, request_new, s,
		MHD_OPTION_NOTIFY_COMPLETED, request_done, s,
		MHD_OPTION_CONNECTION_LIMIT, SERVER_MAX_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_ARRAY,
		tls, MHD_OPTION_END);
	return s->daemon ? 0 : -EIO;
}

int server_start(const struct server_conf *conf, struct server **out)
{
	AUTO_CLOSE int fd = -1;
	struct server *s;
	int rc;

	rc = listen_on(conf->listen, conf->port, &fd);
	if (rc < 0)
		return rc;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->conf = *conf;
	lock_init(&s->lock, LOCK_LEAF);
	cond_init(&s->changed);
	rc = port_of(fd, &s->port);
	if (rc == 0)
		rc = daemon_start(s, fd);
	if (rc < 0)
		goto undo;
	take_fd(&fd); /* MHD closes it */
	*out = s;
	return 0;

undo:
	cond_destroy(&s->changed);
	lock_destroy(&s->lock);
	free(s);
	return rc;
}

uint16_t server_port(const struct server *s)
{
	return s->port;
}

/* MHD_stop_daemon() cuts what is under way, so that is waited for before. */
static void drain(struct server *s)
{
	int64_t deadline = clock_mono_ms() + DRAIN_MS;
	int fd = MHD_quiesce_daemon(s->daemon);

	if (fd >= 0)
		close(fd);
	lock_acquire(&s->lock);
	s->is_stopping = true;
	cond_broadcast(&s->changed);
	while (s->active && clock_mono_ms() < deadline)
		cond_wait_until(&s->changed, &s->lock, deadline);
	lock_release(&s->lock);
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	drain(s);
	MHD_stop_daemon(s->daemon);
	cond_destroy(&s->changed);
	lock_destroy(&s->lock);
	free(s);
}
