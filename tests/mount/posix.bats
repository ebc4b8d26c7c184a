#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What POSIX programs rely on: modes, owners, times, links, renames, folders.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

# like_local SCRIPT: says the same in a local folder and in the mount.
like_local() {
	mkdir -p local
	(cd local && bash -c "$1") >want 2>&1 || echo "status $?" >>want
	(cd "$D" && bash -c "$1") >got 2>&1 || echo "status $?" >>got
	diff want got || fail "differs from a local file system: $1"
}

@test "modes, owners and times of new files, at once and after a remount" {
	echo x >"$D/a"
	chmod 640 "$D/a"
	touch -d '2011-12-13 14:15:16.171819202 UTC' "$D/a"
	(umask 077 && echo x >"$D/b")
	[ "$(id -u)" != 0 ] || chown 1234:5678 "$D/b"
	mkdir -m 711 "$D/d"
	touch -d '2010-01-02 03:04:05 UTC' "$D/d"
	look() { stat -c '%n %a %u %g %.9Y %F %s' "$D"/{a,b}; stat -c '%n %a %u %g %F' "$D/d"; }
	look >before
	grep -q '/a 640 0 0 1323785716.171819202 regular file 2$' before ||
		[ "$(id -u)" != 0 ]
	remount
	look >after
	same after before
}

@test "another host's files: defaults, or what they are with posix_meta = always" {
	echo x >"$D/a"
	chmod 604 "$D/a"
	touch -d '2011-12-13 14:15:16 UTC' "$D/a"
	ln -s a "$D/l"
	mount_stop
	mv "$W/state" "$W/state.first"
	mkdir "$W/state"
	mount_start
	is "$(stat -c %a "$D/a")" 644
	remount -o mount.posix_meta=always
	is "$(stat -c '%a %Y' "$D/a")" "604 1323785716"
	is "$(readlink "$D/l")" a
	is "$(ls -l "$D" | grep -c ' l -> a$')" 1
	mount_stop
	rm -r "$W/state"
	mv "$W/state.first" "$W/state"
	mount_start
}

@test "what ossfs wrote is understood" {
	OSS_HEADERS=$'x-oss-meta-gid: 22\nx-oss-meta-mode: 33206\nx-oss-meta-mtime: 1111111111\nx-oss-meta-uid: 11' \
		oss_put "$(key_of "$D")-o/f" <(echo x)
	OSS_HEADERS='x-oss-meta-mode: 41471' OSS_TYPE=application/octet-stream \
		oss_put "$(key_of "$D")-o/l" <(printf f)
	OSS_HEADERS='x-oss-meta-mode: 16832' OSS_TYPE=application/x-directory \
		oss_put "$(key_of "$D")-o/d/"
	remount -o mount.posix_meta=always
	is "$(stat -c '%a %u %g %Y' "$D-o/f")" "666 11 22 1111111111"
	is "$(readlink "$D-o/l")" f
	is "$(cat "$D-o/l")" x
	is "$(stat -c '%a %F' "$D-o/d")" "700 directory"
	remount
}

@test "what this mount writes has the metadata that ossfs reads" {
	echo x >"$D/f"
	chmod 640 "$D/f"
	touch -d '2011-12-13 14:15:16.5 UTC' "$D/f"
	ln -s target "$D/l"
	mkdir "$D/d"
	wait_is 33184 oss_header "$(key_of "$D/f")" x-oss-meta-mode
	is "$(oss_header "$(key_of "$D/f")" x-oss-meta-uid)" "$(id -u)"
	is "$(oss_header "$(key_of "$D/f")" x-oss-meta-mtime)" 1323785716.500000000
	is "$(oss_header "$(key_of "$D/l")" x-oss-meta-mode)" 41471
	oss_get "$(key_of "$D/l")" got
	is "$(cat got)" target
	is "$(oss_header "$(key_of "$D/d")/" Content-Type)" application/x-directory
}

@test "posix_meta = never writes and reads none" {
	remount -o mount.posix_meta=never
	echo x >"$D/f"
	is "$(oss_head "$(key_of "$D/f")" | grep -ci x-oss-meta || true)" 0
	is "$(stat -c %a "$D/f")" 644
	remount
}

@test "chmod of a stored file: one CopyObject, no callback, the answer stays" {
	echo x >"$D/f"
	uploaded 1 "$D/f" <<<x
	attr callback.response "$D/f" >before
	mark=$(mark)
	chmod 600 "$D/f"
	is "$(stat -c %a "$D/f")" 600
	wait_is 1 count_requests -s "$mark" CopyObject
	is "$(count_requests -s "$mark" PutObject)" 0
	wait_is 33152 oss_header "$(key_of "$D/f")" x-oss-meta-mode
	attr callback.response "$D/f" >after
	same after before
	remount
	attr callback.response "$D/f" >after
	same after before
	is "$(stat -c %a "$D/f")" 600
	uploaded 1 "$D/f" <<<x
}

