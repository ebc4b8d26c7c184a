/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * ackfs-receiver: a small application server for OSS's upload callbacks.
 *
 * It is meant to be read and copied.  callback.c is the way of one callback;
 * verify.c, keycache.c and answer.c are what your own server needs: is it from
 * OSS, whose key says so, and has this delivery been answered before?
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "receiver/keyfetch.h"
#include "receiver/options.h"
#include "util/fileio.h"
#include "util/log.h"

enum { EXIT_RUNTIME = 1, EXIT_USAGE = 2 };

static int complain(const char *what, int rc)
{
	fprintf(stderr, "ackfs-receiver: %s: %s\n", what, strerror(-rc));
	return rc;
}

static int write_port_file(const char *path, uint16_t port)
{
	char text[8];
	int len = snprintf(text, sizeof(text), "%u\n", port);

	return file_write_durable(path, text, (size_t)len, 0644);
}

/* Tell that we are there: whoever waits for the line or the file may send. */
static int announce(const struct options *o, const struct server *server)
{
	bool v6 = strchr(o->server.listen, ':') != NULL;
	uint16_t port = server_port(server);
	int rc;

	if (o->port_file) {
		rc = write_port_file(o->port_file, port);
		if (rc < 0)
			return complain(o->port_file, rc);
	}
	fprintf(stderr, "ackfs-receiver: ready: http%s://%s%s%s:%u/\n",
		o->server.tls_cert ? "s" : "", v6 ? "[" : "", o->server.listen,
		v6 ? "]" : "", port);
	return 0;
}

/* Blocked in every thread; main waits for them. */
static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void wait_for_end(const sigset_t *set, struct recordlog *log)
{
	int sig, rc;

	while (sigwait(set, &sig) == 0 && sig == SIGHUP) {
		rc = recordlog_reopen(log);
		if (rc < 0)
			complain("cannot open the log again", rc);
	}
}

static void print_tally(const struct callback_stats *n)
{
	fprintf(stderr,
		"ackfs-receiver: received %" PRIuFAST64
		", verified %" PRIuFAST64 ", forged %" PRIuFAST64
		", undecided %" PRIuFAST64 ", duplicates %" PRIuFAST64 "\n",
		n->received, n->verified, n->forged, n->undecided,
		n->duplicates);
}

static int serve(const struct options *o, struct callback_service *service,
		 const sigset_t *signals)
{
	struct server_conf conf = o->server;
	struct server *server = NULL;
	int rc;

	conf.service = service;
	rc = server_start(&conf, &server);
	if (rc < 0)
		return complain("cannot listen", rc);
	rc = announce(o, server);
	if (rc == 0)
		wait_for_end(signals, service->log);
	server_stop(server);
	if (rc == 0)
		print_tally(&service->stats);
	return rc;
}

static int run(const struct options *o)
{
	struct callback_service service = {.id_field = o->id_field};
	sigset_t signals;
	int rc;

	block_signals(&signals);
	rc = keyfetch_init();
	if (rc == 0)
		rc = keycache_new(&o->keys, &service.keys);
	if (rc == 0)
		rc = answers_new(&o->answer, &service.answers);
	if (rc < 0) {
		complain("cannot start", rc);
		goto out;
	}
	rc = recordlog_open(o->log_file, &service.log);
	if (rc < 0) {
		complain(o->log_file, rc);
		goto out;
	}
	rc = serve(o, &service, &signals);
out:
	recordlog_close(service.log);
	answers_free(service.answers);
	keycache_free(service.keys);
	return rc;
}

int main(int argc, char **argv)
{
	struct options o;
	int status = EXIT_SUCCESS;

	switch (options_parse(&o, argc, argv)) {
	case OPTIONS_RUN:
		status = run(&o) < 0 ? EXIT_RUNTIME : EXIT_SUCCESS;
		break;
	case OPTIONS_DONE:
		break;
	case OPTIONS_WRONG:
		status = EXIT_USAGE;
		break;
	}
	options_release(&o);
	return status;
}
