#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An application server that answers callbacks in every wrong way.

answers.py FOLDER [CERTIFICATE KEY]: listens on loopback, writes its port to
FOLDER/answers.port (HTTPS with a certificate: answers-tls.port), answers by the
last part of the path, and appends each body it was sent to FOLDER/answers.seen
as a JSON line.  callbacks.bats says what each answer is to come to.
"""

import json
import os
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OK = b'{"Status":"OK"}'
JSON = ('Content-Type', 'application/json')


def large(size):
    return b'{"pad":"' + b'x' * (size - 10) + b'"}'


def with_length(body, status=200, *headers):
    return status, [JSON, *headers, ('Content-Length', str(len(body)))], body


def chunked():
    half = len(OK) // 2
    parts = [OK[:half], OK[half:], b'']
    body = b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in parts)
    return 200, [JSON, ('Transfer-Encoding', 'chunked')], body


ANSWERS = {
    'fine': lambda: with_length(OK),
    '3MB': lambda: with_length(large(3000000)),
    '100KB': lambda: with_length(large(100000)),
    'empty': lambda: with_length(b''),
    'no-json': lambda: with_length(b'OK'),
    'bom': lambda: with_length(b'\xef\xbb\xbf' + OK),
    'nul': lambda: with_length(b'{"a":"x\0y"}'),
    'escaped-nul': lambda: with_length(b'{"a":"x\\u0000y"}'),
    'redirect': lambda: with_length(b'{}', 302, ('Location', '/fine')),
    'chunked': chunked,
    'until-close': lambda: (200, [JSON], OK),
    'wrong-length': lambda: (200, [JSON, ('Content-Length', '-1')], OK),
    'cut': lambda: (200, [JSON, ('Content-Length', '1000')], OK),
    '201': lambda: with_length(OK, 201),
    '204': lambda: (204, [], b''),
    '404': lambda: with_length(b'{"error":"not here"}', 404),
    '500': lambda: with_length(b'{"error":"broken"}', 500),
    'late': lambda: with_length(OK),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        how = self.path.rsplit('/', 1)[-1]
        self.server.see({'path': self.path, 'body': body.decode()})
        if how == 'late':
            time.sleep(5.1)
        status, headers, answer = ANSWERS.get(how, ANSWERS['fine'])()
        self.close_connection = True
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(answer)
        except OSError:
            pass  # OSS does not wait for it

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder):
        super().__init__(('127.0.0.1', 0), Handler)
        self.lock = threading.Lock()
        self.seen = open(os.path.join(folder, 'answers.seen'), 'a')

    def see(self, what):
        with self.lock:
            self.seen.write(json.dumps(what) + '\n')
            self.seen.flush()

    def handle_error(self, request, client_address):
        pass  # connections that break are what this is for


def main():
    folder, tls = sys.argv[1], sys.argv[2:]
    server = Server(folder)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False)
    name = os.path.join(folder, 'answers-tls.port' if tls else 'answers.port')
    with open(name + '.new', 'w') as f:
        f.write(str(server.server_port))
    os.rename(name + '.new', name)
    server.serve_forever()


main()
