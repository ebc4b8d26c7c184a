/* SPDX-License-Identifier: Apache-2.0 */
/* Mode, owner, times, user metadata and links, without a mount. */
#include "../support/fs_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/clock.h"

static int setup(void **state)
{
	static struct fs_fix f;

	fx_init(&f, NULL);
	fx_start(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	fx_fini(*state);
	return 0;
}

struct copies {
	struct fs_fix *f;
	unsigned wanted;
};

static bool are_made(void *arg)
{
	struct copies *c = arg;

	return fake_store_calls(c->f->oss, FAKE_COPY) >= c->wanted;
}

/* Pass the time in which changes are gathered, until n copies were made in all. */
static void pass_changes(struct fs_fix *f, unsigned n)
{
	struct copies c = {f, n};

	assert_true(fx_pass_time(are_made, &c));
	fx_settle(f);
	clock_advance_ms(2000);
	fx_settle(f);
	assert_int_equal(fake_store_calls(f->oss, FAKE_COPY), n);
}

static bool meta_is(struct fs_fix *f, const char *key, const char *name,
		    const char *want)
{
	struct oss_object o = {0};
	const char *has;
	bool is;

	assert_int_equal(fake_store_stat(f->oss, key, &o), 0);
	has = kvs_get(&o.meta, name);
	is = want ? has && strcmp(has, want) == 0 : !has;
	if (!is)
		print_message("%s of %s: %s\n", name, key, has ? has : "-");
	oss_object_release(&o);
	return is;
}

static uint32_t mode_of(struct fs_fix *f, const char *path)
{
	struct fs_attr attr;

	assert_int_equal(fx_lookup(f, path, &attr), 0);
	return attr.mode & 07777;
}

/* An object of another host's mount. */
static void put_posix(struct fs_fix *f, const char *key, const char *uid)
{
	AUTO(kvs_release) struct kvs meta = KVS_INIT;

	assert_int_equal(kvs_add(&meta, "mode", "33184"), 0); /* 0640 */
	assert_int_equal(kvs_add(&meta, "uid", uid), 0);
	assert_int_equal(kvs_add(&meta, "gid", "7"), 0);
	fake_store_put_data(f->oss, key, "text", 4, &meta);
}

static void changes_of_a_second_are_one_copy(void **state)
{
	struct fs_fix *f = *state;
	const struct fs_meta_change times = {.set_mtime = true,
					     .mtime_ns = 1000000000};

	fx_put(f, "a", "x");
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	assert_int_equal(fs_change_meta(f->fs, fx_ino(f, "a"), &times), 0);
	assert_int_equal(mode_of(f, "a"), 0600);
	pass_changes(f, 1);
	assert_true(meta_is(f, "a", "mode", "33152"));
	assert_true(meta_is(f, "a", "mtime", "1"));
}

static void a_change_keeps_what_it_is_not_about(void **state)
{
	struct fs_fix *f = *state;
	struct store store = fake_store_store(f->oss);
	AUTO_FREE char *acl = NULL;
	AUTO_FREE char *tags = NULL;
	struct oss_reply r;

	put_posix(f, "a", "1234");
	fake_store_set_tags(f->oss, "a", "k=v");
	fake_store_set_acl(f->oss, "a", "public-read");
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	pass_changes(f, 1);
	assert_true(meta_is(f, "a", "mode", "33152"));
	assert_true(meta_is(f, "a", "uid", "1234"));
	assert_true(meta_is(f, "a", "gid", "7"));
	assert_int_equal(store.ops->get_acl(store.self, "a", NULL, &acl, &r),
			 0);
	assert_string_equal(acl, "public-read");
	assert_int_equal(store.ops->get_tags(store.self, "a", NULL, &tags, &r),
			 0);
	assert_string_equal(tags, "k=v");
}

/* Somebody reads it: its bytes are not here, so OSS still has the say. */
static void a_change_of_an_open_file_keeps_its_owner(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h;

	put_posix(f, "a", "1234");
	h = fx_open(f, "a", O_RDONLY);
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	pass_changes(f, 1);
	assert_true(meta_is(f, "a", "uid", "1234"));
	fx_close(f, h);
}

static void a_change_that_fails_is_made_later(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a", "x");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COPY,
						     .err = -ETIMEDOUT});
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	pass_changes(f, 1);
	assert_true(meta_is(f, "a", "mode", "33188"));
	assert_int_equal(mode_of(f, "a"), 0600);
	pass_changes(f, 2);
	assert_true(meta_is(f, "a", "mode", "33152"));
}

static void a_change_that_is_refused_is_given_up(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a", "x");
	fake_store_fail(f->oss, &(struct fake_fault){.op = FAKE_COPY,
						     .times = -1,
						     .err = -EACCES,
						     .http = 403});
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	pass_changes(f, 1);
	assert_int_equal(mode_of(f, "a"), 0644);
	fx_remount(f);
	pass_changes(f, 1);
	assert_int_equal(mode_of(f, "a"), 0644);
}

