# SPDX-License-Identifier: Apache-2.0
"""One process of the workload: random steps, each logged before and after.

The log is a file of JSON lines that all workers append to.  "begin" comes
before the system call, "end" after it; a step without an end, or whose end
says that the daemon died, is the one that the crash interrupted.
"""
import contextlib
import errno
import fcntl
import json
import os
import random
import signal
import time

from model import Model, pattern

DIED = ('ENOTCONN', 'ECONNABORTED')
SIZE_CLASSES = 1024  # sizes of one area differ modulo this


class Died(Exception):
    """The daemon did."""


class Wrong(Exception):
    """A step did what it must not; the log says so too."""


class Area:
    """A folder, and the steps that are made in it.

    `shared` areas are used by all workers, one at a time, who do not know
    what they hold: only the log's reader does.
    """

    def __init__(self, worker, name):
        self.worker = worker
        self.name = name
        self.model = Model()
        self.handles = {}  # number -> descriptor
        self.shared = False

    def step(self, do, **fields):
        """Make one step, or raise."""
        step = dict(fields, do=do)
        number = self.worker.log_begin(self.name, step)
        why, error = None, None
        try:
            why = getattr(self, 'call_' + do)(**fields)
        except OSError as e:
            error = errno.errorcode.get(e.errno, str(e.errno))
        self.worker.log_end(self.name, number, error, why)
        if error in DIED:
            raise Died
        if why or error not in (None, self.harmless(do)):
            raise Wrong('%s: %s' % (step, why or error))
        if not self.shared:
            self.model.apply(step)

    def harmless(self, do):
        """The one error that a step may get: another worker was first."""
        return 'ENOENT' if self.shared and do in ('rename', 'unlink') else None

    def path(self, path):
        return os.path.join(self.worker.mount, path)

    # -- system calls: None, or what was wrong -----------------------------------

    def open(self, h, path, flags):
        self.handles[h] = os.open(self.path(path), flags | os.O_CREAT, 0o644)

    def call_create(self, h, path):
        self.open(h, path, os.O_WRONLY | os.O_TRUNC)

    def call_append(self, h, path):
        self.open(h, path, os.O_WRONLY | os.O_APPEND)

    def call_update(self, h, path):
        self.open(h, path, os.O_RDWR)

    def call_write(self, h, token, len, at):
        data, fd = pattern(token, len), self.handles[h]
        if at is not None:
            os.lseek(fd, at, os.SEEK_SET)
        elif not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_APPEND:
            os.lseek(fd, 0, os.SEEK_END)
        if os.write(fd, data) != len:
            return 'short write'

    def call_truncate(self, h, size):
        os.ftruncate(self.handles[h], size)

    def call_fsync(self, h):
        os.fsync(self.handles[h])

    def call_fork(self, h, token, len, at):
        pid = os.fork()
        if pid == 0:
            code = 0
            try:
                self.call_write(h, token, len, at)
            except OSError as e:
                code = e.errno
            os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code:
            raise OSError(code, 'in the child')

    def call_killed(self, path, token, len):
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(OSError):
                fd = os.open(self.path(path), os.O_WRONLY | os.O_CREAT, 0o644)
                os.write(fd, pattern(token, len))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)

    def call_dup(self, h):
        os.close(os.dup(self.handles[h]))

    def call_close(self, h):
        os.close(self.handles.pop(h))

    def call_rename(self, path, to):
        os.rename(self.path(path), self.path(to))

    call_renamedir = call_rename

    def call_unlink(self, path):
        os.unlink(self.path(path))

    def call_mkdir(self, path):
        os.mkdir(self.path(path))

    def call_rmdir(self, path):
        os.rmdir(self.path(path))

    def call_chmod(self, path, mode):
        os.chmod(self.path(path), mode)

    def call_read(self, path):
        for left in reversed(range(self.worker.settings.get('read_tries', 1))):
            try:
                with open(self.path(path), 'rb', buffering=0) as f:
                    data = f.readall()
                break
            except OSError as e:
                if e.errno != errno.EIO or not left:
                    raise
        if not self.shared and data != self.model.names[path].working:
            return 'read %d bytes, not the %d that were written' % (
                len(data), len(self.model.names[path].working))


