/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A web server in the test's own process that answers from a script: one step
 * for each request, in order of arrival, whichever connection it comes on.
 *
 *     static const struct script_step steps[] = {
 *             STEP(.status = 500, .body = "<html>"),
 *             STEP(.kind = SCRIPT_RESET),
 *             STEP(.status = 200, .headers = "x-oss-hash-crc64ecma: @CRC@\r\n"),
 *     };
 *     struct http_script *s = http_script_new(steps, ARRAY_LEN(steps));
 *     ... http_script_port(s) ...
 *     http_script_free(s);
 *
 * Past the end of the script requests are answered with 599.
 */
#ifndef ACKFS_TESTS_HTTP_SCRIPT_H
#define ACKFS_TESTS_HTTP_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>

enum script_kind {
	SCRIPT_ANSWER,
	SCRIPT_RESET,       /* read the whole request, then RST */
	SCRIPT_RESET_EARLY, /* read the head alone, then RST */
	SCRIPT_CLOSE,       /* read the whole request, then close */
	SCRIPT_STALL,       /* read the whole request, then nothing */
	SCRIPT_STALL_EARLY, /* read the head alone, then nothing */
	SCRIPT_EARLY,       /* answer after the head, then close */
	SCRIPT_HOLD,        /* answer after http_script_release() */
	SCRIPT_HOLD_EARLY,  /* the same, before the body is read */
};

struct script_step {
	enum script_kind kind;
	int status;
	const char *headers; /* more header lines, each with \r\n; NULL: none;
				@CRC@: the CRC-64 of the request's body */
	const char *body;    /* NULL: none */
	size_t body_len;     /* 0: strlen */
	const char *length;  /* Content-Length's value when not the body's;
				"": the header is left out */
	bool bare;           /* without the headers that OSS always sends */
	bool chunked;        /* in chunks, without Content-Length */
	size_t cut;          /* close after so many bytes of the body */
	size_t stall;        /* stand still after so many bytes of the body */
	bool close;          /* close the connection afterwards */
	bool no_continue;    /* leave "Expect: 100-continue" unanswered */
	const char *raw;     /* the answer as it is, instead of all that */
};

/** One step, in a form that clang-format does not take for a table. */
#define STEP(...)                                                              \
	{                                                                      \
		__VA_ARGS__                                                    \
	}

struct script_request {
	char *head; /* request line and headers, NUL-terminated */
	char *body;
	size_t body_len;
	int connection; /* 1, 2, ... in order of acceptance */
};

struct http_script;

/** Listens on 127.0.0.1, on a free port. The steps are borrowed. */
struct http_script *http_script_new(const struct script_step *steps,
				    size_t count);
/** Ends every connection and thread. */
void http_script_free(struct http_script *s);
int http_script_port(const struct http_script *s);
/** Requests whose head came in. */
size_t http_script_count(struct http_script *s);
/** Wait for n of them. @return false after timeout_ms */
bool http_script_wait(struct http_script *s, size_t n, int timeout_ms);
/** Let the steps that hold, and those to come, answer. */
void http_script_release(struct http_script *s);
/** The i-th; stable until the script is freed once its step is over. */
const struct script_request *http_script_request(struct http_script *s,
						 size_t i);
/** A header's value in the i-th request, in out; NULL: not there. */
const char *http_script_header(struct http_script *s, size_t i,
			       const char *name, char *out, size_t size);

#endif
