/* SPDX-License-Identifier: Apache-2.0 */
#include "emulator/emulator.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "emulator/callback_key.h"
#include "emulator/faults.h"
#include "emulator/keyring.h"
#include "emulator/names.h"
#include "emulator/reqlog.h"
#include "emulator/sign.h"
#include "emulator/store.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/fileio.h"
#include "util/log.h"

static int make_bucket(struct emulator *em, const char *name)
{
	struct bucket_info info = {.created_ms =
					   emulator_now_ms(em) / 1000 * 1000,
				   .acl = "private",
				   .storage_class = "Standard"};
	int rc;

	if (!bucket_name_is_valid(name)) {
		log_err("emulator: not a bucket's name: %s", LOG_Q(name));
		return -EINVAL;
	}
	snprintf(info.name, sizeof(info.name), "%s", name);
	rc = store_bucket_create(em->store, &info);
	return rc == -EEXIST ? 0 : rc;
}

static int add_key(struct emulator *em)
{
	const struct credential c = {
		.id = em->opt->access_key_id,
		.secret = em->opt->access_key_secret,
		.token = em->opt->security_token,
	};

	return keyring_set(em->keys, &c);
}

static int build(struct emulator *em)
{
	const struct emu_options *opt = em->opt;
	int rc = dir_make(opt->dir, 0700);

	if (!rc)
		rc = store_open(opt->dir, opt->durable, &em->store);
	if (!rc)
		rc = keyring_new(&em->keys);
	if (!rc)
		rc = add_key(em);
	if (!rc)
		rc = sign_memo_new(&em->sign_memo);
	if (!rc)
		rc = faults_new(&em->faults);
	if (!rc)
		rc = stats_new(&em->stats);
	if (!rc)
		rc = request_log_open(opt->log, &em->log);
	if (!rc)
		rc = callback_key_open(opt->dir, opt->callback_key_bits,
				       &em->key);
	for (size_t i = 0; !rc && i < opt->bucket_count; i++)
		rc = make_bucket(em, opt->buckets[i]);
	return rc;
}

int emulator_open(const struct emu_options *opt, struct emulator **out)
{
	struct emulator *em = calloc(1, sizeof(*em));
	int rc;

	if (!em)
		return -ENOMEM;
	em->opt = opt;
	rc = build(em);
	if (rc < 0) {
		log_err("emulator: cannot open: dir=%s error=%s",
			LOG_Q(opt->dir), LOG_Q(strerror(-rc)));
		emulator_close(em);
		return rc;
	}
	*out = em;
	return 0;
}

void emulator_close(struct emulator *em)
{
	if (!em)
		return;
	callback_key_free(em->key);
	request_log_close(em->log);
	stats_free(em->stats);
	faults_free(em->faults);
	sign_memo_free(em->sign_memo);
	keyring_free(em->keys);
	store_close(em->store);
	free(em->url);
	free(em);
}

int64_t emulator_now_ms(struct emulator *em)
{
	return clock_real_ms() + em->skew_ms;
}