@test "chmod keeps the Content-Type, other metadata and ACL" {
	OSS_TYPE=text/special OSS_HEADERS=$'x-oss-meta-foo: bar\nx-oss-object-acl: private' \
		oss_put "$(key_of "$D")-x/f" <(echo x)
	remount
	chmod 600 "$D-x/f"
	wait_is 33152 oss_header "$(key_of "$D-x/f")" x-oss-meta-mode
	is "$(oss_header "$(key_of "$D-x/f")" x-oss-meta-foo)" bar
	is "$(oss_header "$(key_of "$D-x/f")" Content-Type)" text/special
	OSS_SUB=acl oss GET "$(key_of "$D-x/f")" | grep -q '<Grant>private</Grant>'
}

@test "an overwrite keeps other metadata, storage class and Content-Type" {
	OSS_TYPE=text/special OSS_HEADERS=$'x-oss-meta-foo: bar\nx-oss-storage-class: IA' \
		oss_put "$(key_of "$D")-x/f" <(echo x)
	remount
	echo y >"$D-x/f"
	is "$(oss_header "$(key_of "$D-x/f")" x-oss-meta-foo)" bar
	is "$(oss_header "$(key_of "$D-x/f")" x-oss-storage-class)" IA
	is "$(oss_header "$(key_of "$D-x/f")" Content-Type)" text/special
	is "$(cat "$D-x/f")" y
}

@test "symlinks: relative, absolute, dangling, to folders, long" {
	like_local 'echo x >f; mkdir d; echo y >d/g
		ln -s f rel; ln -s d dir; ln -s none dangling; ln -s ../d/g up
		ln -s "$(printf "x%.0s" $(seq 1000))" long
		readlink rel dir dangling up long; cat rel dir/g; cat dangling
		ls -F; rm rel; ls; cat f'
	ln -s "$D/f" "$D/abs"
	is "$(cat "$D/abs")" x
	remount
	is "$(readlink "$D/dir")" d
	is "$(cat "$D/dir/g")" y
	is "$(readlink "$D/long" | wc -c)" 1001
}

@test "hard links: EPERM" {
	echo x >"$D/f"
	fails ln "$D/f" "$D/g" 2>err
	grep -q 'not permitted' err
}

@test "fifos, sockets and devices: EPERM or not supported" {
	fails mkfifo "$D/p" 2>err
	grep -qE 'not (permitted|supported)' err
}

@test "rename: onto nothing, a file, itself" {
	like_local 'echo a >a; echo b >b; mv a c; cat c; mv c b; cat b; ls
		mv b b 2>/dev/null; ls; mv none x; echo z >"with space"; mv "with space" z; cat z'
	remount
	is "$(cat "$D/b")" a
}

@test "rename: flags" {
	python3 - "$D" <<-'PY'
		import ctypes, errno, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		d = sys.argv[1].encode()
		def rename(a, b, flags):
		    r = libc.renameat2(-100, d + a, -100, d + b, flags)
		    return ctypes.get_errno() if r else 0
		for f in (b"/a", b"/b"):
		    open(d + f, "w").write("x")
		assert rename(b"/a", b"/b", 1) == errno.EEXIST   # NOREPLACE
		assert rename(b"/a", b"/c", 1) == 0
		assert rename(b"/b", b"/c", 2) == errno.EINVAL   # EXCHANGE
		assert sorted(os.listdir(d)) == [b"b", b"c"]
	PY
}

@test "rename of folders" {
	like_local 'mkdir -p a/b/c; echo x >a/f; echo y >a/b/c/g; mv a z; cat z/f z/b/c/g
		ls -R; mkdir empty; mv empty z/; ls z; mkdir t; mv z t/; ls -R
		mkdir one two; touch two/f; mv -T one two; mv -T two one; ls one
		mkdir e1 e2; mv -T e1 e2; ls; mv t t/below; echo f >f; mv -T f one; mv -T one f'
	remount
	is "$(cat "$D/t/z/b/c/g")" y
}

@test "an open file follows its folder's rename" {
	mkdir "$D/a"
	exec 5>"$D/a/f"
	echo one >&5
	mv "$D/a" "$D/b"
	echo two >&5
	exec 5>&-
	uploaded 1 "$D/b/f" <<<$'one\ntwo'
	not_uploaded "$D/a/f"
}

@test "unlink and rmdir" {
	like_local 'mkdir d; touch d/f; rmdir d; rm d; rm d/f; rmdir d; rmdir d; rm none
		echo x >f; rmdir f; ls; rm f; ls'
}

