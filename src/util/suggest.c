/* SPDX-License-Identifier: Apache-2.0 */
#include "util/suggest.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 40

static size_t min2(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int fold(char c)
{
	return c == '-' ? '_' : tolower((unsigned char)c);
}

/* Optimal string alignment: Levenshtein and swapped neighbours. */
static size_t typing_errors(const char *a, size_t la, const char *b, size_t lb)
{
	size_t rows[3][WORD_MAX + 1] = {{0}};

	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *now = rows[i % 3];
		const size_t *last = rows[(i - 1) % 3];
		const size_t *older = rows[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t same = fold(a[i - 1]) == fold(b[j - 1]) ? 0 : 1;

			now[j] = min2(min2(last[j], now[j - 1]) + 1,
				      last[j - 1] + same);
			if (i > 1 && j > 1 &&
			    fold(a[i - 1]) == fold(b[j - 2]) &&
			    fold(a[i - 2]) == fold(b[j - 1]))
				now[j] = min2(now[j], older[j - 2] + 1);
		}
	}
	return rows[la % 3][lb];
}

void suggestion_try(struct suggestion *s, const char *word)
{
	size_t have = strlen(s->text), len = strlen(word);
	size_t errors;

	if (have == 0 || have > WORD_MAX || len > WORD_MAX)
		return;
	errors = typing_errors(s->text, have, word, len);
	if (errors > 1 && errors > (have < len ? have : len) / 3)
		return;
	if (errors >= len || (s->best && errors >= s->errors))
		return;
	s->best = word;
	s->errors = errors;
}
