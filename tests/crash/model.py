# SPDX-License-Identifier: Apache-2.0
"""What a folder may hold after a crash.

A workload is a list of steps (dicts), each about one system call or so.  The
model applies the steps that were answered; the one that the crash interrupted
may have happened or not, which makes two *worlds*, and OSS must be in one.

A Node is a file, whatever its name is.  Its contents:
  committed  what the last close() that was answered 0 promised; None: nothing
  working    what a reader of the mount sees
  promised   what a closed duplicate left: recovery may publish it
  held       it was closed, but under a temporary name, or empty: it need not
             be on OSS yet, and is not when it is written again before
  under      what OSS may show where the committed content is not there yet:
             older objects of that name
  synced     True: fsync() was answered since, so the working content must
             survive as an incomplete file
"""
import collections
import copy
import random


def pattern(token, length):
    """The bytes of a write: of its own token, and of no other."""
    return random.Random(token).randbytes(length)


def is_temporary(path):
    return path.endswith('.part')


class Node:
    def __init__(self, path):
        self.path = path
        self.committed = None
        self.working = b''
        self.dirty = True
        self.promised = None
        self.held = False
        self.under = {None}
        self.synced = False
        self.names = []  # that the committed content has had
        self.sizes = []  # of all contents that were committed: older closes too

    def change(self, content):
        self.working = content
        self.dirty = True
        self.promised = None

    def allowed(self):
        """Contents that OSS may show; None: no object."""
        contents = {self.committed}
        if self.committed is None or self.held and self.dirty:
            contents |= self.under
        if self.promised is not None:
            contents.add(self.promised)
        return contents


class Model:
    def __init__(self):
        self.names = {}  # path -> Node
        self.handles = {}  # number -> Node
        self.dirs = set()
        self.killed = set()  # paths that a writer never finished
        # (path, size) -> how often those bytes came under that name
        self.deliveries = collections.Counter()
        self.closes = []  # (path, size) of every close that was answered 0

    def copy(self):
        return copy.deepcopy(self)

    def expected_error(self, step):
        """The errno's name that a step must get, None: it must succeed."""
        if step['do'] in ('rename', 'unlink', 'chmod', 'read') and \
                step['path'] not in self.names:
            return 'ENOENT'
        return None

    def apply(self, step):
        """What is to be known of a step that was answered."""
        getattr(self, 'do_' + step['do'])(step)

    # -- opening --------------------------------------------------------------

    def open(self, step):
        node = self.names.get(step['path'])
        if node is None:
            node = self.names[step['path']] = Node(step['path'])
        self.handles[step['h']] = node
        return node

    def do_create(self, step):
        self.open(step).change(b'')

    def do_append(self, step):
        self.open(step)

    def do_update(self, step):
        self.open(step)

    # -- open files -----------------------------------------------------------

    def do_write(self, step):
        node = self.handles[step['h']]
        data, at = pattern(step['token'], step['len']), step['at']
        old = node.working
        if at is None:
            at = len(old)
        node.change(old[:at].ljust(at, b'\0') + data + old[at + len(data):])

    def do_truncate(self, step):
        node = self.handles[step['h']]
        node.change(node.working[:step['size']].ljust(step['size'], b'\0'))

    def do_fsync(self, step):
        node = self.handles[step['h']]
        node.synced |= node.dirty  # else there was nothing to make safe

    def do_fork(self, step):
        """A child wrote through an inherited descriptor, and ended well: which
        closed all that it had inherited."""
        self.do_write(step)
        for node in self.handles.values():
            self.promise(node)

    def do_dup(self, step):
        """A duplicate of the descriptor was closed."""
        self.promise(self.handles[step['h']])

    def promise(self, node):
        if node.dirty:
            node.promised = node.working
            self.count_delivery(node, node.working)

    def do_close(self, step):
        node = self.handles.pop(step['h'])
        node.synced = False
        if not node.dirty:
            return
        before, fresh = node.allowed(), node.committed is None
        node.dirty = False
        node.promised = None
        node.committed = node.working
        node.held = is_temporary(node.path or '') or fresh and not node.working
        if node.held:
            node.under = before
        node.names = [node.path] if node.path else []
        node.sizes.append(len(node.committed))
        self.count_delivery(node, node.committed)
        if node.path:
            self.closes.append((node.path, len(node.committed)))

    def count_delivery(self, node, content):
        if node.path and content is not None:
            self.deliveries[node.path, len(content)] += 1

    # -- names ----------------------------------------------------------------

    def move(self, old, new):
        node = self.names.pop(old)
        replaced = self.names.pop(new, None)
        below = {None}
        if replaced:
            replaced.path = None
            below = replaced.allowed()
        node.under = node.under | below if node.held and node.dirty else below
        node.path = new
        node.names.append(new)
        self.names[new] = node
        for size in node.sizes:
            self.deliveries[new, size] += 1
        if node.promised is not None:
            self.count_delivery(node, node.promised)

    def do_rename(self, step):
        self.move(step['path'], step['to'])

    def do_unlink(self, step):
        node = self.names.pop(step['path'])
        node.path = None
        node.promised = None

    def do_mkdir(self, step):
        self.dirs.add(step['path'])

    def do_rmdir(self, step):
        self.dirs.discard(step['path'])

    def inside(self, folder):
        return [p for p in self.names if p.startswith(folder + '/')]

    def do_renamedir(self, step):
        for path in self.inside(step['path']):
            self.move(path, step['to'] + path[len(step['path']):])
        self.dirs.discard(step['path'])
        self.dirs.add(step['to'])

    def do_killed(self, step):
        self.killed.add(step['path'])

    def do_chmod(self, step):
        pass

    def do_read(self, step):
        pass


class World:
    """Contents that OSS may show, and files that may be incomplete."""

    def __init__(self, model):
        self.model = model
        self.allowed = {p: n.allowed() for p, n in model.names.items()}
        self.moved = None  # a folder that was being renamed: (from, to)

    def problems(self, objects):
        """What of {path: content} is not of this world."""
        if self.moved:
            objects = self.unmove(objects)
        found = []
        for path in sorted(self.allowed.keys() | objects.keys()):
            have = objects.get(path)
            if have not in self.allowed.get(path, {None}):
                found.append('%s: %s; allowed: %s' % (
                    path, describe(have),
                    ' or '.join(map(describe, self.allowed.get(path, {None})))))
        return found

    def unmove(self, objects):
        """As if what has its new name already, or both, had its old one."""
        old, new = self.moved
        back = {}
        for path, content in objects.items():
            if path.startswith(new + '/'):
                was = old + path[len(new):]
                if objects.get(was, content) == content:
                    path = was
            back[path] = content
        return back


def worlds(model, interrupted):
    """The two worlds that a crash inside that step leaves; one without it."""
    before = World(model)
    if interrupted is None or model.expected_error(interrupted):
        return [before]
    after = model.copy()
    after.apply(interrupted)
    if interrupted['do'] == 'renamedir':
        before.moved = interrupted['path'], interrupted['to']
    return [before, World(after)]


def describe(content):
    if content is None:
        return 'no object'
    if isinstance(content, str):
        return content
    return '%d bytes %s..' % (len(content), content[:4].hex())