class Worker:
    def __init__(self, number, count, mount, log, seed, settings):
        self.number = number
        self.count = count
        self.mount = mount
        self.log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.lock_fd = os.open(log + '.lock', os.O_RDWR | os.O_CREAT, 0o600)
        self.random = random.Random('%s %d' % (seed, number))
        self.settings = settings
        self.steps = 0
        self.tokens = 0
        self.closed = 0
        self.own = Area(self, 'w%d' % number)
        self.both = Area(self, 'both')
        self.race = Area(self, 'race')
        self.both.shared = self.race.shared = True
        self.dirs = [self.own.name] + \
            ['%s/d%d' % (self.own.name, i) for i in range(2)]

    # -- the log ---------------------------------------------------------------

    def log(self, **record):
        line = json.dumps(dict(record, w=self.number, t=time.monotonic()))
        os.write(self.log_fd, line.encode() + b'\n')

    def log_begin(self, area, step):
        self.steps += 1
        if self.steps == self.settings.get('signal_at') and \
                self.number == self.settings['signal_worker']:
            os.write(self.settings['signal_fd'], b'!')
        self.log(ev='begin', area=area, n=self.steps, step=step)
        return self.steps

    def log_end(self, area, number, error, why):
        self.log(ev='end', area=area, n=number, error=error, why=why)

    # -- pieces ----------------------------------------------------------------

    def token(self):
        self.tokens += 1
        return self.tokens * 64 + self.number

    def write_args(self, h, size, at=None):
        """A write after which the file's size is like no other's."""
        token = self.token()
        want = self.random.choice(self.settings['sizes'])
        length = self.random.randrange(want // 2, want)
        end = (size if at is None else at) + length
        if at is None or end >= size:
            length += (self.tokens * self.count + self.number - end) % SIZE_CLASSES
        return {'h': h, 'token': token, 'len': max(length, 1), 'at': at}

    def write(self, area, h, size, at=None, do='write'):
        args = self.write_args(h, size, at)
        area.step(do, **args)
        end = (size if at is None else at) + args['len']
        if end >= size:
            return end
        size += (self.tokens * self.count + self.number - size) % SIZE_CLASSES
        area.step('truncate', h=h, size=size)
        return size

    def size_of(self, path):
        node = self.own.model.names.get(path)
        return len(node.working) if node else 0

    def is_open(self, path):
        return self.own.model.names.get(path) in self.own.model.handles.values()

    def any_path(self):
        folder = self.random.choice(self.dirs[:1] +
                                    sorted(self.own.model.dirs))
        return '%s/f%d' % (folder, self.random.randrange(self.settings['names']))

    def present(self, closed=True):
        """One of the files that are there; None when there is none."""
        paths = [p for p in sorted(self.own.model.names)
                 if not (closed and self.is_open(p))]
        return self.random.choice(paths) if paths else None

    def close(self, h):
        self.own.step('close', h=h)
        self.closed += 1

    # -- what a program does -----------------------------------------------------

    def put(self, path=None):
        path = path or self.any_path()
        if self.is_open(path):
            return
        h, size = self.token(), 0
        self.own.step('create', h=h, path=path)
        for _ in range(self.random.randrange(1, 4)):
            size = self.write(self.own, h, size)
        if self.random.random() < 0.1:
            self.own.step('fsync', h=h)
        self.close(h)

    def touch(self):
        path = self.any_path()
        if path not in self.own.model.names:
            h = self.token()
            self.own.step('create', h=h, path=path)
            self.close(h)

    def append(self):
        path = self.any_path()
        if self.is_open(path):
            return
        h = self.token()
        self.own.step('append', h=h, path=path)
        self.write(self.own, h, self.size_of(path))
        self.close(h)

    def update(self):
        path = self.present()
        if path:
            h, size = self.token(), self.size_of(path)
            self.own.step('update', h=h, path=path)
            self.write(self.own, h, size, self.random.randrange(size + 1))
            self.close(h)

    def open_slowly(self):
        if len(self.own.handles) > 2:
            return self.go_on()
        path = self.any_path()
        if not self.is_open(path):
            do = self.random.choice(['create', 'append', 'update'])
            self.own.step(do, h=self.token(), path=path)
            self.go_on()

    def go_on(self):
        """One more step with a file that is kept open."""
        if not self.own.handles:
            return
        h = self.random.choice(sorted(self.own.handles))
        size = len(self.own.model.handles[h].working)
        what = self.random.choice(['write', 'write', 'fsync', 'fork', 'dup', 'close'])
        if what == 'close':
            self.close(h)
        elif what in ('fsync', 'dup'):
            self.own.step(what, h=h)
        else:
            self.write(self.own, h, size, do=what)

    def rename(self):
        path, to = self.present(closed=False), self.any_path()
        if path and path != to:
            self.own.step('rename', path=path, to=to)

    def finish_part(self):
        """As a download tool does: NAME.part, then NAME."""
        path = self.any_path()
        self.put(path + '.part')
        if self.random.random() < 0.8 and not self.is_open(path + '.part'):
            self.own.step('chmod', path=path + '.part', mode=0o640)
            self.own.step('rename', path=path + '.part', to=path)

    def unlink(self):
        path = self.present(closed=False)
        if path:
            self.own.step('unlink', path=path)

    def folder(self):
        name = self.dirs[self.random.randrange(1, len(self.dirs))]
        model = self.own.model
        if name not in model.dirs:
            self.own.step('mkdir', path=name)
        elif not model.inside(name):
            self.own.step('rmdir', path=name)
        elif len(model.dirs) == 1:
            to = [d for d in self.dirs[1:] if d != name][0]
            self.own.step('renamedir', path=name, to=to)

    def chmod(self):
        path = self.present(closed=False)
        if path:
            self.own.step('chmod', path=path, mode=self.random.choice([0o600, 0o644]))

    def killed(self):
        """A program that is killed before it closes its file."""
        if not self.own.handles:  # which it would inherit
            token = self.token()
            self.own.step('killed', path='%s/k%d' % (self.own.name, token),
                          token=token, len=self.random.randrange(1, 20000))

    def read(self):
        path = self.present(closed=False)
        if path:
            self.own.step('read', path=path)

    def share(self):
        """In a folder that other processes change too, one at a time."""
        fcntl.flock(self.lock_fd, fcntl.LOCK_EX)
        try:
            self.share_locked()
        finally:
            fcntl.flock(self.lock_fd, fcntl.LOCK_UN)

    def share_locked(self):
        names = ['both/s%d' % i for i in range(3)]
        path = self.random.choice(names)
        what = self.random.choice(['create', 'create', 'append', 'rename', 'unlink'])
        if what == 'rename':
            self.both.step('rename', path=path, to=self.random.choice(
                [n for n in names if n != path]))
        elif what == 'unlink':
            self.both.step('unlink', path=path)
        else:
            h = self.token()
            self.both.step(what, h=h, path=path)
            self.write(self.both, h, os.fstat(self.both.handles[h]).st_size)
            self.both.step('close', h=h)
            self.closed += 1

    def publish(self):
        """A file of one's own is renamed to a name that others want too."""
        suffix = self.random.choice(['', '.part'])
        path = 'race/w%d-%d%s' % (self.number, self.token(), suffix)
        h = self.token()
        self.race.step('create', h=h, path=path)
        self.write(self.race, h, 0)
        self.race.step('close', h=h)
        self.closed += 1
        self.race.step('rename', path=path,
                       to='race/r%d' % self.random.randrange(2))

    CHOICES = [(put, 28), (append, 14), (update, 8), (open_slowly, 8), (go_on, 14),
               (rename, 10), (finish_part, 8), (unlink, 7), (folder, 6),
               (chmod, 4), (read, 8), (touch, 3), (killed, 2), (share, 10), (publish, 5)]

    def run(self):
        """Until enough files were closed, or the daemon is dead."""
        choices, weights = zip(*self.CHOICES)
        try:
            self.own.step('mkdir', path=self.own.name)
            while self.closed < self.settings['files']:
                self.random.choices(choices, weights)[0](self)
            for h in sorted(self.own.handles):
                self.close(h)
        except (Died, Wrong) as e:
            self.log(ev='stopped', why=str(e))