static void a_change_reaches_what_others_have_put_there(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a", "x");
	put_posix(f, "a", "1234");
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	pass_changes(f, 2);
	assert_true(meta_is(f, "a", "mode", "33152"));
	assert_true(fake_store_is(f->oss, "a", "text"));
	assert_int_equal(fx_size(f, "a"), 4);
}

static void
a_reader_does_not_go_on_with_what_others_have_put_there(void **state)
{
	struct fs_fix *f = *state;
	AUTO_FREE char *got = NULL;
	struct handle *h;

	fx_put(f, "a", "x");
	h = fx_open(f, "a", O_RDONLY);
	assert_true(fx_reads(h, "x"));
	put_posix(f, "a", "1234");
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	pass_changes(f, 2);
	got = fx_read(h);
	assert_true(!got || strcmp(got, "x") == 0);
	fx_release(f, h);
}

static void user_metadata_reaches_what_others_have_put_there(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a", "x");
	put_posix(f, "a", "1234");
	assert_int_equal(fx_setxattr(f, "a", "meta.a", "1", 0), 0);
	assert_true(meta_is(f, "a", "a", "1"));
	assert_true(fake_store_is(f->oss, "a", "text"));
	assert_int_equal(fx_size(f, "a"), 4);
}

static void a_change_while_it_is_uploaded_comes_behind_it(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);
	struct fx_answer a;

	fx_write(h, "x", 0);
	fake_store_block(f->oss, FAKE_PUT, NULL, FAKE_SENT, 0);
	fx_flush_begin(f, h, &a);
	assert_true(
		fake_store_wait_blocked(f->oss, FAKE_PUT, 1, TEST_DEADLINE_MS));
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	fake_store_release(f->oss, FAKE_PUT);
	assert_int_equal(fx_wait(&a), 0);
	fx_release(f, h);
	pass_changes(f, 1);
	assert_true(meta_is(f, "a", "mode", "33152"));
	assert_int_equal(mode_of(f, "a"), 0600);
}

static void a_change_survives_the_daemon(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a", "x");
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	fx_remount(f);
	pass_changes(f, 1);
	assert_int_equal(mode_of(f, "a"), 0600);
	assert_true(meta_is(f, "a", "mode", "33152"));
}

static void a_folder_shows_its_mode_after_a_remount(void **state)
{
	struct fs_fix *f = *state;
	AUTO_FREE char *names = NULL;

	assert_int_equal(fx_mkdir(f, "d", 0700), 0);
	assert_int_equal(fx_mkdir(f, "e", 0710), 0);
	fx_remount(f);
	assert_int_equal(mode_of(f, "d"), 0700);
	fx_remount(f);
	names = fx_names(f, "");
	assert_string_equal(names, "d/ e/");
	assert_int_equal(mode_of(f, "e"), 0710);
}

static void a_written_file_shows_its_mode_after_a_remount(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a", "x");
	assert_int_equal(fx_chmod(f, "a", 0600), 0);
	pass_changes(f, 1);
	fx_remount(f);
	assert_int_equal(mode_of(f, "a"), 0600);
}

static void what_is_held_keeps_its_metadata_over_a_remount(void **state)
{
	struct fs_fix *f = *state;

	fx_put(f, "a.part", "x");
	assert_int_equal(fx_setxattr(f, "a.part", "meta.tool", "scan", 0), 0);
	assert_int_equal(fx_chmod(f, "a.part", 0600), 0);
	fx_remount(f);
	assert_int_equal(mode_of(f, "a.part"), 0600);
	assert_int_equal(fx_rename(f, "a.part", "a"), 0);
	fx_settle(f);
	assert_true(meta_is(f, "a", "tool", "scan"));
	assert_true(meta_is(f, "a", "mode", "33152"));
}

static void user_metadata_obeys_its_flags(void **state)
{
	struct fs_fix *f = *state;
	static const struct {
		const char *name, *value;
		int flags, want;
	} steps[] = {
		{"meta.a", "1", XATTR_REPLACE, -ENODATA},
		{"meta.a", "1", XATTR_CREATE,  0       },
		{"meta.a", "2", XATTR_CREATE,  -EEXIST },
		{"meta.a", "3", XATTR_REPLACE, 0       },
		{"meta.a", "4", 0,             0       },
	};

	fx_put(f, "a", "x");
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		assert_int_equal(fx_setxattr(f, "a", steps[i].name,
					     steps[i].value, steps[i].flags),
				 steps[i].want);
	assert_true(meta_is(f, "a", "a", "4"));
	assert_true(fx_xattr_is(f, "a", "meta.a", "4"));
}

static void user_metadata_of_staged_bytes_is_read_back(void **state)
{
	struct fs_fix *f = *state;
	struct handle *h = fx_create(f, "a", 0);

	fx_write(h, "x", 0);
	assert_int_equal(fx_setxattr(f, "a", "meta.a", "1", 0), 0);
	assert_true(fx_xattr_is(f, "a", "meta.a", "1"));
	assert_int_equal(fx_close(f, h), 0);
	assert_true(fx_xattr_is(f, "a", "meta.a", "1"));
	assert_true(meta_is(f, "a", "a", "1"));
}

