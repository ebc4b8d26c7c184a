/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What every fuzz target is: libFuzzer (make fuzz) and replay.c (any
 * compiler, the files of tests/fuzz/corpus) call this.
 *
 * A target aborts when a promise of the code under test is broken.
 */
#ifndef ACKFS_TESTS_FUZZ_H
#define ACKFS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Not assert(): it must hold in release builds too. */
#define PROMISE(is_true)                                                       \
	do {                                                                   \
		if (!(is_true)) {                                              \
			fprintf(stderr, "%s:%d: broken: %s\n", __FILE__,       \
				__LINE__, #is_true);                           \
			abort();                                               \
		}                                                              \
	} while (0)

/** The input as a string; free() it. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	PROMISE(text != NULL);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

#endif
