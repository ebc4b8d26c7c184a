// SPDX-License-Identifier: Apache-2.0
// The official Node SDK against ackfs-emulator: operations and callbacks with
// both signature versions.  Run by tests/mount/node-sdk.bats, which installs
// the SDK and starts the emulator:
//
//   EMULATOR_URL=http://127.0.0.1:PORT CALLBACK_URL=http://... \
//       node --test tests/node/ali-oss.test.mjs
//
// NODE_SDK is the folder that has node_modules/ali-oss.

import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { test, before, after } from 'node:test';
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import path from 'node:path';

const require = createRequire(path.join(process.env.NODE_SDK, 'package.json'));
const OSS = require('ali-oss');

const BUCKET = 'test-bucket';
const PART = 102400;

// The application: remembers what it got, answers JSON.
let app;
const seen = [];

before(async () => {
  app = createServer((req, res) => {
    const chunks = [];
    req.on('data', (c) => chunks.push(c));
    req.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      seen.push({ url: req.url, headers: req.headers, body });
      const answer = req.url === '/fail' ? 'no' : JSON.stringify({ Status: 'OK', n: seen.length });
      res.writeHead(req.url === '/fail' ? 500 : 200, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(answer),
      });
      res.end(answer);
    });
  });
  await new Promise((resolve) => app.listen(0, '127.0.0.1', resolve));
});

after(() => app.close());

function client(v4, endpoint = process.env.EMULATOR_URL) {
  return new OSS({
    accessKeyId: 'emulator-key',
    accessKeySecret: 'emulator-secret',
    bucket: BUCKET,
    region: 'oss-cn-hangzhou',
    endpoint,
    sldEnable: true,
    authorizationV4: v4,
  });
}

function callback(where, body) {
  return {
    url: `http://127.0.0.1:${app.address().port}${where}`,
    body: body ?? 'bucket=${bucket}&object=${object}&size=${size}&who=${x:who}',
    contentType: 'application/x-www-form-urlencoded',
    customValue: { who: 'node sdk' },
  };
}

// The signature of a callback, by the emulator's published key.
async function isGenuine(call) {
  const url = Buffer.from(call.headers['x-oss-pub-key-url'], 'base64').toString();
  assert.ok(url.startsWith(process.env.EMULATOR_URL));
  const pem = await (await fetch(url)).text();
  const [where, query] = call.url.split('?');
  const text = decodeURIComponent(where) + (query === undefined ? '' : `?${query}`) + '\n' + call.body;
  return crypto
    .createVerify('md5')
    .update(text)
    .verify({ key: pem, padding: crypto.constants.RSA_PKCS1_PADDING }, call.headers.authorization, 'base64');
}

