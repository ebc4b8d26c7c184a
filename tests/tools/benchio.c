/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the benchmarks ask of a mount that no everyday program does:
 *
 *     benchio offsets THREADS READS SIZE SEED   lines "THREAD OFFSET": where
 *                                               randread reads, for curl
 *     benchio randread THREADS READS SIZE SEED FILE
 *                          each thread reads 4 KiB at READS places in turn
 *     benchio names FOLDER lines "milliseconds names": the first name that
 *                          readdir gives, and the last
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/base.h"
#include "util/strnum.h"

enum { PIECE = 4096, THREADS_MAX = 256 };

struct plan {
	uint64_t threads, reads, size, seed;
};

struct worker {
	const struct plan *plan;
	uint64_t no;
	const char *file;
	pthread_t id;
	int rc;
};

/* splitmix64: the same places in every run, and another path for each. */
static uint64_t offset_of(const struct plan *p, uint64_t thread, uint64_t i)
{
	uint64_t z = p->seed + (thread * p->reads + i + 1) * 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % (p->size / PIECE) * PIECE;
}

static int parse_plan(char **arg, struct plan *p)
{
	if (parse_u64(arg[0], 1, THREADS_MAX, &p->threads) < 0 ||
	    parse_u64(arg[1], 1, UINT32_MAX, &p->reads) < 0 ||
	    parse_u64(arg[2], PIECE, INT64_MAX, &p->size) < 0 ||
	    parse_u64(arg[3], 0, UINT64_MAX, &p->seed) < 0)
		return -EINVAL;
	return 0;
}

static int print_offsets(const struct plan *p)
{
	for (uint64_t t = 0; t < p->threads; t++)
		for (uint64_t i = 0; i < p->reads; i++)
			printf("%" PRIu64 " %" PRIu64 "\n", t,
			       offset_of(p, t, i));
	return 0;
}

/* ---- random reads ------------------------------------------------------ */

static int read_places(const struct worker *w)
{
	char piece[PIECE];
	AUTO_CLOSE int fd = open(w->file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (uint64_t i = 0; i < w->plan->reads; i++) {
		off_t at = (off_t)offset_of(w->plan, w->no, i);
		ssize_t n = pread(fd, piece, PIECE, at);

		if (n != PIECE)
			return n < 0 ? -errno : -EIO;
	}
	return 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	w->rc = read_places(w);
	return NULL;
}

static int randread(const struct plan *p, const char *file)
{
	struct worker workers[THREADS_MAX];
	uint64_t started = 0;
	int rc = 0;

	for (; started < p->threads && rc == 0; started++) {
		workers[started] = (struct worker){p, started, file, 0, 0};
		rc = -pthread_create(&workers[started].id, NULL, work,
				     &workers[started]);
	}
	if (rc < 0)
		started--;
	for (uint64_t i = 0; i < started; i++) {
		pthread_join(workers[i].id, NULL);
		if (rc == 0)
			rc = workers[i].rc;
	}
	return rc;
}

/* ---- names ------------------------------------------------------------- */

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static int names(const char *folder)
{
	double start = now_ms();
	const struct dirent *e;
	uint64_t count = 0;
	DIR *d = opendir(folder);

	if (!d)
		return -errno;
	while ((void)(errno = 0), (e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (++count == 1) {
			printf("%.1f 1\n", now_ms() - start);
			fflush(stdout); /* who is stopped later has said it */
		}
	}
	if (errno) {
		int rc = -errno;

		closedir(d);
		return rc;
	}
	printf("%.1f %" PRIu64 "\n", now_ms() - start, count);
	closedir(d);
	return 0;
}

int main(int argc, char **argv)
{
	struct plan p;
	int rc = -EINVAL;

	if (argc == 3 && strcmp(argv[1], "names") == 0)
		rc = names(argv[2]);
	else if (argc >= 6 && parse_plan(argv + 2, &p) == 0) {
		if (argc == 6 && strcmp(argv[1], "offsets") == 0)
			rc = print_offsets(&p);
		else if (argc == 7 && strcmp(argv[1], "randread") == 0)
			rc = randread(&p, argv[6]);
	}
	if (rc < 0)
		fprintf(stderr, "benchio: %s\n", strerror(-rc));
	return rc < 0;
}
