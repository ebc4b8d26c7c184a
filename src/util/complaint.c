/* SPDX-License-Identifier: Apache-2.0 */
#include "util/complaint.h"

#include <errno.h>

#include "util/log.h"

#define SHOWN 120 /* bytes of a value, quotes and ellipsis included */

static void add_place(struct buf *b, const struct complaint_at *at)
{
	if (at->file && at->line > 0)
		buf_addf(b, "%s:%d: ", at->file, at->line);
	else if (at->file)
		buf_addf(b, "%s: ", at->file);
	else if (at->section || at->key)
		buf_adds(b, "-o ");
	if (at->section && at->key)
		buf_addf(b, "%s.%s: ", at->section, at->key);
	else if (at->section)
		buf_addf(b, "[%s]: ", at->section);
	else if (at->key)
		buf_addf(b, "%s: ", at->key);
}

void complain(struct complaints *l, const struct complaint_at *at,
	      const char *value, const char *fmt, ...)
{
	char shown[SHOWN];
	va_list ap;

	if (l->count > COMPLAINTS_MAX)
		return;
	if (l->count++ == COMPLAINTS_MAX) {
		buf_adds(&l->text, "and more\n");
		return;
	}
	add_place(&l->text, at);
	if (value)
		buf_addf(&l->text,
			 "%s: ", log_quote(shown, sizeof(shown), value));
	va_start(ap, fmt);
	buf_vaddf(&l->text, fmt, ap);
	va_end(ap);
	buf_addc(&l->text, '\n');
}

void complaints_release(struct complaints *l)
{
	buf_release(&l->text);
	l->count = 0;
}

int complaints_error(const struct complaints *l)
{
	if (buf_error(&l->text) < 0)
		return -ENOMEM;
	return l->count > 0 ? -EINVAL : 0;
}

char *complaints_take(struct complaints *l)
{
	char *text = NULL;

	if (l->count > 0 && l->text.len > 0) {
		buf_truncate(&l->text, l->text.len - 1);
		text = buf_detach(&l->text);
	}
	complaints_release(l);
	return text;
}