@test "an unlinked open file lives on without a name, and is never uploaded" {
	python3 - "$D/f" <<-'PY'
		import os, sys
		fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
		os.write(fd, b"hello")
		os.unlink(sys.argv[1])
		os.write(fd, b" world")
		assert os.pread(fd, 100, 0) == b"hello world"
		assert os.fstat(fd).st_size == 11
		assert os.listdir(os.path.dirname(sys.argv[1])) == []
		os.close(fd)
	PY
	not_uploaded "$D/f"
}

@test "unlinked, and made anew under the same name" {
	exec 5>"$D/f"
	echo old >&5
	rm "$D/f"
	echo new >"$D/f"
	echo older >&5
	exec 5>&-
	uploaded 1 "$D/f" <<<new
}

@test "an object that is unlinked while a reader has it" {
	random_file want 500000
	cp want "$D/f"
	exec 5<"$D/f"
	rm "$D/f"
	is "$(ls "$D")" ""
	fails oss_has "$(key_of "$D/f")"
	exec 5<&-
}

@test "mkdir -p, deep paths, and removing them" {
	like_local 'mkdir -p a/b/c/d/e/f/g; echo x >a/b/c/d/e/f/g/h; cat a/b/c/d/e/f/g/h
		mkdir a; mkdir x/y; find . | sort; rm -r a; ls -A'
}

@test "a folder stays when its last file goes" {
	oss_put "$(key_of "$D")-i/d/f"
	remount
	is "$(ls "$D-i/d")" f
	rm "$D-i/d/f"
	is "$(ls -A "$D-i/d")" ""
	rmdir "$D-i/d"
}

