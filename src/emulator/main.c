/* SPDX-License-Identifier: Apache-2.0 */
/* ackfs-emulator: a local server that speaks OSS.  See --help. */
#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "emulator/emulator.h"
#include "emulator/server.h"
#include "util/buf.h"
#include "util/fileio.h"
#include "util/log.h"

static int write_port_file(const char *path, uint16_t port)
{
	AUTO_FREE char *text = str_printf("%u\n", port);
	int rc;

	if (!path)
		return 0;
	rc = text ? file_write_durable(path, text, strlen(text), 0644) : -1;
	if (rc < 0)
		log_err("emulator: cannot write: file=%s", LOG_Q(path));
	return rc;
}

static int serve(struct emulator *em, const sigset_t *signals)
{
	struct server *s;
	int sig;
	int rc = server_start(em, &s);

	if (rc < 0)
		return rc;
	rc = write_port_file(em->opt->port_file, server_port(s));
	if (!rc) {
		printf("ackfs-emulator: ready: url=%s\n", em->url);
		fflush(stdout);
		sigwait(signals, &sig);
	}
	server_stop(s);
	return rc;
}

static int run(const struct emu_options *opt)
{
	struct emulator *em;
	sigset_t signals;
	int rc;

	/* Before any thread: all of them leave the signals to sigwait(). */
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return -1;
	rc = emulator_open(opt, &em);
	if (!rc) {
		rc = serve(em, &signals);
		emulator_close(em);
	}
	curl_global_cleanup();
	return rc;
}

int main(int argc, char **argv)
{
	struct emu_options opt;
	bool done;
	int rc = options_parse(&opt, argc, argv, &done);
	int status = EXIT_SUCCESS;

	if (rc < 0)
		status = 2;
	else if (!done && run(&opt) < 0)
		status = EXIT_FAILURE;
	options_release(&opt);
	return status;
}