static void what_others_stored_is_known_with_the_first_question(void **state)
{
	struct fs_fix *f = *state;
	AUTO(kvs_release) struct kvs meta = KVS_INIT;

	assert_int_equal(kvs_add(&meta, "a", "1"), 0);
	fake_store_put_data(f->oss, "a", "text", 4, &meta);
	fake_store_put_data(f->oss, "b", "text", 4, &meta);
	assert_true(fx_xattr_is(f, "a", "meta.a", "1"));
	assert_true(fx_xattr_is(f, "b", "storage_class", "Standard"));
	assert_int_equal(fake_store_calls(f->oss, FAKE_HEAD), 2);
}

static void commands_are_for_who_runs_the_mount(void **state)
{
	struct fs_fix *f = *state;
	struct fx_answer a;
	static const char command[] = "[\"invalidate\"]";

	xattr_set(f->fs, TREE_ROOT, "user.oss.mount.command", command,
		  strlen(command), 0, geteuid(), fx_done(&a));
	assert_int_equal(fx_wait(&a), 0);
	xattr_set(f->fs, TREE_ROOT, "user.oss.mount.command", command,
		  strlen(command), 0, geteuid() + 1, fx_done(&a));
	assert_int_equal(fx_wait(&a), -EPERM);
}

static int make_link(struct fs_fix *f, const char *name, const char *target)
{
	struct fs_attr attr;

	return fs_symlink(f->fs, TREE_ROOT, name, target, 1, 1, &attr);
}

static void a_link_is_one_after_a_remount(void **state)
{
	struct fs_fix *f = *state;
	char target[64];
	struct fs_attr attr;

	assert_int_equal(make_link(f, "l", "to/there"), 0);
	fx_remount(f);
	assert_int_equal(fx_lookup(f, "l", &attr), 0);
	assert_true(S_ISLNK(attr.mode));
	assert_int_equal(fs_readlink(f->fs, attr.ino, target, sizeof(target)),
			 0);
	assert_string_equal(target, "to/there");
	assert_int_equal(fs_readlink(f->fs, attr.ino, target, 4),
			 -ENAMETOOLONG);
}

static void another_hosts_link_is_one_when_always_is_set(void **state)
{
	struct fs_fix *f = *state;
	AUTO(kvs_release) struct kvs meta = KVS_INIT;
	struct fs_attr attr;

	fx_stop(f);
	f->conf.posix_meta = FS_POSIX_ALWAYS;
	fx_start(f);
	assert_int_equal(kvs_add(&meta, "mode", "41471"), 0);
	fake_store_put_data(f->oss, "l", "target", 6, &meta);
	put_posix(f, "a", "1234");
	assert_int_equal(fx_lookup(f, "l", &attr), 0);
	assert_true(S_ISLNK(attr.mode));
	assert_int_equal(mode_of(f, "a"), 0640);
	fx_remount(f);
	fake_store_reset_counts(f->oss);
	fx_assert_names(f, "", "a l");
	assert_int_equal(mode_of(f, "a"), 0640);
	assert_int_equal(fake_store_calls(f->oss, FAKE_HEAD), 0);
}

static void never_writes_nor_reads_any_of_it(void **state)
{
	struct fs_fix *f = *state;

	fx_stop(f);
	f->conf.posix_meta = FS_POSIX_NEVER;
	fx_start(f);
	put_posix(f, "a", "1234");
	assert_int_equal(mode_of(f, "a"), 0644);
	fx_put(f, "b", "x");
	assert_true(meta_is(f, "b", "mode", NULL));
	assert_int_equal(fx_chmod(f, "b", 0600), 0);
	pass_changes(f, 0);
	assert_int_equal(make_link(f, "l", "x"), -EPERM);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(changes_of_a_second_are_one_copy),
		T(a_change_keeps_what_it_is_not_about),
		T(a_change_of_an_open_file_keeps_its_owner),
		T(a_change_that_fails_is_made_later),
		T(a_change_that_is_refused_is_given_up),
		T(a_change_reaches_what_others_have_put_there),
		T(a_reader_does_not_go_on_with_what_others_have_put_there),
		T(user_metadata_reaches_what_others_have_put_there),
		T(a_change_while_it_is_uploaded_comes_behind_it),
		T(a_change_survives_the_daemon),
		T(a_folder_shows_its_mode_after_a_remount),
		T(a_written_file_shows_its_mode_after_a_remount),
		T(what_is_held_keeps_its_metadata_over_a_remount),
		T(user_metadata_obeys_its_flags),
		T(user_metadata_of_staged_bytes_is_read_back),
		T(what_others_stored_is_known_with_the_first_question),
		T(commands_are_for_who_runs_the_mount),
		T(a_link_is_one_after_a_remount),
		T(another_hosts_link_is_one_when_always_is_set),
		T(never_writes_nor_reads_any_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
