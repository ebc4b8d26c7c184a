#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bytes: what was written is what OSS has and what is read, everywhere.
# bats file_tags=asan
# shellcheck disable=SC2010,SC2012,SC2016 # ls is what is tested; scripts in quotes

load lib/common

K=1024
M=$((1024 * 1024))

before_mount() {
	conf_add upload 'multipart_threshold = 1M' 'part_size = 256K'
}

@test "sizes around every boundary" {
	random_file big $((3 * M))
	for n in 0 1 2 511 512 513 4095 4096 4097 $((64 * K)) $((64 * K + 1)) \
		$((128 * K - 1)) $((128 * K + 1)) $((256 * K)) $((256 * K + 1)) \
		$((M - 1)) $M $((M + 1)) $((2 * M - 1)) $((2 * M)) \
		$((2 * M + 255 * K)) $((3 * M)); do
		head -c "$n" big >want
		cp want "$D/$n"
		uploaded 1 "$D/$n" want
	done
	remount
	for n in 1 4097 $((128 * K + 1)) $((M + 1)) $((3 * M)); do
		head -c "$n" big >want
		same "$D/$n" want
	done
}

@test "block sizes of every kind" {
	random_file big 100003
	for bs in 1 7 512 4095 4096 65536 99999; do
		[ $bs -gt 1 ] || { head -c 3000 big >small; dd if=small of="$D/1" bs=1 status=none; continue; }
		dd if=big of="$D/$bs" bs=$bs status=none
		uploaded 1 "$D/$bs" big
		dd if="$D/$bs" of=got bs=$bs status=none
		same got big
	done
	uploaded 1 "$D/1" small
}

@test "random reads" {
	random_file big $((2 * M))
	cp big "$D/f"
	remount
	for i in $(seq 40); do
		off=$((RANDOM * 64 % (2 * M)))
		len=$((RANDOM % 70000 + 1))
		cmp <(tail -c +$((off + 1)) big | head -c $len) \
			<(tail -c +$((off + 1)) "$D/f" | head -c $len)
	done
	dd if="$D/f" of=got bs=4k count=4 skip=100 status=none
	dd if=big of=want bs=4k count=4 skip=100 status=none
	same got want
}

@test "holes are zeros" {
	truncate -s $((2 * M)) sparse
	printf end >>sparse
	printf mid | dd of=sparse bs=1 seek=$M conv=notrunc status=none
	cp --sparse=always sparse "$D/f"
	uploaded 1 "$D/f" sparse
}

@test "a write beyond the end of an object" {
	echo hello >"$D/f"
	echo world | dd of="$D/f" bs=1 seek=100000 conv=notrunc status=none
	echo hello >want
	echo world | dd of=want bs=1 seek=100000 conv=notrunc status=none
	uploaded 2 "$D/f" want
}

@test "append to an object that is not local" {
	random_file want 300000
	cp want "$D/f"
	remount
	echo more | tee -a want >>"$D/f"
	uploaded 2 "$D/f" want
}

@test "the middle of an object that is not local" {
	random_file want 300000
	cp want "$D/f"
	remount
	for file in want "$D/f"; do
		printf middle | dd of="$file" bs=1 seek=150000 conv=notrunc status=none
	done
	uploaded 2 "$D/f" want
}

@test "the middle of a large object that is not local" {
	random_file want $((2 * M + 12345))
	cp want "$D/f"
	remount
	for file in want "$D/f"; do
		printf middle | dd of="$file" bs=1 seek=1500000 conv=notrunc status=none
	done
	uploaded 2 "$D/f" want
}

@test "shorter and longer by truncate" {
	random_file want 300000
	cp want "$D/f"
	remount
	for n in 200000 400000 4096 0 10; do
		truncate -s $n want "$D/f"
		same "$D/f" want
	done
	uploaded 6 "$D/f" want
}

@test "one's own writes are seen at once, by everybody" {
	python3 - "$D/f" <<-'PY'
		import os, sys
		w = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
		r = os.open(sys.argv[1], os.O_RDONLY)
		for i in range(200):
		    os.pwrite(w, bytes([i]) * 777, i * 777)
		    assert os.fstat(r).st_size == (i + 1) * 777
		    assert os.pread(r, 777, i * 777) == bytes([i]) * 777
		os.ftruncate(w, 1000)
		assert os.stat(sys.argv[1]).st_size == 1000
		assert os.pread(r, 5000, 0) == bytes([0]) * 777 + bytes([1]) * 223
	PY
	wait_is 1 count_uploads "$D/f"
}

