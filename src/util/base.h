/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Small things that every file uses: scoped cleanup, hand-over of ownership,
 * array length, function attributes.
 */
#ifndef ACKFS_UTIL_BASE_H
#define ACKFS_UTIL_BASE_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define ACK_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define ACK_MUST_CHECK __attribute__((warn_unused_result))

/* clang -Wthread-safety; gcc knows none of them. */
#ifdef __clang__
#define ACK_CAPABILITY(name) __attribute__((capability(name)))
#define ACK_REQUIRES(...) __attribute__((requires_capability(__VA_ARGS__)))
#define ACK_EXCLUDES(...) __attribute__((locks_excluded(__VA_ARGS__)))
#define ACK_ACQUIRE(...) __attribute__((acquire_capability(__VA_ARGS__)))
#define ACK_RELEASE(...) __attribute__((release_capability(__VA_ARGS__)))
#define ACK_NO_ANALYSIS __attribute__((no_thread_safety_analysis))
#else
#define ACK_CAPABILITY(name)
#define ACK_REQUIRES(...)
#define ACK_EXCLUDES(...)
#define ACK_ACQUIRE(...)
#define ACK_RELEASE(...)
#define ACK_NO_ANALYSIS
#endif

/* Run fn(&variable) at the end of the scope.  Initialise such variables.  One that is
   there for its end alone is no unused one. */
#define AUTO(fn) __attribute__((cleanup(fn), unused))
#define AUTO_FREE AUTO(auto_free)
#define AUTO_CLOSE AUTO(auto_close)

static inline void auto_free(void *p)
{
	void *v;

	/* Not through a void **: the variable is of another type. */
	memcpy(&v, p, sizeof(v));
	free(v);
}

static inline void auto_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/** The pointer's value; the variable is NULL from here on, so that its
 *  cleanup does nothing: a visible hand-over. */
#define take_ptr(p)                                                            \
	__extension__({                                                        \
		__typeof__(p) *take_from_ = &(p);                              \
		__typeof__(p) taken_ = *take_from_;                            \
                                                                               \
		*take_from_ = NULL;                                            \
		taken_;                                                        \
	})

/** The same for a descriptor: the variable becomes -1. */
static inline int take_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

#endif