for (const v4 of [false, true]) {
  const name = v4 ? 'V4' : 'V1';
  const prefix = `${name}/`;

  test(`${name}: put, head, get, list, copy, delete`, async () => {
    const oss = client(v4);
    const key = `${prefix}a dir/ключ +%&?.txt`;

    const put = await oss.put(key, Buffer.from('hi oss'), {
      mime: 'text/plain',
      meta: { author: 'alice' },
    });
    assert.equal(put.res.headers['x-oss-hash-crc64ecma'], '8707180448768400016');

    const head = await oss.head(key);
    assert.equal(head.meta.author, 'alice');
    assert.equal(head.res.headers['content-type'], 'text/plain');
    assert.equal(head.res.headers['content-length'], '6');

    const get = await oss.get(key);
    assert.equal(get.content.toString(), 'hi oss');

    await oss.put(`${prefix}b`, Buffer.from('b'));
    const list = await oss.listV2({ prefix, delimiter: '/', 'max-keys': 10 });
    assert.deepEqual(list.objects.map((o) => o.name), [`${prefix}b`]);
    assert.deepEqual(list.prefixes, [`${prefix}a dir/`]);
    const old = await oss.list({ prefix });
    assert.equal(old.objects.length, 2);

    await oss.copy(`${prefix}c`, key, { headers: { 'x-oss-metadata-directive': 'COPY' } });
    assert.equal((await oss.head(`${prefix}c`)).meta.author, 'alice');

    await oss.delete(key);
    await assert.rejects(oss.head(key), { code: 'NoSuchKey', status: 404 });
    const gone = await oss.deleteMulti([`${prefix}b`, `${prefix}c`]);
    assert.equal(gone.deleted.length, 2);
    assert.deepEqual((await oss.list({ prefix })).objects ?? [], []);
  });

  test(`${name}: put with a callback`, async () => {
    const oss = client(v4);
    const before = seen.length;
    const put = await oss.put(`${prefix}called`, Buffer.from('hi oss'), { callback: callback('/done?x= y') });

    assert.deepEqual(put.data, { Status: 'OK', n: before + 1 });
    const call = seen.at(-1);
    assert.equal(call.url, '/done?x=%20y');
    assert.equal(call.body, `bucket=${BUCKET}&object=${name}%2Fcalled&size=6&who=node%20sdk`);
    assert.equal(call.headers['x-oss-request-id'], put.res.headers['x-oss-request-id']);
    assert.ok(await isGenuine(call));
  });

  test(`${name}: a failed callback is an error, the object is there`, async () => {
    const oss = client(v4);

    await assert.rejects(oss.put(`${prefix}unanswered`, Buffer.from('x'), { callback: callback('/fail') }), {
      code: 'CallbackFailed',
      status: 203,
    });
    assert.equal((await oss.get(`${prefix}unanswered`)).content.toString(), 'x');
  });

  test(`${name}: multipart upload with a callback`, async () => {
    const oss = client(v4);
    const data = crypto.randomBytes(3 * PART + 17);
    const before = seen.length;
    const up = await oss.multipartUpload(`${prefix}big`, data, {
      partSize: PART,
      parallel: 3,
      mime: 'application/x-thing',
      callback: callback('/multipart'),
    });

    assert.equal(up.data.Status, 'OK');
    assert.equal(seen.length, before + 1);
    assert.match(seen.at(-1).body, new RegExp(`size=${data.length}`));
    const get = await oss.get(`${prefix}big`);
    assert.ok(data.equals(get.content));
    assert.equal(get.res.headers['x-oss-object-type'], 'Multipart');
    assert.equal(get.res.headers['content-type'], 'application/x-thing');
  });

  test(`${name}: multipart calls one by one`, async () => {
    const oss = client(v4);
    const key = `${prefix}by hand`;
    const { uploadId } = await oss.initMultipartUpload(key);
    const data = crypto.randomBytes(2 * PART);
    const one = await oss.uploadPart(key, uploadId, 1, data, 0, PART);
    const two = await oss.uploadPart(key, uploadId, 2, data, PART, 2 * PART);
    const parts = await oss.listParts(key, uploadId);
    assert.equal(parts.parts.length, 2);
    const uploads = await oss.listUploads({ prefix: key, 'max-uploads': 10 });
    assert.equal(uploads.uploads[0].uploadId, uploadId);
    await oss.completeMultipartUpload(key, uploadId, [
      { number: 1, etag: one.res.headers.etag },
      { number: 2, etag: two.res.headers.etag },
    ]);
    assert.ok(data.equals((await oss.get(key)).content));
    const again = await oss.initMultipartUpload(key);
    await oss.abortMultipartUpload(key, again.uploadId);
    await assert.rejects(oss.listParts(key, again.uploadId), { code: 'NoSuchUpload' });
  });

  test(`${name}: append, tags, ACL, symlink`, async () => {
    const oss = client(v4);
    const key = `${prefix}log`;
    const first = await oss.append(key, Buffer.from('hi '));
    await oss.append(key, Buffer.from('oss'), { position: first.nextAppendPosition });
    assert.equal((await oss.get(key)).content.toString(), 'hi oss');

    await oss.putObjectTagging(key, { a: '1', b: '2' });
    assert.deepEqual((await oss.getObjectTagging(key)).tag, { a: '1', b: '2' });
    await oss.putACL(key, 'public-read');
    assert.equal((await oss.getACL(key)).acl, 'public-read');
    await oss.putSymlink(`${prefix}link`, key, {});
    assert.equal((await oss.getSymlink(`${prefix}link`)).targetName, key);
  });

  test(`${name}: signed URLs`, async () => {
    // The SDK signs no URL of an address.
    const oss = client(v4, process.env.EMULATOR_URL.replace('127.0.0.1', 'localhost'));
    const key = `${prefix}signed`;
    await oss.put(key, Buffer.from('signed'));
    const url = v4 ? await oss.signatureUrlV4('GET', 60, {}, key) : oss.signatureUrl(key, { expires: 60 });
    const res = await fetch(url);
    assert.equal(await res.text(), 'signed');
    const spoiled = await fetch(url.replace('signed', 'signe'));
    assert.equal(spoiled.status, 403);
  });

  test(`${name}: a wrong key is refused`, async () => {
    const oss = client(v4);
    oss.options.accessKeySecret = 'wrong';
    await assert.rejects(oss.head(`${prefix}x`), { status: 403 });
    await assert.rejects(oss.get(`${prefix}x`), { code: 'SignatureDoesNotMatch' });
  });
}