@test "a reader that had the file open sees the new content" {
	echo old >"$D/f"
	exec 5<"$D/f"
	read -r got <&5
	is "$got" old
	echo new content >"$D/f"
	exec 5<&-
	is "$(cat "$D/f")" "new content"
}

@test "random operations agree with a local file" {
	python3 - "$D/f" local "$RANDOM" <<-'PY'
		import os, random, sys
		remote, local, seed = sys.argv[1:]
		print("seed", seed)
		rnd = random.Random(int(seed))
		files = remote, local
		def both(fn):
		    a, b = [fn(f) for f in files]
		    assert a == b, (a, b)
		for _ in range(25):
		    fds = [os.open(f, os.O_RDWR | os.O_CREAT) for f in files]
		    for _ in range(40):
		        off, n = rnd.randrange(400000), rnd.randrange(1, 50000)
		        data = rnd.randbytes(n)
		        what = rnd.choice("wwwwrrrtaf")
		        res = []
		        for fd in fds:
		            if what == "w":
		                res.append(os.pwrite(fd, data, off))
		            elif what == "r":
		                res.append(os.pread(fd, n, off))
		            elif what == "t":
		                res.append(os.ftruncate(fd, off))
		            elif what == "a":
		                os.lseek(fd, 0, os.SEEK_END)
		                res.append(os.write(fd, data))
		            else:
		                res.append(os.fstat(fd).st_size)
		        assert res[0] == res[1], what
		    for fd in fds:
		        os.close(fd)
		    both(lambda f: open(f, "rb").read())
	PY
	settled "$D/f"
	oss_get "$(key_of "$D/f")" got
	same got local
}

@test "fallocate: room, holes, zeros" {
	random_file want 100000
	cp want "$D/f"
	for file in want "$D/f"; do
		fallocate -p -o 4096 -l 8192 "$file"
		fallocate -z -o 50000 -l 1000 "$file" || fallocate -p -o 50000 -l 1000 "$file"
		fallocate -l 200000 "$file"
		fallocate -n -o 190000 -l 50000 "$file"
	done
	same "$D/f" want
	is "$(stat -c %s "$D/f")" 200000
}

@test "mmap: reads and writes" {
	random_file want 300000
	cp want "$D/f"
	remount
	python3 - "$D/f" want <<-'PY'
		import mmap, sys
		for f in sys.argv[1:]:
		    with open(f, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
		        m[1000:1005] = b"hello"
		        m[299000:299005] = b"world"
		        m.flush()
	PY
	uploaded 2 "$D/f" want
}

@test "copy_file_range and sendfile" {
	random_file want 200000
	cp want "$D/f"
	python3 - "$D/f" "$D/g" "$D/h" <<-'PY'
		import os, sys
		src = os.open(sys.argv[1], os.O_RDONLY)
		for name, copy in ((sys.argv[2], lambda d: os.copy_file_range(src, d, 200000, 0)),
		                   (sys.argv[3], lambda d: os.sendfile(d, src, 0, 200000))):
		    dst = os.open(name, os.O_WRONLY | os.O_CREAT)
		    n = 0
		    while n < 200000:
		        n += copy(dst) if n == 0 else os.write(dst, os.pread(src, 200000 - n, n))
		    os.close(dst)
	PY
	uploaded 1 "$D/g" want
	uploaded 1 "$D/h" want
}

@test "64 MiB and some: written, read, byte for byte" {
	random_file big $((64 * M + 777))
	cp big "$D/f"
	uploaded 1 "$D/f" big
	remount
	same "$D/f" big
	rm "$D/f"
}

@test "eight large files at once" {
	random_file big $((4 * M))
	for i in $(seq 8); do cp big "$D/$i" & done
	wait
	for i in $(seq 8); do uploaded 1 "$D/$i" big; done
}

@test "four readers of one file" {
	random_file big $((8 * M))
	cp big "$D/f"
	remount
	readers=()
	for _ in 1 2 3 4; do
		cmp "$D/f" big &
		readers+=($!)
	done
	for reader in "${readers[@]}"; do wait "$reader"; done
}

@test "an object that another tool overwrites while it is read: all old, all new, or an error" {
	random_file old $((4 * M))
	random_file new $((4 * M))
	cp old "$D/f"
	remount
	log_allow .
	exec 5<"$D/f"
	head -c 1000 <&5 >got
	oss_put "$(key_of "$D/f")" new
	if cat <&5 >>got 2>/dev/null; then
		cmp got old || cmp got new
	fi
	exec 5<&-
}
