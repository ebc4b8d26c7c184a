/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "test.h"

enum { WORDS_MAX = 16 };

void ctl_run_release(struct ctl_run *r)
{
	buf_release(&r->out);
	buf_release(&r->err);
}

/* The stream goes to a nameless file from here on. @return what it was */
static int redirect(FILE *stream, int fd, FILE *to)
{
	int was;

	fflush(stream);
	was = dup(fd);
	assert_true(was >= 0);
	assert_true(dup2(fileno(to), fd) >= 0);
	return was;
}

static void restore(FILE *stream, int fd, int was)
{
	fflush(stream);
	assert_true(dup2(was, fd) >= 0);
	close(was);
}

static void slurp(FILE *from, struct buf *out)
{
	char piece[4096];
	size_t n;

	rewind(from);
	while ((n = fread(piece, 1, sizeof(piece), from)) > 0)
		buf_add(out, piece, n);
	fclose(from);
}

struct ctl_run ctl_run(const char *const *words)
{
	struct ctl_run r = {.out = BUF_INIT, .err = BUF_INIT};
	char *argv[WORDS_MAX + 2] = {str_dup("ackctl")};
	char *mine[WORDS_MAX + 2]; /* getopt changes the order */
	FILE *out = tmpfile(), *err = tmpfile(), *in = tmpfile();
	int argc = 1, fd[3];

	assert_non_null(out);
	assert_non_null(err);
	assert_non_null(in);
	for (; words[argc - 1]; argc++) {
		assert_true(argc <= WORDS_MAX);
		argv[argc] = str_dup(words[argc - 1]);
	}
	memcpy(mine, argv, sizeof(mine));
	fd[0] = redirect(stdin, STDIN_FILENO, in);
	fd[1] = redirect(stdout, STDOUT_FILENO, out);
	fd[2] = redirect(stderr, STDERR_FILENO, err);
	r.status = ctl_main(argc, argv);
	restore(stderr, STDERR_FILENO, fd[2]);
	restore(stdout, STDOUT_FILENO, fd[1]);
	restore(stdin, STDIN_FILENO, fd[0]);
	slurp(out, &r.out);
	slurp(err, &r.err);
	fclose(in);
	for (int i = 0; i < argc; i++)
		free(mine[i]);
	return r;
}
