/* SPDX-License-Identifier: Apache-2.0 */
#include "util/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "util/base.h"

/* libcurl, OpenSSL and the resolver need some; address space is all it
 * costs until it is used. */
enum { STACK_BYTES = 1 << 20 };

struct start {
	void *(*fn)(void *);
	void *arg;
	char name[16];
};

static void *run(void *p)
{
	struct start s = *(struct start *)p;

	free(p);
	pthread_setname_np(pthread_self(), s.name);
	return s.fn(s.arg);
}

static int set_attributes(pthread_attr_t *attr, int detach_state)
{
	int rc = pthread_attr_setdetachstate(attr, detach_state);

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	if (rc == 0)
		rc = pthread_attr_setstacksize(attr, STACK_BYTES);
#endif
	return rc;
}

/* The new thread inherits the mask: signals go to the main thread alone. */
static int create_masked(pthread_t *out, const pthread_attr_t *attr,
			 struct start *s)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	rc = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (rc != 0)
		return rc;
	rc = pthread_create(out, attr, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

static int start(pthread_t *out, int detach_state, const char *name,
		 void *(*fn)(void *), void *arg)
{
	AUTO_FREE struct start *s = calloc(1, sizeof(*s));
	pthread_attr_t attr;
	pthread_t id;
	int rc;

	if (!s)
		return -ENOMEM;
	s->fn = fn;
	s->arg = arg;
	snprintf(s->name, sizeof(s->name), "%s", name);
	rc = pthread_attr_init(&attr);
	if (rc != 0)
		return -rc;
	rc = set_attributes(&attr, detach_state);
	if (rc == 0)
		rc = create_masked(&id, &attr, s);
	pthread_attr_destroy(&attr);
	if (rc != 0)
		return -rc;
	(void)take_ptr(s); /* run() frees it */
	if (out)
		*out = id;
	return 0;
}

int thread_start(pthread_t *out, const char *name, void *(*fn)(void *),
		 void *arg)
{
	return start(out, PTHREAD_CREATE_JOINABLE, name, fn, arg);
}

int thread_start_detached(const char *name, void *(*fn)(void *), void *arg)
{
	return start(NULL, PTHREAD_CREATE_DETACHED, name, fn, arg);
}
