/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "util/buf.h"
#include "util/codec.h"

void table_release(struct table *t)
{
	for (size_t i = 0; i < t->rows * t->columns; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){0};
}

void table_row(struct table *t, const char *const *cells, size_t count)
{
	char **more;

	assert(count <= TABLE_COLUMNS_MAX);
	assert(!t->rows || t->columns == count);
	if (t->err)
		return;
	more = reallocarray(t->cells, (t->rows + 1) * count, sizeof(*more));
	if (!more) {
		t->err = -ENOMEM;
		return;
	}
	t->cells = more;
	t->columns = count;
	for (size_t i = 0; i < count; i++) {
		more[t->rows * count + i] = str_dup(cells[i] ? cells[i] : "-");
		if (!more[t->rows * count + i])
			t->err = -ENOMEM;
	}
	t->rows++;
}

size_t text_width(const char *text)
{
	size_t width = 0, left = strlen(text);

	while (left) {
		uint32_t code = '?';
		size_t n = utf8_next(text, left, &code);
		int columns = n ? wcwidth((wchar_t)code) : 1;

		n += !n;
		width += columns < 0 ? 1 : (size_t)columns;
		text += n;
		left -= n;
	}
	return width;
}

static void print_cell(const struct table *t, size_t column, const char *text,
		       size_t width, FILE *to)
{
	int pad = (int)(width - text_width(text));

	if (t->right & 1U << column)
		fprintf(to, "%*s%s", pad, "", text);
	else if (column + 1 == t->columns)
		fputs(text, to);
	else
		fprintf(to, "%s%*s", text, pad, "");
}

int table_print(const struct table *t, FILE *to)
{
	size_t width[TABLE_COLUMNS_MAX] = {0};

	if (t->err)
		return t->err;
	for (size_t i = 0; i < t->rows * t->columns; i++) {
		size_t w = text_width(t->cells[i]);

		if (w > width[i % t->columns])
			width[i % t->columns] = w;
	}
	for (size_t r = 0; r < t->rows; r++) {
		for (size_t c = 0; c < t->columns; c++) {
			fputs(c ? "  " : "", to);
			print_cell(t, c, t->cells[r * t->columns + c], width[c],
				   to);
		}
		fputc('\n', to);
	}
	return 0;
}
