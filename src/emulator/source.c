/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/source.h"

#include <stdio.h>
#include <string.h>

#include "emulator/emulator.h"
#include "util/fileio.h"

#define BLOCK ((size_t)1 << 20)

struct source {
	struct faults *faults;
	struct object *object; /* NULL: memory */
	char *memory;
	uint64_t offset; /* of the answer in the object */
	uint64_t length;
	struct pace pace;
	uint64_t rate;
	uint64_t cut_at;     /* end with an error there; UINT64_MAX: never */
	uint64_t corrupt_at; /* flip this byte; UINT64_MAX: none */
	const struct segment *open; /* that fd belongs to */
	int fd;
};

static void source_free(void *arg)
{
	struct source *s = arg;

	if (s->fd >= 0)
		close(s->fd);
	object_put(s->object);
	free(s->memory);
	free(s);
}

/* The segment with that byte of the body; *begin is where it starts. */
static const struct segment *segment_at(const struct body *b, uint64_t pos,
					uint64_t *begin)
{
	uint64_t at = 0;

	for (size_t i = 0; i < b->count; i++) {
		if (pos < at + b->segs[i].len) {
			*begin = at;
			return &b->segs[i];
		}
		at += b->segs[i].len;
	}
	return NULL;
}

static ssize_t read_object(struct source *s, uint64_t pos, char *buf,
			   size_t max)
{
	uint64_t begin = 0;
	const struct segment *seg =
		segment_at(s->object->body, s->offset + pos, &begin);
	uint64_t in_seg;
	uint64_t left;

	if (!seg)
		return -1;
	if (seg != s->open) {
		if (s->fd >= 0)
			close(s->fd);
		s->fd = blob_open(seg->blob);
		s->open = seg;
	}
	if (s->fd < 0)
		return -1;
	in_seg = s->offset + pos - begin;
	left = seg->len - in_seg;
	return fd_pread_all(s->fd, buf, left < max ? (size_t)left : max,
			    seg->off + in_seg);
}

static ssize_t read_some(void *arg, uint64_t pos, char *buf, size_t max)
{
	struct source *s = arg;
	ssize_t n;

	if (pos >= s->cut_at)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (max > s->cut_at - pos)
		max = (size_t)(s->cut_at - pos);
	if (max > s->length - pos)
		max = (size_t)(s->length - pos);
	if (s->rate)
		max = pace_block(s->rate, max);
	if (s->object) {
		n = read_object(s, pos, buf, max);
	} else {
		memcpy(buf, s->memory + pos, max);
		n = (ssize_t)max;
	}
	if (n <= 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (s->corrupt_at >= pos && s->corrupt_at < pos + (uint64_t)n)
		buf[s->corrupt_at - pos] ^= 0x20;
	pace_bytes(&s->pace, s->faults, s->rate, (size_t)n);
	return n;
}

struct MHD_Response *source_response(struct exchange *x, uint64_t rate)
{
	struct source *s = calloc(1, sizeof(*s));
	struct MHD_Response *r;

	if (!s)
		return NULL;
	s->faults = x->em->faults;
	s->fd = -1;
	s->rate = rate;
	s->cut_at = UINT64_MAX;
	s->corrupt_at = UINT64_MAX;
	if (x->reply.object) {
		s->object = take_ptr(x->reply.object);
		s->offset = x->reply.offset;
		s->length = x->reply.length;
	} else {
		s->length = x->reply.body.len;
		s->memory = buf_detach(&x->reply.body);
	}
	if (x->fault.kind == FAULT_TRUNCATE)
		s->cut_at = x->fault.bytes;
	if (x->fault.kind == FAULT_CORRUPT)
		s->corrupt_at = s->length / 2;
	r = MHD_create_response_from_callback(s->length, BLOCK, read_some, s,
					      source_free);
	if (!r)
		source_free(s);
	return r;
}
