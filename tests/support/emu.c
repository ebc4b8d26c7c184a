/* SPDX-License-Identifier: Apache-2.0 */
#include "emu.h"

#include <stdio.h>
#include <string.h>

void emu_open(struct emu *e)
{
	memset(e, 0, sizeof(*e));
	e->dir = test_dir_make();
	assert_int_equal(options_default(&e->opt, e->dir), 0);
	e->opt.anonymous = true;
	e->opt.buckets = NULL;
	assert_int_equal(emulator_open(&e->opt, &e->em), 0);
	emu_do(e, "PUT", "/bucket", NULL, "", 200);
}

void emu_reopen(struct emu *e)
{
	emulator_close(e->em);
	assert_int_equal(emulator_open(&e->opt, &e->em), 0);
}

void emu_close(struct emu *e)
{
	emulator_close(e->em);
	options_release(&e->opt);
	test_dir_remove(e->dir);
}

void answer_release(struct answer *a)
{
	kvs_release(&a->headers);
	buf_release(&a->body);
	memset(a, 0, sizeof(*a));
}

static void add_header(struct request *r, const char *line)
{
	const char *colon = strchr(line, ':');
	AUTO_FREE char *name = NULL;

	assert_non_null(colon);
	name = strndup(line, (size_t)(colon - line));
	colon++;
	assert_int_equal(
		request_add_header(r, name, colon + strspn(colon, " ")), 0);
}

static void add_headers(struct exchange *x, const char *const *headers,
			const void *body, size_t len)
{
	AUTO_FREE char *length = str_printf("Content-Length: %zu", len);

	if (body)
		add_header(&x->req, length);
	for (; headers && *headers; headers++)
		add_header(&x->req, *headers);
}

static void take_body(struct exchange *x, struct answer *a)
{
	const struct reply *r = &x->reply;
	AUTO_FREE char *bytes = NULL;

	if (!r->object || r->head_only) {
		buf_add(&a->body, buf_str(&r->body), r->body.len);
		return;
	}
	bytes = malloc(r->length + 1);
	assert_non_null(bytes);
	assert_int_equal(
		body_pread(r->object->body, bytes, r->length, r->offset),
		r->length);
	buf_add(&a->body, bytes, r->length);
}

void emu_request(struct emu *e, const char *method, const char *target,
		 const char *const *headers, const void *body, size_t len,
		 struct answer *a)
{
	struct exchange x;

	memset(a, 0, sizeof(*a));
	assert_int_equal(exchange_init(&x, e->em, method, target), 0);
	snprintf(x.req.client_ip, sizeof(x.req.client_ip), "127.0.0.1");
	add_headers(&x, headers, body, len);
	exchange_begin(&x);
	/* In two pieces, as it may arrive. */
	if (len)
		exchange_body(&x, body, len / 2);
	if (len)
		exchange_body(&x, (const char *)body + len / 2, len - len / 2);
	exchange_finish(&x);
	a->status = x.reply.status;
	a->auth = x.auth;
	snprintf(a->code, sizeof(a->code), "%s", x.reply.code);
	snprintf(a->operation, sizeof(a->operation), "%s",
		 exchange_op_name(&x));
	assert_int_equal(kvs_copy(&a->headers, &x.reply.headers), 0);
	take_body(&x, a);
	exchange_release(&x);
}

void emu_expect(struct emu *e, const char *method, const char *target,
		const char *const *headers, const char *body, int status,
		struct answer *a)
{
	emu_request(e, method, target, headers, body, body ? strlen(body) : 0,
		    a);
	if (a->status != status)
		fail_msg("%s %s: got %d, want %d: %s", method, target,
			 a->status, status, buf_str(&a->body));
}

void emu_do(struct emu *e, const char *method, const char *target,
	    const char *const *headers, const char *body, int status)
{
	AUTO(answer_release) struct answer a;

	emu_expect(e, method, target, headers, body, status, &a);
}

void emu_fails(struct emu *e, const char *method, const char *target,
	       const char *const *headers, const char *body, int status,
	       const char *code)
{
	AUTO(answer_release) struct answer a;

	emu_expect(e, method, target, headers, body, status, &a);
	if (strcmp(a.code, code) != 0)
		fail_msg("%s %s: got %s, want %s: %s", method, target, a.code,
			 code, buf_str(&a.body));
}

const char *answer_header(const struct answer *a, const char *name)
{
	const char *v = kvs_get(&a->headers, name);

	if (!v)
		fail_msg("the answer has no header %s", name);
	return v;
}

char *answer_element(const struct answer *a, const char *name, int n)
{
	AUTO_FREE char *open = str_printf("<%s>", name);
	AUTO_FREE char *close = str_printf("</%s>", name);
	const char *p = buf_str(&a->body);
	const char *end;

	do {
		p = strstr(p, open);
		if (!p)
			return NULL;
		p += strlen(open);
	} while (n-- > 0);
	end = strstr(p, close);
	return end ? strndup(p, (size_t)(end - p)) : NULL;
}

int emu_setup(void **state)
{
	struct emu *e = calloc(1, sizeof(*e));

	assert_non_null(e);
	emu_open(e);
	*state = e;
	return 0;
}

int emu_teardown(void **state)
{
	emu_close(*state);
	free(*state);
	return 0;
}
