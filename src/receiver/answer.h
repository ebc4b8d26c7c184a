/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the server answers: a template, and a memory of what it has answered.
 *
 * Callbacks are delivered at least once, so each carries a delivery id that is
 * the same in every repetition.  The first delivery is work to do; a later one
 * gets the same answer again and does nothing.  A callback that was answered
 * with another status than 200 was not done, and is not remembered: its
 * repetition is the first one that counts.
 *
 * Your own server keeps the ids where it keeps the result of the work, and
 * writes both in one transaction (a table with a unique column does).  This
 * one forgets the oldest after ANSWERS_MAX_COUNT ids or ANSWERS_MAX_BYTES.
 *
 * Threads  answers_next(), answers_override() from any.  Never blocks.
 */
#ifndef ACKFS_RECEIVER_ANSWER_H
#define ACKFS_RECEIVER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "util/buf.h"

#define ANSWERS_MAX_COUNT 10000
#define ANSWERS_MAX_BYTES ((size_t)16 << 20)

#define ANSWER_DEFAULT "{\"Status\":\"OK\",\"n\":%{n},\"id\":\"%{id}\"}"

/** How to answer; the texts are borrowed from the command line. */
struct answer_conf {
	unsigned status; /* 200, or one to try out: 100-599 */
	int64_t delay_ms;
	/** Expanded: %{n} the running number of this piece of work, %{id} the
	 *  delivery id, %{NAME} the body's field NAME, each escaped as the
	 *  inside of a JSON string; what is not there is empty. */
	const char *template;
	/** Sent as it is, instead of the template; NULL: none. */
	const struct buf *verbatim;
	size_t max_count; /* 0: ANSWERS_MAX_COUNT */
	size_t max_bytes; /* 0: ANSWERS_MAX_BYTES */
};

/** Another behaviour for a while: a server that is down, slow, or flaky. */
struct answer_override {
	unsigned status;
	int64_t delay_ms;
	uint64_t count;   /* of callbacks; 0: until the next override */
	unsigned percent; /* that many of 100 callbacks, at random */
};

struct answer {
	unsigned status;
	int64_t delay_ms;
	bool is_duplicate; /* this id has been answered before */
	struct buf body;   /* release it */
};

struct answers;

/** @return 0; -ENOMEM */
int answers_new(const struct answer_conf *conf, struct answers **out);
void answers_free(struct answers *a);

/**
 * Decide about one genuine callback, and remember it.
 *
 * @param id      delivery id; NULL: it has none, and is new each time
 * @param fields  the body's; may be NULL
 * @param out     set on success only
 * @return 0; -ENOMEM, -EMSGSIZE
 */
int answers_next(struct answers *a, const char *id, const json_t *fields,
		 struct answer *out);

/** Take this from the next callback on; NULL: back to the configuration. */
void answers_override(struct answers *a, const struct answer_override *o);

/** Check a template. @return 0; -EINVAL for a "%{" that never ends */
int answer_template_check(const char *template);

#endif
