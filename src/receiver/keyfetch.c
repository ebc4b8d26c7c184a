/* SPDX-License-Identifier: Apache-2.0 */
#include "receiver/keyfetch.h"

#include <errno.h>

#include <curl/curl.h>

#include "util/log.h"

#define FETCH_TIMEOUT_MS 3000L
#define FETCH_MAX ((size_t)16 << 10)

static void curl_freep(CURL **c)
{
	curl_easy_cleanup(*c);
}

int keyfetch_init(void)
{
	return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -EIO;
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct buf *body = arg;

	buf_add(body, data, size * count);
	return buf_error(body) ? 0 : size * count; /* 0 ends the transfer */
}

static void prepare(CURL *curl, const char *url, struct buf *body)
{
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, FETCH_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
}

int keyfetch(const char *url, struct buf *pem)
{
	AUTO(curl_freep) CURL *curl = curl_easy_init();
	AUTO(buf_release) struct buf body = BUF_INIT_MAX(FETCH_MAX);
	CURLcode code;
	long status = 0;

	if (!curl)
		return -ENOMEM;
	prepare(curl, url, &body);
	code = curl_easy_perform(curl);
	if (buf_error(&body))
		return buf_error(&body);
	if (code != CURLE_OK) {
		log_warn("keyfetch: no answer: url=%s error=%s", LOG_Q(url),
			 LOG_Q(curl_easy_strerror(code)));
		return -EHOSTUNREACH;
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		log_warn("keyfetch: no key there: url=%s http=%ld", LOG_Q(url),
			 status);
		return -ENOENT;
	}
	buf_add(pem, body.data, body.len);
	return buf_error(pem);
}
