// Holds what is sent to the server, and that its refusals arrive with their sentence and their problems.

import { afterEach, expect, test, vi } from 'vitest';
import { ApiError, getNodes, listJobs, submitJob, thumbnailUrl } from './client.ts';

function answer(status: number, body: string, headers: Record<string, string> = {}) {
  const fetched = vi.fn<typeof fetch>(async () => new Response(body, { status, headers }));
  vi.stubGlobal('fetch', fetched);
  return fetched;
}

afterEach(() => vi.unstubAllGlobals());

test('a job is posted with every digit of its seed', async () => {
  const fetched = answer(201, '{"id":"j1","state":"queued","position":0,"warnings":[]}');
  await expect(submitJob({ seed: 18446744073709551615n })).resolves.toEqual({ id: 'j1', warnings: [] });
  expect(fetched.mock.calls[0]?.[0]).toBe('/api/v1/jobs');
  expect(fetched.mock.calls[0]?.[1]?.body).toBe('{"seed":18446744073709551615}');
});

test('a refused job carries its problems', async () => {
  answer(
    422,
    JSON.stringify({
      error: { code: 'invalid_workflow', message: 'Two things.' },
      problems: [{ code: 'below_min', message: 'too small', node: '4', class_type: 'E', input: 'width' }],
      warnings: [{ code: 'unknown_input', message: 'odd', node: '5', class_type: 'K', input: 'x' }],
    }),
  );
  const error = await submitJob({}).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 422, code: 'invalid_workflow', message: 'Two things.' });
  expect((error as ApiError).problems.map((each) => [each.severity, each.node])).toEqual([
    ['error', '4'],
    ['warning', '5'],
  ]);
});

test('a server that is not ready says when to ask again', async () => {
  answer(503, '{"error":{"code":"engine_not_ready","message":"Wait."}}', { 'retry-after': '2' });
  await expect(getNodes()).rejects.toMatchObject({ status: 503, retryAfter: 2 });
});

test('an answer that is no JSON is an error with its status', async () => {
  answer(502, '<html>bad gateway</html>');
  await expect(listJobs()).rejects.toMatchObject({ status: 502, code: 'http_502' });
});

test('a server that cannot be reached is an error in words', async () => {
  vi.stubGlobal('fetch', async () => {
    throw new TypeError('failed');
  });
  await expect(listJobs()).rejects.toMatchObject({ status: 0, code: 'unreachable' });
});

test('names in addresses are escaped, folders kept', () => {
  expect(thumbnailUrl('input', 'a b/c#.png', 64)).toBe('/api/v1/thumbnails/input/a%20b/c%23.png?size=64');
});