@test "O_EXCL, O_APPEND, O_TRUNC, O_DIRECTORY" {
	python3 - "$D/f" <<-'PY'
		import errno, os, sys
		f = sys.argv[1]
		def err(fn, *a):
		    try:
		        fn(*a)
		        return 0
		    except OSError as e:
		        return e.errno
		os.close(os.open(f, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
		assert err(os.open, f, os.O_WRONLY | os.O_CREAT | os.O_EXCL) == errno.EEXIST
		assert err(os.open, f, os.O_RDONLY | os.O_DIRECTORY) == errno.ENOTDIR
		assert err(os.open, os.path.dirname(f), os.O_WRONLY) == errno.EISDIR
		assert err(os.open, f + "/x", os.O_RDONLY) == errno.ENOTDIR
		a = os.open(f, os.O_WRONLY | os.O_APPEND)
		b = os.open(f, os.O_WRONLY | os.O_APPEND)
		os.write(a, b"1"); os.write(b, b"2"); os.write(a, b"3")
		assert err(os.read, a, 1) == errno.EBADF
		os.close(a); os.close(b)
		assert open(f).read() == "123"
		os.close(os.open(f, os.O_WRONLY | os.O_TRUNC))
		assert open(f).read() == ""
	PY
}

# Writers that never read go past the page cache where the kernel can (Linux 6.6).
@test "who reads or maps a file sees at once what a write-only descriptor writes" {
	head -c 300000 /dev/urandom >in
	cp in "$D/f"
	python3 - "$D/f" in <<-'PY'
		import mmap, os, sys
		f, want = sys.argv[1], bytearray(open(sys.argv[2], "rb").read())
		r = os.open(f, os.O_RDONLY)
		m = mmap.mmap(r, len(want), prot=mmap.PROT_READ)
		rw = os.open(f, os.O_RDWR)
		mw = mmap.mmap(rw, len(want))
		w = os.open(f, os.O_WRONLY)
		a = os.open(f, os.O_WRONLY | os.O_APPEND)
		assert os.pread(r, len(want), 0) == want and m[:] == want
		for i, at in enumerate([0, 1, 4095, 4096, 70001, 131071, 299990]):
		    piece = bytes([i + 1]) * (i * 1000 + 10 if at < 290000 else 10)
		    mw[at & ~4095] = want[at & ~4095] = 109  # a dirty page of another's
		    assert os.pwrite(w, piece, at) == len(piece)
		    want[at:at + len(piece)] = piece
		    assert m[:] == want, "mapped, %d" % at
		    assert os.pread(r, len(want), 0) == want, "read, %d" % at
		for i in range(50):
		    piece = bytes([i]) * (i * 97)
		    assert os.write(a, piece) == len(piece)
		    want += piece
		    assert os.pread(r, 1 << 20, 0) == want, "appended, %d" % i
		src = os.open(sys.argv[2], os.O_RDONLY)
		at, left = len(want), 200000
		os.lseek(w, at, os.SEEK_SET)
		while left:
		    left -= os.sendfile(w, src, 200000 - left, left)
		want += open(sys.argv[2], "rb").read(200000)
		assert os.pread(r, 1 << 20, 0) == want, "sendfile"
		open("want", "wb").write(want)
	PY
	same "$D/f" want
	oss_get "$(key_of "$D/f")" got
	same got want
}

@test "permissions are enforced for others" {
	[ "$(id -u)" = 0 ] || skip "needs root, to be somebody else"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$W" || true
	remount -o allow_other
	echo secret >"$D/f"
	chmod 600 "$D/f"
	as() { setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
	as ls "$D" >/dev/null || skip "others cannot reach $W"
	fails as cat "$D/f" 2>err
	grep -q 'Permission denied' err
	fails as touch "$D/g" 2>err
	chmod 777 "$D"
	as touch "$D/g"
	is "$(stat -c %u "$D/g")" 65534
	chmod 1777 "$D"
	fails as rm -f "$D/f" 2>err
	fails as getfattr --absolute-names -n user.oss.callback.url "$D/f" 2>err
	remount
}

@test "uid, gid, umask and modes by option" {
	oss_put "$(key_of "$D")-m/f" <(echo x)
	remount -o uid=1234,gid=5678 -o mount.file_mode=0664 -o umask=027
	is "$(stat -c '%a %u %g' "$D-m/f")" "640 1234 5678"
	is "$(stat -c '%a %u' "$D-m")" "750 1234"
	echo x >"$D/own"
	chmod 666 "$D/own"
	is "$(stat -c '%a %u %g' "$D/own")" "640 1234 5678" "with a mode and owner stored"
	is "$(find "$D" -name own -printf '%m %U %G')" "640 1234 5678"
	remount
	is "$(stat -c '%a %u %g' "$D/own")" "666 $(id -u) $(id -g)" "what is stored"
	remount
}

@test "a folder with the set-group-ID bit gives its group to what is made in it" {
	[ "$(id -u)" = 0 ] || skip "needs root to give files away"
	mkdir "$D/shared"
	chgrp 4321 "$D/shared"
	chmod 2775 "$D/shared"
	echo x >"$D/shared/f"
	mkdir "$D/shared/d"
	ln -s f "$D/shared/l"
	is "$(stat -c '%g' "$D/shared/f")" 4321
	is "$(stat -c '%a %g' "$D/shared/d")" "2755 4321"
	is "$(stat -c '%g' "$D/shared/l")" 4321
	remount
	is "$(stat -c '%g' "$D/shared/f" "$D/shared/d" "$D/shared/l" | sort -u)" 4321
}

@test "a file that was removed while it is open has no links left" {
	python3 - "$D/f" <<-'PY'
		import os, sys
		fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)
		os.write(fd, b"x")
		assert os.fstat(fd).st_nlink == 1
		os.unlink(sys.argv[1])
		assert os.fstat(fd).st_nlink == 0
		assert os.pread(fd, 2, 0) == b"x"
	PY
}

@test "ro: EROFS for every change" {
	echo x >"$D/f"
	remount -o ro
	for change in 'echo y >f' 'rm f' 'mkdir d' 'mv f g' 'chmod 600 f' 'touch g' \
		'ln -s a b' 'truncate -s 0 f' 'setfattr -n user.oss.meta.a -v b f'; do
		fails bash -c "cd '$D' && $change" 2>err
		grep -q 'Read-only file system' err || fail "$change: $(cat err)"
	done
	is "$(cat "$D/f")" x
	remount
}

@test "df shows a large, empty file system; statfs a name's limit" {
	[ "$(df --output=avail -B1G "$MNT" | tail -n 1)" -gt 1000 ]
	is "$(stat -f -c %l "$MNT")" 255
}

@test "times of a written file move, of a read one do not" {
	echo x >"$D/f"
	touch -d @1000 "$D/f"
	cat "$D/f" >/dev/null
	is "$(stat -c %Y "$D/f")" 1000
	echo y >>"$D/f"
	[ "$(stat -c %Y "$D/f")" -gt 1000000 ]
	touch -d @1000 "$D/f"
	python3 -c 'import os, sys; os.utime(sys.argv[1], (5, 7))' "$D/f"
	is "$(stat -c %Y "$D/f")" 7
}

@test "flock and fcntl locks work within the machine" {
	flock "$D/f" true
	exec 5>"$D/g"
	flock 5
	fails flock -n "$D/g" true
	exec 5>&-
}

@test "2,000 entries are listed once each, while they change" {
	mkdir "$D/d"
	seq 2000 | (cd "$D/d" && xargs touch)
	is "$(ls "$D/d" | sort -n | uniq | wc -l)" 2000
	exec 5<"$D/d"
	rm "$D"/d/1???
	is "$(ls "$D/d" | wc -l)" 1000
	exec 5<&-
	rm -r "$D/d"
}
