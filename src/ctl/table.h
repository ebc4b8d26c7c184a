/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Text tables: columns as wide as their widest cell.
 *
 *     AUTO(table_release) struct table t = {0};
 *     table_row(&t, (const char *[]){"ID", "SIZE", "KEY"}, 3);
 *     ...
 *     table_print(&t, stdout);
 *
 * Widths are counted in terminal columns where the locale knows them.
 *
 * Layer    ctl.
 */
#ifndef ACKFS_CTL_TABLE_H
#define ACKFS_CTL_TABLE_H

#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 8 };

struct table {
	char **cells; /* row by row */
	size_t rows, columns;
	int err;
	unsigned right; /* bits of columns that are set to the right */
};

void table_release(struct table *t);
/** Every row has as many cells as the first. Errors are sticky. */
void table_row(struct table *t, const char *const *cells, size_t count);
/** The last column is not padded. @return 0 or -ENOMEM */
int table_print(const struct table *t, FILE *to);
/** Columns that text takes on a terminal. */
size_t text_width(const char *text);

#endif
