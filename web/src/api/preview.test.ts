// Holds how preview frames are taken apart.

import { expect, test } from 'vitest';
import { decodePreview } from './preview.ts';

function frame(header: object, body: Uint8Array): ArrayBuffer {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(4 + text.length + body.length);
  new DataView(bytes.buffer).setUint32(0, text.length);
  bytes.set(text, 4);
  bytes.set(body, 4 + text.length);
  return bytes.buffer;
}

const header = { type: 'node_preview', job: 'j', node: '3', done: 1, total: 20, width: 64, height: 32 };

test('a preview carries its node and its JPEG', async () => {
  const preview = decodePreview(frame(header, new Uint8Array([255, 216, 255])));
  expect(preview).toMatchObject({ job: 'j', node: '3', done: 1, total: 20, width: 64, height: 32 });
  expect(new Uint8Array((await preview?.jpeg.arrayBuffer()) ?? new ArrayBuffer(0))).toEqual(
    new Uint8Array([255, 216, 255]),
  );
});

test('frames of another kind are passed over, a cut one is an error', () => {
  expect(decodePreview(frame({ ...header, type: 'later' }, new Uint8Array()))).toBeNull();
  expect(() => decodePreview(frame(header, new Uint8Array()).slice(0, 20))).toThrow();
});
